//! The parts of insights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::types::NonEmptyString;
use posthog_client::EventFilter;

// An event of an insight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::tools) struct Event {
    /// Event name, such as "$pageview".
    id: NonEmptyString,
    /// Position, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    order: Option<u32>,
    /// Aggregation, such as "total" or "dau".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    math: Option<NonEmptyString>,
    /// Filters on the event, such as [{"key": "$browser", "value": "Safari"}].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<EventFilter>,
}

// An action of an insight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(in crate::tools) struct Action {
    /// Number of the action, such as 12.
    #[schemars(range(max = 2_147_483_647))]
    id: u32,
    /// Position, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    order: Option<u32>,
    /// Aggregation, such as "total" or "dau".
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

// A filter as a schema: persons-list describes it in full, an insight by an example.
pub(in crate::tools) type AnyFilter = Map<String, Value>;
