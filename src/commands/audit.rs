//! `audit verify`: checks an audit log.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::audit::{ChainKey, verify};
use crate::cli::AuditCommand;
use crate::config::Config;

pub(super) fn run(config: &Config, command: &AuditCommand) -> anyhow::Result<ExitCode> {
    let AuditCommand::Verify { file, head } = command;
    verify_file(config, file, head.as_deref())
}

fn verify_file(config: &Config, path: &Path, head: Option<&str>) -> anyhow::Result<ExitCode> {
    let key = ChainKey::new(config.audit_key.clone()?);
    let file = File::open(path)
        .with_context(|| format!("the audit log {} cannot be read", path.display()))?;
    let report = verify(BufReader::new(file), &key, head)?;
    write!(std::io::stdout(), "{report}")?;
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
