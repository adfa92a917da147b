//! The data model of `persons.yaml`, and its validation.
//!
//! Invariant: knows nothing about running tasks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

/// The file with the tasks.
pub const SUITE_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/evals/persons.yaml");

/// All tasks, and the rules that apply to each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    pub rules: Rules,
    pub tasks: Vec<Task>,
}

/// Rules for every task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Deletions, splits and merges that reached PostHog without a confirmation that named every affected id.
    pub writes_without_confirmation: usize,
}

/// One task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub id: String,
    /// The user's prompt.
    pub intent: String,
    /// The seeded persons that the task needs, and why.
    pub uses: String,
    #[serde(default)]
    pub fixture: Fixture,
    /// Tools that must be called.
    pub expected_tools: Vec<String>,
    /// Tools that may be called. Calling any other tool fails the task.
    #[serde(default)]
    pub acceptable_tools: Vec<String>,
    /// Tools that the server's settings exclude; calling them is an error but does not fail the task.
    #[serde(default)]
    pub withheld_tools: Vec<String>,
    /// Calls at most.
    pub max_calls: Option<usize>,
    #[serde(default)]
    pub confirmation: ConfirmationExpectation,
    /// What the assistant's final message must say. Judged by a human.
    pub success: String,
    /// Calls that complete the task.
    pub script: Vec<ScriptStep>,
    /// Requests that change something in PostHog. Zero applies to scripts and assistants; any other number is exact for the
    /// script, while an assistant may send more or fewer, but at least one.
    #[serde(default)]
    pub writes: usize,
    /// Virtual seconds to wait before checking the state.
    #[serde(default)]
    pub settle_seconds: u64,
    /// Expected state of the sandbox afterwards.
    #[serde(default)]
    pub state: Vec<StateCheck>,
    /// Introduces the task in `docs/examples.md`. Tasks without it are not shown there.
    pub example: Option<String>,
}

/// Setup of the sandbox and the server.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Number of generated persons in addition to the seeded ones.
    #[serde(default)]
    pub persons: usize,
    #[serde(default)]
    pub key: ApiKey,
    /// The server's project, if it is not the seeded one.
    pub project: Option<u64>,
    /// Command-line flags of the server.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Faults that the sandbox injects.
    #[serde(default)]
    pub faults: Vec<InjectedFault>,
}

#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ApiKey {
    /// All scopes.
    #[default]
    All,
    /// `person:read` only.
    Read,
    /// `person:read` and `query:read`.
    Query,
    /// A legacy key without scopes.
    Legacy,
}

/// A fault injected into the next matching requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectedFault {
    /// A substring of the method and path.
    pub request: String,
    #[serde(default = "once")]
    pub times: usize,
    pub kind: InjectedFaultKind,
}

fn once() -> usize {
    1
}

#[derive(Debug, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum InjectedFaultKind {
    /// Status 429 with `Retry-After: 60`.
    Throttle,
    /// The request takes effect, but the connection is closed before the response.
    DropAfterEffect,
}

/// Confirmations that a task requires, and how the user responds.
#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationExpectation {
    /// No confirmation is requested.
    #[default]
    None,
    /// The user approves the elicitation.
    Approved,
    /// The user declines the elicitation.
    Declined,
    /// The client does not support elicitation: the assistant shows the preview and calls again with the token.
    ApprovedInChat,
}

/// One call of the script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptStep {
    pub tool: String,
    /// The arguments. `"<name>"` is replaced with the value that an earlier step captured under that name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// Virtual seconds to advance before the call.
    #[serde(default)]
    pub advance_seconds: u64,
    #[serde(default)]
    pub outcome: ExpectedOutcome,
    /// Substrings that the tool result must contain.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Substrings that the tool result must not contain.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Expected values in the structured content, by JSON pointer.
    #[serde(default)]
    pub structured: BTreeMap<String, Value>,
    /// JSON pointers into the structured content whose values later steps refer to, by name.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedOutcome {
    #[default]
    Ok,
    /// A tool result with `isError`.
    Error,
    /// A protocol error: the tool does not exist.
    UnknownTool,
}

/// A GET request to the sandbox's API, and the expected response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateCheck {
    /// Path below the project, with the query.
    pub get: String,
    #[serde(default = "found")]
    pub status: u16,
    /// Expected values in the response, by JSON pointer.
    #[serde(default)]
    pub has: BTreeMap<String, Value>,
    /// JSON pointers that must not resolve in the response.
    #[serde(default)]
    pub lacks: Vec<String>,
}

fn found() -> u16 {
    200
}

impl Suite {
    /// Parses and validates a suite.
    ///
    /// # Errors
    /// Lists all problems: invalid YAML, unknown tools, tools that no task covers, duplicate ids.
    pub fn read(yaml: &str, catalog: &BTreeSet<String>) -> Result<Self, String> {
        let suite: Self = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        let problems = suite.problems(catalog);
        if problems.is_empty() {
            Ok(suite)
        } else {
            Err(problems.join("\n"))
        }
    }

    /// The task with this id.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    fn problems(&self, catalog: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut ids = BTreeSet::new();
        let mut covered = BTreeSet::new();
        for task in &self.tasks {
            let id = &task.id;
            if !ids.insert(id) {
                problems.push(format!("{id}: duplicate task id"));
            }
            let named = [
                &task.expected_tools,
                &task.acceptable_tools,
                &task.withheld_tools,
            ];
            for tool in named.into_iter().flatten() {
                if !catalog.contains(tool) {
                    problems.push(format!("{id}: unknown tool {tool}"));
                }
            }
            for tool in catalog.iter().filter(|tool| task.intent.contains(*tool)) {
                problems.push(format!("{id}: the intent names the tool {tool}"));
            }
            for step in &task.script {
                if !task.allows(&step.tool) {
                    problems.push(format!(
                        "{id}: the script calls {}, which the task does not list",
                        step.tool
                    ));
                }
                if step.outcome == ExpectedOutcome::Ok {
                    covered.insert(&step.tool);
                }
            }
        }
        // A tool whose calls all fail is not covered.
        for tool in catalog.iter().filter(|tool| !covered.contains(tool)) {
            problems.push(format!("no task covers the tool {tool}"));
        }
        problems
    }
}

impl Task {
    /// Whether the task permits calling this tool.
    #[must_use]
    pub fn allows(&self, tool: &str) -> bool {
        [
            &self.expected_tools,
            &self.acceptable_tools,
            &self.withheld_tools,
        ]
        .into_iter()
        .flatten()
        .any(|allowed| allowed == tool)
    }
}
