//! The parts of insights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::types::NonEmptyString;
use posthog_client::{EventFilter, Operator};

// An event of an insight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::tools) struct Event {
    /// Event name.
    id: NonEmptyString,
    /// Position, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    math: Option<NonEmptyString>,
    /// Filters on the event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<EventFilterSchema>")]
    properties: Vec<EventFilter>,
}

// An action of an insight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::tools) struct Action {
    /// Number of the action.
    id: u32,
    /// Position, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    math: Option<NonEmptyString>,
}

// The length of a period.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(in crate::tools) enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

// What a breakdown looks at.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(in crate::tools) enum BreakdownType {
    Event,
    Person,
    Cohort,
    Group,
}

// The schema of an event filter, which differs from a person's in its types.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
struct EventFilterSchema {
    key: String,
    value: Option<Value>,
    operator: Option<Operator>,
    #[schemars(rename = "type")]
    kind: Option<EventFilterType>,
}

#[derive(JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum EventFilterType {
    Event,
    Person,
    Cohort,
}
