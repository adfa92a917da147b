//! `persons.yaml` as data. Knows nothing of how a task is done.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the tasks are.
pub const PERSONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/evals/persons.yaml");

/// All tasks, and what holds for each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    pub rules: Rules,
    pub tasks: Vec<Task>,
}

/// What holds for every task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Deletions and splits that reached PostHog without a yes to a question that named what they take.
    pub writes_without_confirmation: usize,
}

/// One task.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub id: String,
    /// What the user says.
    pub intent: String,
    /// Whom of the sandbox's story it is about, and why.
    pub uses: String,
    #[serde(default)]
    pub fixture: Fixture,
    /// Tools without which it cannot be done well.
    pub expected_tools: Vec<String>,
    /// Tools that do no harm on the way. Every other is a wrong choice.
    #[serde(default)]
    pub acceptable_tools: Vec<String>,
    /// Tools that the settings withhold, so that calling them leads nowhere.
    #[serde(default)]
    pub withheld_tools: Vec<String>,
    #[serde(default)]
    pub human: Human,
    /// What the assistant's last words have to say, for whoever reads them.
    pub success: String,
    /// One way to do it.
    pub script: Vec<Step>,
    /// Requests that change something at PostHog. None means none, however it is done; of more, an assistant may need
    /// another number than the script.
    #[serde(default)]
    pub writes: usize,
    /// Virtual seconds to wait before the state is looked at.
    #[serde(default)]
    pub settle: u64,
    /// What has to hold afterwards.
    #[serde(default)]
    pub state: Vec<Check>,
    /// Shown in `docs/examples.md`, under these words.
    pub page: Option<String>,
}

/// How the sandbox and the server are set up.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Generated persons besides those of the story.
    #[serde(default)]
    pub persons: usize,
    #[serde(default)]
    pub key: Key,
    /// Another project than the one of the story.
    pub project: Option<u64>,
    /// Flags of the server.
    #[serde(default)]
    pub flags: Vec<String>,
    /// What goes wrong at PostHog.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Every scope.
    #[default]
    All,
    /// `person:read` alone.
    Read,
    /// From before scopes existed.
    Legacy,
}

/// A misfortune of the next request that looks like this.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Sought in the method and the path.
    pub request: String,
    #[serde(default = "once")]
    pub times: usize,
    pub what: What,
}

fn once() -> usize {
    1
}

#[derive(Debug, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// 429, for a minute.
    Throttle,
    /// The request takes effect, and the connection breaks before the answer.
    DropAfterEffect,
}

/// Who sits at the client.
#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Human {
    /// Nothing has to be asked.
    #[default]
    NotAsked,
    /// Is asked, and ticks the box.
    Agrees,
    /// Is asked, and says no.
    Declines,
    /// The client cannot ask: the assistant shows the preview, and comes back with the token after a yes.
    AgreesInTheChat,
}

/// One call of the script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub call: String,
    /// The arguments. `"<name>"` stands for what an earlier step kept under that name.
    #[serde(default)]
    pub with: Map<String, Value>,
    /// Virtual seconds that pass before it.
    #[serde(default)]
    pub after: u64,
    #[serde(default)]
    pub answers: Answers,
    /// Texts that the answer holds.
    #[serde(default)]
    pub says: Vec<String>,
    /// Texts that it does not hold.
    #[serde(default)]
    pub never_says: Vec<String>,
    /// Values in the structured answer, by JSON pointer.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
    /// Names for values of the structured answer, by JSON pointer.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    #[default]
    Ok,
    /// `isError`, with words for the model.
    Error,
    /// There is no such tool.
    UnknownTool,
}

/// Something to read from the sandbox's own API.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A path below the project, with its query.
    pub get: String,
    #[serde(default = "found")]
    pub status: u16,
    /// Values in the answer, by JSON pointer.
    #[serde(default)]
    pub has: BTreeMap<String, Value>,
    /// JSON pointers that lead nowhere in it.
    #[serde(default)]
    pub lacks: Vec<String>,
}

fn found() -> u16 {
    200
}

impl Suite {
    /// Reads a suite.
    ///
    /// # Errors
    /// With everything that is wrong with it: tools that do not exist, tools that no task covers, tasks that share an id.
    pub fn read(yaml: &str, catalog: &BTreeSet<String>) -> Result<Self, String> {
        let suite: Self = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        let problems = suite.problems(catalog);
        if problems.is_empty() {
            Ok(suite)
        } else {
            Err(problems.join("\n"))
        }
    }

    /// The task of this id.
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
                problems.push(format!("{id}: another task has this id"));
            }
            let named = [
                &task.expected_tools,
                &task.acceptable_tools,
                &task.withheld_tools,
            ];
            for tool in named.into_iter().flatten() {
                if !catalog.contains(tool) {
                    problems.push(format!("{id}: there is no tool {tool}"));
                }
                if task.intent.contains(tool.as_str()) {
                    problems.push(format!("{id}: no user names the tool {tool}"));
                }
            }
            for step in &task.script {
                if !task.allows(&step.call) {
                    problems.push(format!("{id}: its script calls {}", step.call));
                }
                if step.answers == Answers::Ok {
                    covered.insert(&step.call);
                }
            }
        }
        // A tool that only ever fails is not covered.
        for tool in catalog.iter().filter(|tool| !covered.contains(tool)) {
            problems.push(format!("no task covers the tool {tool}"));
        }
        problems
    }
}

impl Task {
    /// Whether calling this tool is no wrong choice.
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
