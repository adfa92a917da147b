//! Makes the report and writes it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::check::{PersonReport, State, check};
use super::deletions::{self, Deletion};
use super::markdown::markdown;
use crate::audit::{ChainKey, verify};
use crate::cli::ErasureReportArgs;
use crate::commands::build;
use crate::config::Config;
use crate::setting_files;
use posthog_client::TimeRange;

/// Before any log.
const BEGINNING: &str = "2000-01-01";

/// The whole report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) made_at: DateTime<Utc>,
    pub(super) version: &'static str,
    pub(super) host: String,
    /// The fingerprint of the API key that this report was made with.
    pub(super) key: String,
    /// Deletions from this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    /// Deletions before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
    pub(super) log: LogReport,
    /// The number of persons in each state.
    pub(super) summary: BTreeMap<State, usize>,
    pub(super) deletions: Vec<Deletion>,
    pub(super) persons: Vec<PersonReport>,
}

/// The state of the log, as `audit verify` finds it.
#[derive(Debug, Serialize)]
pub(super) struct LogReport {
    pub(super) file: String,
    pub(super) is_intact: bool,
    pub(super) lines: usize,
    /// Lines of version 0.1, which no chain protects.
    pub(super) unchained_lines: usize,
    /// Notes that the file was replaced, truncated or removed.
    pub(super) notes: usize,
    pub(super) without_outcome: usize,
    pub(super) problems: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<String>,
}

/// The form of a report.
#[derive(Clone, Copy)]
enum Format {
    Markdown,
    Json,
}

pub(in crate::commands) async fn run(
    config: Config,
    arguments: &ErasureReportArgs,
) -> anyhow::Result<ExitCode> {
    let format = format(arguments)?;
    let Some(path) = config.audit_log.clone() else {
        bail!("--audit-log is missing: it names the log of the deletions that the report is about");
    };
    let file = setting_files::display(&path);
    let log =
        std::fs::read(&path).with_context(|| format!("the audit log {file} cannot be read"))?;
    let (since, until) = (arguments.since.as_deref(), arguments.until.as_deref());
    let range = TimeRange::resolve(since.or(Some(BEGINNING)), until, 1, Utc::now());
    let range = range.context(
        "--since must be a moment before --until, each an ISO 8601 date or time, or relative such as -30d",
    )?;
    // Without an edge, every line counts, whatever the clock of the machine that wrote it.
    let from = match since {
        Some(_) => range.from().parse()?,
        None => DateTime::<Utc>::MIN_UTC,
    };
    let to = match until {
        Some(_) => range.until().parse()?,
        None => DateTime::<Utc>::MAX_UTC,
    };
    let key = ChainKey::new(config.audit_key.clone()?);
    let chain = verify(&*log, &key, None)?;
    let deletions = deletions::read(&log, from, to);
    let (config, _sandbox) = build::with_sandbox(config).await?;
    let posthog = build::client(&config)?;
    let persons = check(&posthog, config.project.clone()?, &deletions).await;
    let mut summary = BTreeMap::new();
    for person in &persons {
        *summary.entry(person.state).or_default() += 1;
    }
    let report = Report {
        made_at: Utc::now(),
        version: env!("CARGO_PKG_VERSION"),
        host: posthog.host().to_owned(),
        key: posthog.key_fingerprint(),
        since: since.map(|_| range.from()),
        until: until.map(|_| range.until()),
        log: LogReport {
            file,
            is_intact: chain.problems.is_empty(),
            lines: chain.chained,
            unchained_lines: chain.unchained,
            notes: chain.notes,
            without_outcome: chain.without_outcome,
            problems: chain.problems,
            head: chain.head,
        },
        summary,
        deletions,
        persons,
    };
    let text = match format {
        Format::Markdown => markdown(&report),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    match &arguments.out {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => write_file(path, text.as_bytes())
            .with_context(|| format!("{} cannot be written", setting_files::display(path)))?,
    }
    let could_ask = report.persons.iter().all(|person| person.reason.is_none());
    Ok(if report.log.is_intact && could_ask {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn format(arguments: &ErasureReportArgs) -> anyhow::Result<Format> {
    let extension = arguments.out.as_ref().map(|path| path.extension());
    match extension.map(|extension| extension.and_then(|extension| extension.to_str())) {
        None if arguments.json => Ok(Format::Json),
        None => Ok(Format::Markdown),
        Some(Some("json")) => Ok(Format::Json),
        Some(Some("md")) if !arguments.json => Ok(Format::Markdown),
        _ if arguments.json => bail!("--json writes JSON: name the file of --out with .json"),
        _ => bail!("--out must end with .md (Markdown) or .json"),
    }
}

/// Replaces a file at once, so that nobody finds half a report. Readable by its owner alone.
fn write_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}", Uuid::new_v4()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(&part).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}
