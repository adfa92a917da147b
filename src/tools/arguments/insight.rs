//! The parts of insights.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::types::NonEmptyString;
use posthog_client::EventFilter;

/// Stands in a schema for an object whose fields the argument's description names: written out, the parts of insights
/// would be a third of what every conversation begins with.
pub(in crate::tools) struct OpaqueObject;

impl JsonSchema for OpaqueObject {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OpaqueObject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

// An event of an insight.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tools) struct Event {
    // Its name.
    id: NonEmptyString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    math: Option<NonEmptyString>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    properties: Vec<EventFilter>,
}

// An action of an insight.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tools) struct Action {
    // Its number.
    id: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    math: Option<NonEmptyString>,
}

// The length of a period.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::tools) enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

// What a breakdown looks at.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::tools) enum BreakdownType {
    Event,
    Person,
    Cohort,
    Group,
}
