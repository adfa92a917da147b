//! Generates `docs/examples.md`: sessions with the server, from the scripts of the evals.

use std::fmt::Write as _;

use rmcp::ClientLifecycleMode;
use serde_json::{Map, Value};
use tokio::process::Command;

use super::harness::play::play;
use super::harness::session::BoxError;
use super::harness::suite::Suite;
use super::harness::transcript::RecordedCall;

/// Lines shown of a tool result.
const MAX_LINES: usize = 20;
/// Characters shown of a line.
const MAX_COLUMNS: usize = 400;

const OPENING: &str = "\
# Examples

A user's prompt, the assistant's tool calls and their results, from real sessions between a client and the server. The
assistant's own messages are omitted. The sandbox has the same persons, so that you can try each call:

```sh
posthog-persons-mcp --sandbox call persons-list '{\"email\": \"ada@example.com\"}'
```

`cargo run --example generate` generates this page from the tasks in [evals/persons.yaml](../evals/persons.yaml).
`http://sandbox` stands for PostHog's URL; `…` marks tokens and truncated text.
";

/// Generates the page.
///
/// # Errors
/// If a script cannot be played or a tool result does not match it.
pub async fn page(suite: &Suite, server: impl Fn() -> Command) -> Result<String, BoxError> {
    let mut page = OPENING.to_owned();
    for task in &suite.tasks {
        let Some(introduction) = &task.example else {
            continue;
        };
        let played = play(task, ClientLifecycleMode::Initialize, server()).await?;
        if !played.mismatches.is_empty() {
            return Err(format!("{}: {}", task.id, played.mismatches.join("\n")).into());
        }
        let url = played.sandbox.url();
        let _ = write!(page, "\n## “{}”\n\n{}\n", task.intent, introduction.trim());
        for call in &played.transcript.calls {
            push_call(&mut page, call, &url);
        }
    }
    Ok(page)
}

fn push_call(page: &mut String, call: &RecordedCall, url: &str) {
    let mut arguments: Map<String, Value> = call.arguments.clone();
    if let Some(confirmation) = arguments.get_mut("confirmation") {
        *confirmation = "…".into();
    }
    let _ = write!(page, "\n`{}` `{}`\n", call.tool, Value::Object(arguments));
    for (question, approved) in &call.elicitations {
        let decision = if *approved { "approves" } else { "declines" };
        let _ = write!(
            page,
            "\nThe client asks the user:\n\n{}\nThe user {decision}.\n",
            block(question, url)
        );
    }
    if let Some(result) = &call.result {
        let _ = write!(page, "\n{}", block(&result.text, url));
    }
}

/// A truncated code block, with the URL and tokens replaced because they differ between runs.
fn block(text: &str, url: &str) -> String {
    let text = text.replace(url.trim_start_matches("http://"), "sandbox");
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
