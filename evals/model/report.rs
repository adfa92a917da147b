//! The results of a run, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::conversation::Usage;
use super::run::TaskRun;

/// Totals of a run.
fn totals(runs: &[TaskRun]) -> (usize, usize, Usage) {
    let mut usage = Usage::default();
    for run in runs {
        usage += run.usage;
    }
    let passed = runs.iter().filter(|run| run.passed()).count();
    (passed, runs.iter().map(|run| run.calls).sum(), usage)
}

/// The result of a task; `success` is what its final message must say.
pub fn task_json(run: &TaskRun, success: &str) -> Value {
    let failed = run.findings.iter().filter(|finding| !finding.passed);
    json!({
        "task": run.task, "passed": run.passed(), "calls": run.calls, "turns": run.turns,
        "input_tokens": run.usage.input, "output_tokens": run.usage.output,
        "failed": failed.map(|finding| &finding.description).collect::<Vec<_>>(),
        "final_message": run.final_message, "final_message_must_say": success,
    })
}

/// The whole run.
#[must_use]
pub fn summary(model: &str, runs: &[TaskRun]) -> Value {
    let (passed, calls, usage) = totals(runs);
    let tasks = runs
        .iter()
        .map(|run| json!({"task": run.task, "passed": run.passed()}));
    json!({
        "model": model, "passed": passed, "tasks": runs.len(), "calls": calls,
        "input_tokens": usage.input, "output_tokens": usage.output, "results": tasks.collect::<Vec<_>>(),
    })
}

/// The heading of the table.
#[must_use]
pub fn heading() -> String {
    row(
        "task",
        "result",
        &["calls", "turns", "tokens in", "out"].map(str::to_owned),
    )
}

/// A task as a row of the table, and its failed checks below.
#[must_use]
pub fn task_row(run: &TaskRun) -> String {
    let counts = [
        run.calls.to_string(),
        run.turns.to_string(),
        run.usage.input.to_string(),
        run.usage.output.to_string(),
    ];
    let result = if run.passed() { "passed" } else { "FAILED" };
    let mut text = row(&run.task, result, &counts);
    for finding in run.findings.iter().filter(|finding| !finding.passed) {
        let _ = write!(text, "\n    {}", finding.description);
    }
    text
}

/// The last lines of the table.
#[must_use]
pub fn footer(model: &str, runs: &[TaskRun]) -> String {
    let (passed, calls, usage) = totals(runs);
    format!(
        "{model}: {passed} of {} tasks passed, {calls} calls, {} tokens in, {} out.\n\
         The final messages are not judged: each transcript ends with the message and with what it must say.",
        runs.len(),
        usage.input,
        usage.output
    )
}

fn row(task: &str, result: &str, [calls, turns, input, output]: &[String; 4]) -> String {
    format!("{task:34} {result:6} {calls:>6} {turns:>6} {input:>10} {output:>8}")
}
