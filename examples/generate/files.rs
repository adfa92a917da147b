//! The files of the repository that are written from the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use posthog_client::RequiredScopes;
use posthog_persons_mcp::server::to_protocol_tool;
use posthog_persons_mcp::tools::catalog;
use serde_json::{Value, json};
use tokio::process::Command;

use super::conversations;
use super::kit::play::Failure;
use super::kit::suite::{PERSONS, Suite};
use super::session_picture;

/// Where the contracts of the tools are.
pub const CONTRACTS: &str = "tests/it/contracts";
const README: &str = "README.md";
const MANIFEST: &str = "packaging/mcpb/manifest.json";
const TABLE_BEGIN: &str = "<!-- begin tools: cargo run --example generate -->\n";
const TABLE_END: &str = "<!-- end tools -->\n";

/// Every file and its content. `server` starts the binary.
///
/// # Errors
/// When a file that holds a generated part cannot be read, or the server does not do what a conversation expects.
pub async fn files(
    root: &Path,
    server: impl Fn() -> Command,
) -> Result<Vec<(PathBuf, String)>, Failure> {
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
    for tool in catalog() {
        let contract = serde_json::to_string_pretty(&to_protocol_tool(&tool, true))?;
        let path = Path::new(CONTRACTS).join(format!("{}.json", tool.name));
        files.push((path, contract + "\n"));
    }
    let names: BTreeSet<String> = catalog().iter().map(|tool| tool.name.to_owned()).collect();
    let suite = Suite::read(&fs::read_to_string(PERSONS)?, &names)?;
    let page = conversations::page(&suite, server).await?;
    files.push(("docs/examples.md".into(), page));
    let picture = session_picture::draw().await?;
    files.push(("docs/session.svg".into(), picture));
    Ok(files)
}

/// The README with today's table of tools.
fn readme(text: &str) -> Result<String, Failure> {
    let (before, rest) = text
        .split_once(TABLE_BEGIN)
        .ok_or("README.md has no begin of the tools")?;
    let (_, after) = rest
        .split_once(TABLE_END)
        .ok_or("README.md has no end of the tools")?;
    let mut table = "| tool | effect | set | for |\n|---|---|---|---|\n".to_owned();
    for tool in catalog() {
        let summary = tool.description.split(". ").next().unwrap_or_default();
        let summary = summary.trim_end_matches('.');
        let legacy_only = match tool.access {
            RequiredScopes::ClosedToScopedKeys => " ¹",
            RequiredScopes::Scopes(_) => "",
        };
        table.push_str(&format!(
            "| `{}` | {} | {} | {summary}{legacy_only} |\n",
            tool.name,
            tool.effect.name(),
            tool.toolset.name()
        ));
    }
    Ok([before, TABLE_BEGIN, &table, TABLE_END, after].concat())
}

/// The manifest of the bundle for Claude Desktop with today's tools.
fn manifest(text: &str) -> Result<String, Failure> {
    let (before, rest) = text
        .split_once("  \"tools\": [")
        .ok_or("the manifest lists no tools")?;
    let (_, after) = rest
        .split_once("\n  ]")
        .ok_or("the manifest's list of tools has no end")?;
    let tools: Vec<Value> = catalog()
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
