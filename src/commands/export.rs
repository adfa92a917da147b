//! `export`: persons as files, by the tool that an assistant uses, with a progress bar and longer waits.

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::build;
use super::mcp_client::McpClient;
use super::signal;
use crate::cli::ExportArgs;
use crate::config::Config;
use crate::export::Exports;
use crate::output::OutputOptions;
use crate::policy::OptIn;

/// The tool.
const TOOL: &str = "persons-export";
/// PostHog can limit queries for an hour. Someone at a terminal sees why it takes long, and can end it.
const MAX_WAIT: Duration = Duration::from_secs(75 * 60);
/// What is read is on disk after this, when someone ends a wait.
const KEEPING: Duration = Duration::from_secs(10);

pub(super) async fn run(mut config: Config, arguments: ExportArgs) -> anyhow::Result<ExitCode> {
    let json = arguments.json;
    let call = call(arguments)?;
    let exports = match &config.export_dir {
        Some(directory) => Exports::in_directory(directory),
        None => Exports::in_place(&PathBuf::from(".")),
    };
    let exports = exports
        .context("the directory for the file cannot be used")?
        .with_max_wait(MAX_WAIT);
    if let Ok(policy) = &mut config.policy {
        policy.opt_ins.push(OptIn::Export);
    }
    config.output = config.output.map(|output| OutputOptions {
        structured: json,
        ..output
    });
    let stop = signal::stop()?;
    let (server, _sandbox) = build::server(config, false, Some(exports.clone())).await?;
    let mut client = McpClient::connect(
        server.clone(),
        None::<fn(String) -> std::future::Ready<bool>>,
    )
    .await?;
    let bar = bar();
    let mut progress = |notification: &Value| show(&bar, notification);
    let mut exporting = pin!(client.call_with_progress(TOOL, &call, &mut progress));
    let result = tokio::select! {
        result = &mut exporting => Some(result?),
        () = stop => {
            let kept = match exports.give_up() {
                true => timeout(KEEPING, exporting).await.ok().transpose()?,
                false => None,
            };
            server.end_exports();
            bar.finish_and_clear();
            eprint!("Cancelled. ");
            kept
        }
    };
    bar.finish_and_clear();
    let Some(result) = result else {
        eprintln!("No file was written.");
        return Ok(ExitCode::FAILURE);
    };
    if result.is_error() {
        eprint!("{}", result.text());
        return Ok(ExitCode::FAILURE);
    }
    result.print(json)
}

/// The arguments of the tool.
fn call(arguments: ExportArgs) -> anyhow::Result<Value> {
    let mut call = Map::new();
    let texts = [
        ("id", arguments.id),
        ("distinct_id", arguments.distinct_id),
        ("date_from", arguments.date_from),
        ("date_to", arguments.date_to),
        ("search", arguments.search),
        ("email", arguments.email),
    ];
    for (name, text) in texts {
        call.extend(text.map(|text| (name.to_owned(), json!(text))));
    }
    let filters = arguments.filters.iter();
    let filters: Vec<Value> = filters
        .map(|filter| serde_json::from_str(filter).context("--filter is not a JSON object"))
        .collect::<anyhow::Result<_>>()?;
    if !filters.is_empty() {
        call.insert("properties".to_owned(), filters.into());
    }
    if !arguments.select.is_empty() {
        call.insert("select".to_owned(), json!(arguments.select));
    }
    if arguments.all {
        call.insert("all".to_owned(), json!(true));
    }
    Ok(Value::Object(call))
}

/// On standard error, and only at a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, notification: &Value) {
    let number = |name: &str| notification.get(name).and_then(Value::as_f64);
    let message = notification.get("message").and_then(Value::as_str);
    if let (Some(done), Some(total)) = (number("progress"), number("total")) {
        if bar.length().is_none()
            && let Ok(style) =
                ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({eta} left)")
        {
            bar.set_style(style);
        }
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message("");
    } else {
        bar.set_message(message.unwrap_or_default().to_owned());
    }
}
