//! Lets an assistant do the tasks of `evals/persons.yaml`, and scores what it did. `evals/README.md` says how.
//!
//! `start` runs a sandbox and says what to give the assistant; `score` looks at what became of it. Between the two the
//! assistant's client runs `record`, which starts the server and keeps what passes.

#![allow(
    clippy::print_stdout,
    reason = "what is printed is for whoever runs it; `record` prints nothing but the protocol"
)]

#[path = "../evals/mod.rs"]
mod kit;

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use clap::{Parser, Subcommand};
use kit::score::{Doer, Witness, score};
use kit::suite::{Human, PERSONS, Suite, Task};
use kit::transcript::{Line, Transcript, record};
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::Clock;
use serde_json::{Value, json};
use tokio::process;

/// Lets an assistant do the tasks of evals/persons.yaml, and scores what it did.
#[derive(Parser)]
struct Eval {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the tasks
    List,
    /// Run the sandbox of a task until Ctrl-C, and print what to give the assistant
    Start { task: String },
    /// Score what the assistant did, while the sandbox still runs
    Score { task: String },
    /// What the assistant's client starts: the server, with everything that passes on record
    #[command(hide = true)]
    Record { task: String },
    /// The server itself
    #[command(hide = true)]
    Server {
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<String>,
    },
}

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        let done = runtime.block_on(run(Eval::parse().command));
        // A read of standard input that is still waiting must not hold up the end.
        runtime.shutdown_background();
        done
    });
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    if let Command::Server { arguments } = command {
        let name = std::iter::once(env!("CARGO_PKG_NAME").to_owned());
        return Ok(commands::run(CliArguments::parse_from(name.chain(arguments))).await);
    }
    let tools = catalog();
    let tools = tools.iter().map(|tool| tool.name.to_owned()).collect();
    let suite = Suite::read(&std::fs::read_to_string(PERSONS)?, &tools)?;
    let task = |id: &str| {
        let task = suite.task(id);
        task.ok_or_else(|| format!("There is no task {id}; `list` names those there are."))
    };
    match &command {
        Command::List => {
            for task in &suite.tasks {
                println!("{:34} {}", task.id, task.intent);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Start { task: id } => start(task(id)?).await,
        Command::Score { task: id } => scored(&suite, task(id)?).await,
        Command::Record { task: id } => recorded(task(id)?).await,
        Command::Server { .. } => Ok(ExitCode::FAILURE),
    }
}

/// Where a run keeps its address and its record.
fn folder(task: &Task) -> PathBuf {
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/target/evals");
    PathBuf::from(target).join(&task.id)
}

fn transcript(task: &Task) -> PathBuf {
    folder(task).join("transcript.jsonl")
}

fn address(task: &Task) -> PathBuf {
    folder(task).join("sandbox.txt")
}

async fn start(task: &Task) -> Result<ExitCode, Failure> {
    let sandbox = kit::sandbox::start(&task.fixture, Clock::Real).await?;
    std::fs::create_dir_all(folder(task))?;
    File::create(transcript(task))?;
    std::fs::write(address(task), sandbox.url())?;
    let environment = kit::sandbox::environment(&task.fixture, &sandbox.url());
    let environment: serde_json::Map<String, Value> = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let configuration = json!({"mcpServers": {"posthog-persons": {
        "command": std::env::current_exe()?,
        "args": ["record", task.id],
        "env": environment,
    }}});
    let part = match task.human {
        Human::NotAsked => "Answer questions in the chat as a user would; agree to no deletion.",
        Human::Agrees | Human::AgreesInTheChat => "Asked whether to delete or split, say yes.",
        Human::Declines => "Asked whether to delete, say no.",
    };
    println!(
        "Give the assistant this MCP server, and no other tools:\n\n{configuration:#}\n\n\
         Say to it:\n\n  {}\n\n{part}\n\n\
         When it is done, leave this running and score it from another terminal:\n\n  \
         cargo run --example eval -- score {}\n\nCtrl-C ends the sandbox.",
        task.intent, task.id
    );
    std::io::stdout().flush()?;
    tokio::signal::ctrl_c().await?;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}

async fn recorded(task: &Task) -> Result<ExitCode, Failure> {
    let mut server = process::Command::new(std::env::current_exe()?)
        .arg("server")
        .args(kit::sandbox::arguments(&task.fixture))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(said), Some(heard)) = (server.stdout.take(), server.stdin.take()) else {
        return Err("The server has no standard input and output.".into());
    };
    // A client may start its servers more than once.
    let mut file = OpenOptions::new().append(true).open(transcript(task))?;
    let keep = move |line: Line| writeln!(file, "{}", line.text());
    record(
        (tokio::io::stdin(), tokio::io::stdout()),
        (said, heard),
        keep,
    )
    .await?;
    let ended = server.wait().await?;
    Ok(if ended.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn scored(suite: &Suite, task: &Task) -> Result<ExitCode, Failure> {
    let missing = |_| {
        format!(
            "Nothing was started: cargo run --example eval -- start {}",
            task.id
        )
    };
    let url = std::fs::read_to_string(address(task)).map_err(missing)?;
    let lines = std::fs::read_to_string(transcript(task)).map_err(missing)?;
    let lines: Vec<Line> = lines.lines().filter_map(Line::read).collect();
    let transcript = Transcript::read(&lines);
    let witness = Witness::new(&url)?;
    let findings = score(suite, task, Doer::Assistant, &transcript, &witness).await?;

    println!("{}: {}\n({})\n", task.id, task.intent, task.uses);
    for call in &transcript.calls {
        let answer = call.answer.as_ref();
        let kind = match answer {
            None => "no answer",
            Some(answer) if answer.is_unknown => "unknown tool",
            Some(answer) if answer.is_error => "error",
            Some(_) => "ok",
        };
        let bytes = answer.map_or(0, |answer| answer.text.len());
        let arguments = Value::Object(call.arguments.clone());
        println!("{} {arguments}: {kind}, {bytes} bytes of text", call.tool);
    }
    println!();
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "\nFor you to judge, from the assistant's last words: {}",
        task.success
    );
    let tokens = transcript
        .approvals
        .iter()
        .filter(|approval| approval.by_token)
        .count();
    if tokens > 0 {
        println!(
            "Confirmed by token: {tokens}. Whether a human was shown the preview, only you know."
        );
    }
    let holds = findings.iter().all(|finding| finding.holds);
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
