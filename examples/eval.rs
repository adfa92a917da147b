//! Runs the tasks of `evals/persons.yaml` with an assistant and scores the result. See `evals/README.md`.
//!
//! `run` gives tasks to a model over its API. For any other assistant, `start` runs a sandbox and prints the MCP configuration and
//! the prompt; `score` checks the outcome. In between, the assistant's client runs `record`, which starts the server and records
//! all messages.

#![allow(
    clippy::print_stdout,
    reason = "a command-line program; `record` prints only protocol messages"
)]

#[path = "../evals/mod.rs"]
mod harness;

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use clap::{Args, Parser, Subcommand};
use harness::model::conversation::Api;
use harness::model::endpoint::Endpoint;
use harness::model::{report, run::run_task};
use harness::score::{Actor, SandboxClient, score};
use harness::suite::{ConfirmationExpectation, SUITE_PATH, Suite, Task};
use harness::transcript::{RecordedMessage, Transcript, record};
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::Clock;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::process;

/// Run the tasks of evals/persons.yaml with an assistant and score the result
#[derive(Parser)]
struct Eval {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the tasks
    List,
    /// Give tasks to a model
    ///
    /// Starts a sandbox and the server for each task, gives the model the tools as a client would, confirms as the task's user,
    /// scores the result, and writes a transcript per task. The API key is read from `EVAL_API_KEY`; without it, none is sent.
    Run(RunArguments),
    /// Run the sandbox of a task until Ctrl-C; print the MCP configuration and the prompt
    Start { task: String },
    /// Score a task while its sandbox is running
    Score { task: String },
    /// Run the server and record all messages; started by the assistant's client
    #[command(hide = true)]
    Record { task: String },
    /// Run the server
    #[command(hide = true)]
    Server {
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<String>,
    },
}

#[derive(Args)]
struct RunArguments {
    /// Base URL of the API, such as `https://api.openai.com/v1` or `https://api.anthropic.com/v1`
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// Name of the model
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Form of the API
    #[arg(long, value_enum, default_value_t = Api::OpenAi)]
    api: Api,
    /// Tasks to run; all by default
    #[arg(long, value_name = "ID", num_args = 1..)]
    task: Vec<String>,
    /// Directory for the transcripts and summary.json
    #[arg(long, value_name = "DIR", default_value = "target/evals/run")]
    out: PathBuf,
    /// Maximum number of requests to the model for a task
    #[arg(long, value_name = "N", default_value_t = 20)]
    max_turns: usize,
}

/// Never an argument: other users of the machine see those.
const API_KEY: &str = "EVAL_API_KEY";

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime.map_err(BoxError::from).and_then(|runtime| {
        let result = runtime.block_on(run(Eval::parse().command));
        // A pending read of standard input would block a regular shutdown.
        runtime.shutdown_background();
        result
    });
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> Result<ExitCode, BoxError> {
    if let Command::Server { arguments } = command {
        let name = std::iter::once(env!("CARGO_PKG_NAME").to_owned());
        return Ok(commands::run(CliArguments::parse_from(name.chain(arguments))).await);
    }
    let tools = catalog();
    let tools = tools.iter().map(|tool| tool.name.to_owned()).collect();
    let suite = Suite::read(&std::fs::read_to_string(SUITE_PATH)?, &tools)?;
    let task = |id: &str| {
        let task = suite.task(id);
        task.ok_or_else(|| format!("Unknown task {id}. Run `list` for the task ids."))
    };
    match &command {
        Command::List => {
            for task in &suite.tasks {
                println!("{:34} {}", task.id, task.intent);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(arguments) => run_model(&suite, arguments).await,
        Command::Start { task: id } => start(task(id)?).await,
        Command::Score { task: id } => score_task(&suite, task(id)?).await,
        Command::Record { task: id } => record_task(task(id)?).await,
        Command::Server { .. } => Ok(ExitCode::FAILURE),
    }
}

/// The directory of a run: the sandbox's URL and the transcript.
fn run_directory(task: &Task) -> PathBuf {
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/target/evals");
    PathBuf::from(target).join(&task.id)
}

fn transcript_path(task: &Task) -> PathBuf {
    run_directory(task).join("transcript.jsonl")
}

fn url_path(task: &Task) -> PathBuf {
    run_directory(task).join("sandbox.txt")
}

async fn run_model(suite: &Suite, arguments: &RunArguments) -> Result<ExitCode, BoxError> {
    let key = std::env::var(API_KEY).ok().filter(|key| !key.is_empty());
    let key = key.map(SecretString::from);
    let endpoint = Endpoint::new(&arguments.endpoint, arguments.api, &arguments.model, key)?;
    let unknown = arguments.task.iter().find(|id| suite.task(id).is_none());
    if let Some(id) = unknown {
        return Err(format!("Unknown task {id}. Run `list` for the task ids.").into());
    }
    let chosen = |task: &&Task| arguments.task.is_empty() || arguments.task.contains(&task.id);
    println!("{}", report::heading());
    let mut runs = Vec::new();
    for task in suite.tasks.iter().filter(chosen) {
        let mut server = process::Command::new(std::env::current_exe()?);
        server
            .arg("server")
            // The server has no business with it.
            .env_remove(API_KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let (turns, out) = (arguments.max_turns, &arguments.out);
        let run = run_task(suite, task, &endpoint, turns, server, out).await?;
        println!("{}", report::task_row(&run));
        runs.push(run);
    }
    let summary = report::summary(&arguments.model, &runs);
    std::fs::write(arguments.out.join("summary.json"), format!("{summary:#}\n"))?;
    println!("\n{}", report::footer(&arguments.model, &runs));
    println!("Transcripts: {}", arguments.out.display());
    let passed = runs.iter().all(harness::model::run::TaskRun::passed);
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn start(task: &Task) -> Result<ExitCode, BoxError> {
    let sandbox = harness::sandbox::start(&task.fixture, Clock::Real).await?;
    std::fs::create_dir_all(run_directory(task))?;
    File::create(transcript_path(task))?;
    std::fs::write(url_path(task), sandbox.url())?;
    let environment = harness::sandbox::environment(&task.fixture, &sandbox.url());
    let environment: serde_json::Map<String, Value> = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let configuration = json!({"mcpServers": {"posthog": {
        "command": std::env::current_exe()?,
        "args": ["record", task.id],
        "env": environment,
    }}});
    let instruction = match task.confirmation {
        ConfirmationExpectation::None => {
            "Reply to questions as a user would; do not approve any deletion."
        }
        ConfirmationExpectation::Approved | ConfirmationExpectation::ApprovedInChat => {
            "Approve the deletion or split when asked."
        }
        ConfirmationExpectation::Declined => "Decline the deletion when asked.",
    };
    println!(
        "Configure the assistant with this MCP server and no other tools:\n\n{configuration:#}\n\n\
         Prompt:\n\n  {}\n\n{instruction}\n\n\
         When the assistant has finished, keep this running and score the task in another terminal:\n\n  \
         cargo run --example eval -- score {}\n\nPress Ctrl-C to stop the sandbox.",
        task.intent, task.id
    );
    std::io::stdout().flush()?;
    tokio::signal::ctrl_c().await?;
    sandbox.stop();
    Ok(ExitCode::SUCCESS)
}

async fn record_task(task: &Task) -> Result<ExitCode, BoxError> {
    let mut server = process::Command::new(std::env::current_exe()?)
        .arg("server")
        .args(harness::sandbox::arguments(&task.fixture))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(output), Some(input)) = (server.stdout.take(), server.stdin.take()) else {
        return Err("The server needs pipes for standard input and output.".into());
    };
    // Appends, because a client may start its servers more than once.
    let mut file = OpenOptions::new()
        .append(true)
        .open(transcript_path(task))?;
    let sink = move |message: RecordedMessage| writeln!(file, "{}", message.to_json_line());
    record(
        (tokio::io::stdin(), tokio::io::stdout()),
        (output, input),
        sink,
    )
    .await?;
    let status = server.wait().await?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn score_task(suite: &Suite, task: &Task) -> Result<ExitCode, BoxError> {
    let missing = |_| {
        format!(
            "The task was not started. Run: cargo run --example eval -- start {}",
            task.id
        )
    };
    let url = std::fs::read_to_string(url_path(task)).map_err(missing)?;
    let lines = std::fs::read_to_string(transcript_path(task)).map_err(missing)?;
    let messages: Vec<RecordedMessage> = lines
        .lines()
        .filter_map(RecordedMessage::from_json_line)
        .collect();
    let transcript = Transcript::from_messages(&messages);
    let sandbox = SandboxClient::new(&url)?;
    let findings = score(suite, task, Actor::Assistant, &transcript, &sandbox).await?;

    println!("{}: {}\n({})\n", task.id, task.intent, task.uses);
    for call in &transcript.calls {
        let result = call.result.as_ref();
        let outcome = match result {
            None => "no result",
            Some(result) if result.is_unknown_tool => "unknown tool",
            Some(result) if result.is_error => "error",
            Some(_) => "ok",
        };
        let bytes = result.map_or(0, |result| result.text.len());
        let arguments = Value::Object(call.arguments.clone());
        println!(
            "{} {arguments}: {outcome}, {bytes} bytes of text",
            call.tool
        );
    }
    println!();
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "\nCheck manually that the assistant's final message says: {}",
        task.success
    );
    let tokens = transcript
        .approvals
        .iter()
        .filter(|approval| approval.by_token)
        .count();
    if tokens > 0 {
        println!(
            "Confirmed by token: {tokens}. Check manually that the assistant showed the preview."
        );
    }
    let passed = findings.iter().all(|finding| finding.passed);
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
