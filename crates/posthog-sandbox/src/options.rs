//! How the simulated server is set up, and what can be changed about it while it runs.

use crate::fixtures::Seed;
use crate::http::Key;
use crate::model::{Clock, Era};

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Generated persons in addition to the seeded ones, all older than these.
    pub persons: usize,
    /// Generated events of one person, [`Sandbox::LONG_HISTORY`](crate::Sandbox::LONG_HISTORY), who exists only with some.
    /// Only with the built-in story.
    pub events: usize,
    /// The version of PostHog that is simulated.
    pub era: Era,
    /// In place of the built-in story.
    pub seed: Option<Seed>,
    pub clock: Clock,
    /// The clock begins now, in place of the time of the seed: for what compares the sandbox's times with those of a process.
    pub starts_now: bool,
    /// Older servers: splitting off a person's creator id moves nothing, and blanks the person in the analytics store.
    /// Always so before [`Era::September2026`].
    pub creator_split_is_noop: bool,
    /// The batch endpoints declare no scope, and so reject keys that have scopes.
    pub batch_closed_to_keys: bool,
    /// The properties that a display name is taken from, in this order.
    pub display_properties: Vec<String>,
    /// Keys that are accepted in addition to the constants of [`Sandbox`](crate::Sandbox).
    pub keys: Vec<Key>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            persons: 0,
            events: 0,
            era: Era::default(),
            seed: None,
            clock: Clock::default(),
            starts_now: false,
            creator_split_is_noop: false,
            batch_closed_to_keys: false,
            display_properties: ["email", "name", "username"].map(str::to_owned).to_vec(),
            keys: Vec::new(),
        }
    }
}

/// Lasting states of the simulated server, all off at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviors {
    /// Ingestion accepts no events: PATCH, PUT and `update_property` still respond 202 and change nothing,
    /// `delete_property` responds with `capture_status`, or 400 instead of a 5xx; the capture endpoints respond with it too.
    pub capture_down: bool,
    /// The status that ingestion responds with while it is down.
    pub capture_status: u16,
    /// The project's quota of events is used up: capture accepts events and drops them, and says so.
    pub events_over_quota: bool,
    /// Merges that would move more distinct ids than this are dropped without a trace; with 0, all merges of two persons.
    pub merge_move_limit: Option<usize>,
    /// Splits are accepted and logged, and never carried out.
    pub split_task_lost: bool,
    /// Queued deletions are accepted, and fail later without a trace.
    pub queued_delete_fails: bool,
    /// The deletion of the first person fails at this step: in `deletion_errors` of a bulk delete, as a 503 of the
    /// single one.
    pub deletion_fails_at: Option<String>,
    /// Properties that access control hides from the caller and does not let it write.
    pub restricted_properties: Vec<String>,
    /// The project has the old limit for HogQL queries, and it is used up for almost an hour. Other queries still work.
    pub hogql_throttled: bool,
    /// The most rows of a query's response, in place of PostHog's 50,000.
    pub row_cap: Option<usize>,
    /// The key owner's current project is another one: `@current` resolves to it, and the cohorts of persons of the
    /// seeded project come out empty.
    pub foreign_current_project: bool,
    /// A cache in front of the server keeps one response for every `limit`.
    pub limit_ignored: bool,
}

impl Default for Behaviors {
    fn default() -> Self {
        Self {
            capture_down: false,
            capture_status: 503,
            events_over_quota: false,
            merge_move_limit: None,
            split_task_lost: false,
            queued_delete_fails: false,
            deletion_fails_at: None,
            restricted_properties: Vec::new(),
            hogql_throttled: false,
            row_cap: None,
            foreign_current_project: false,
            limit_ignored: false,
        }
    }
}
