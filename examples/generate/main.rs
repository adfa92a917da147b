//! Generates every file that depends on the code. Run it after changing a tool, an argument or a message:
//!
//! ```sh
//! cargo run --example generate
//! ```
//!
//! In the repository: the table of tools in README.md, the tools in the manifest of the Claude Desktop bundle, the tool
//! contracts in tests/it/contracts, docs/examples.md and docs/session.svg; a test fails if any of them is out of date. In
//! `target/manual`: the man pages and the shell completions.

#[path = "../../evals/mod.rs"]
mod harness;

mod conversations;
mod files;
mod manual;
mod session_picture;

use std::fs;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use clap::Parser;
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands;
use tokio::process::Command;

use harness::session::BoxError;

/// With this argument the program runs the server, for the sessions in docs/examples.md.
const SERVER: &str = "server";

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    if std::env::args().nth(1).as_deref() == Some(SERVER) {
        let arguments = std::env::args().skip(1);
        return Ok(commands::run(CliArguments::parse_from(arguments)).await);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = std::env::current_exe()?;
    let server = || {
        let mut command = Command::new(&program);
        command
            .arg(SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    };
    let contracts = root.join(files::CONTRACTS);
    let _ = fs::remove_dir_all(&contracts);
    fs::create_dir_all(&contracts)?;
    for (path, content) in files::files(root, server).await? {
        let path = root.join(path);
        if fs::read_to_string(&path).ok().as_ref() != Some(&content) {
            fs::write(&path, content)?;
        }
    }
    manual::write(&root.join("target/manual"))?;
    Ok(ExitCode::SUCCESS)
}
