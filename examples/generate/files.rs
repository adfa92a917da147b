//! The generated files of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::server::to_protocol_tool;
use posthog_persons_mcp::tools::{catalog, offered_by_default};
use serde_json::{Value, json};
use tokio::process::Command;

use super::conversations;
use super::harness::session::BoxError;
use super::harness::suite::{SUITE_PATH, Suite};
use super::session_picture;

/// The directory of the tool contracts.
pub const CONTRACTS: &str = "tests/it/contracts";
const README: &str = "README.md";
const MANIFEST: &str = "packaging/mcpb/manifest.json";
const TABLE_BEGIN: &str = "<!-- begin tools: cargo run --example generate -->\n";
const TABLE_END: &str = "<!-- end tools -->\n";

/// Generates every file and its content. `server` starts the binary.
///
/// # Errors
/// If a file with a generated section cannot be read, or a tool result does not match its script.
pub async fn files(
    root: &Path,
    server: impl Fn() -> Command,
) -> Result<Vec<(PathBuf, String)>, BoxError> {
    let mut files = vec![
        (
            README.into(),
            readme(&fs::read_to_string(root.join(README))?)?,
        ),
        (
            MANIFEST.into(),
            manifest(&fs::read_to_string(root.join(MANIFEST))?)?,
        ),
    ];
    let structured = OutputOptions {
        structured: true,
        ..OutputOptions::default()
    };
    for tool in catalog() {
        let contract = serde_json::to_string_pretty(&to_protocol_tool(&tool, &structured))?;
        let path = Path::new(CONTRACTS).join(format!("{}.json", tool.name));
        files.push((path, contract + "\n"));
    }
    let names: BTreeSet<String> = catalog().iter().map(|tool| tool.name.to_owned()).collect();
    let suite = Suite::read(&fs::read_to_string(SUITE_PATH)?, &names)?;
    let page = conversations::page(&suite, server).await?;
    files.push(("docs/examples.md".into(), page));
    let picture = session_picture::draw().await?;
    files.push(("docs/session.svg".into(), picture));
    Ok(files)
}

/// The README with the current table of tools.
fn readme(text: &str) -> Result<String, BoxError> {
    let (before, rest) = text
        .split_once(TABLE_BEGIN)
        .ok_or("README.md has no begin marker of the table of tools")?;
    let (_, after) = rest
        .split_once(TABLE_END)
        .ok_or("README.md has no end marker of the table of tools")?;
    let mut table = "| tool | effect | set | for |\n|---|---|---|---|\n".to_owned();
    for tool in catalog() {
        let summary = tool.description.split(". ").next().unwrap_or_default();
        let summary = summary.trim_end_matches('.');
        table.push_str(&format!(
            "| `{}` | {} | {} | {summary} |\n",
            tool.name,
            tool.effect.name(),
            tool.toolset.name()
        ));
    }
    Ok([before, TABLE_BEGIN, &table, TABLE_END, after].concat())
}

/// The manifest of the Claude Desktop bundle with the current tools.
fn manifest(text: &str) -> Result<String, BoxError> {
    let (before, rest) = text
        .split_once("  \"tools\": [")
        .ok_or("the manifest has no list of tools")?;
    let (_, after) = rest
        .split_once("\n  ]")
        .ok_or("the manifest's list of tools is not closed")?;
    let tools: Vec<Value> = offered_by_default()
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.title}))
        .collect();
    let tools = tools.iter().map(|tool| {
        format!(
            "    {{\n      \"name\": {},\n      \"description\": {}\n    }}",
            tool["name"], tool["description"]
        )
    });
    let tools = tools.collect::<Vec<_>>().join(",\n");
    Ok(format!("{before}  \"tools\": [\n{tools}\n  ]{after}"))
}
