//! `docs/examples.md`: conversations with the server, from the tasks of the evals.

use std::fmt::Write as _;

use rmcp::ClientLifecycleMode;
use serde_json::{Map, Value};
use tokio::process::Command;

use super::kit::play::{Failure, play};
use super::kit::suite::Suite;
use super::kit::transcript::Call;

/// Lines of an answer that the page shows.
const MAX_LINES: usize = 20;
/// Characters of a line that the page shows.
const MAX_COLUMNS: usize = 400;

const OPENING: &str = "\
# Examples

What a user says, what the assistant calls, what comes back. The words of the assistant are left out; everything else is
from real conversations with the server. The same persons are in the sandbox, so that each can be tried:

```sh
posthog-persons-mcp --sandbox call persons-list '{\"email\": \"ada@example.com\"}'
```

`cargo run --example generate` writes this page from the tasks of [evals/persons.yaml](../evals/persons.yaml).
`http://sandbox` stands for the URL of PostHog, `…` for tokens and for what is too long for a page.
";

/// The page.
///
/// # Errors
/// When a task cannot be played, or goes wrong.
pub async fn page(suite: &Suite, server: impl Fn() -> Command) -> Result<String, Failure> {
    let mut page = OPENING.to_owned();
    for task in &suite.tasks {
        let Some(explanation) = &task.page else {
            continue;
        };
        let played = play(task, ClientLifecycleMode::Initialize, server()).await?;
        if !played.wrong.is_empty() {
            return Err(format!("{}: {}", task.id, played.wrong.join("\n")).into());
        }
        let here = played.sandbox.url();
        let _ = write!(page, "\n## “{}”\n\n{}\n", task.intent, explanation.trim());
        for call in &played.transcript.calls {
            push_call(&mut page, call, &here);
        }
    }
    Ok(page)
}

fn push_call(page: &mut String, call: &Call, here: &str) {
    let mut arguments: Map<String, Value> = call.arguments.clone();
    if let Some(confirmation) = arguments.get_mut("confirmation") {
        *confirmation = "…".into();
    }
    let _ = write!(page, "\n`{}` `{}`\n", call.tool, Value::Object(arguments));
    for (question, agrees) in &call.asked {
        let answer = if *agrees { "Yes" } else { "No" };
        let _ = write!(
            page,
            "\nThe human is asked:\n\n{}\nand says: **{answer}**\n",
            block(question, here)
        );
    }
    if let Some(answer) = &call.answer {
        let _ = write!(page, "\n{}", block(&answer.text, here));
    }
}

/// A text as a block, cut where it is long, without what differs from run to run.
fn block(text: &str, here: &str) -> String {
    let text = text.replace(here, "http://sandbox");
    let text = match text.split_once("confirmation \"") {
        Some((before, rest)) => {
            let (_, after) = rest.split_once('"').unwrap_or_default();
            format!("{before}confirmation \"…\"{after}")
        }
        None => text,
    };
    let count = text.lines().count();
    let mut block = "```text\n".to_owned();
    for line in text.lines().take(MAX_LINES) {
        let shown: String = line.chars().take(MAX_COLUMNS).collect();
        let more = if shown.len() < line.len() { "…" } else { "" };
        let _ = writeln!(block, "{}{more}", shown.replace("```", "'''"));
    }
    if count > MAX_LINES {
        let _ = writeln!(block, "… {} more lines", count - MAX_LINES);
    }
    block + "```\n"
}
