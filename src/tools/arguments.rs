//! Arguments that several tools share, and how all are read: leniently in form, strictly in meaning.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::Hash;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::output;
use posthog_client::{EventFilter, PersonId, is_date, is_timestamp};

use super::ToolError;

/// PostHog stores no distinct id that is longer.
const MAX_DISTINCT_ID_CHARS: usize = 400;

const HOW_TO_FIND: &str = "To find the person behind an e-mail, a name or a distinct id, call persons-list with email, \
                           search or distinct_id.";

/// Reads a tool's arguments.
pub(super) fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner();
        ToolError::invalid_input(match path.as_str() {
            "." => format!("Wrong arguments: {reason}."),
            path => format!("Wrong argument `{path}`: {reason}."),
        })
    })
}

/// Accepts what models send though the schema says otherwise: numbers and booleans as text, whole numbers where text is
/// wanted, null for absent. Only where the schema leaves no doubt about what is meant.
pub(super) fn coerce(
    arguments: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Map<String, Value> {
    let fields = schema.get("properties");
    arguments
        .into_iter()
        .filter_map(|(name, value)| {
            let wanted = fields
                .and_then(|fields| fields.get(&name)?.get("type"))
                .and_then(Value::as_str);
            let value = match (wanted, value) {
                (Some(_), Value::Null) => return None,
                (Some("integer"), Value::String(text)) => match text.trim().parse::<i64>() {
                    Ok(number) => number.into(),
                    Err(_) => text.into(),
                },
                (Some("integer"), Value::Number(number)) => match number.as_f64() {
                    // 20.0 is an integer in JSON Schema.
                    Some(float)
                        if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 =>
                    {
                        (float as i64).into()
                    }
                    _ => number.into(),
                },
                (Some("boolean"), Value::String(text)) => match text.trim() {
                    "true" => true.into(),
                    "false" => false.into(),
                    _ => text.into(),
                },
                (Some("string"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
                    number.to_string().into()
                }
                (_, value) => value,
            };
            Some((name, value))
        })
        .collect()
}

// A person's UUID or numeric id.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, transparent)]
pub(super) struct Id(#[schemars(with = "String")] pub(super) PersonId);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        PersonId::parse(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "this is neither a person's UUID nor a numeric id, and a distinct id or e-mail cannot stand in for \
                 one. {HOW_TO_FIND} Nothing was requested"
            ))
        })
    }
}

/// A person, by one of two names.
#[derive(Debug)]
pub(super) enum Subject {
    Id(PersonId),
    DistinctId(String),
}

/// Reads the pair of arguments of which exactly one must be given.
pub(super) fn subject(
    id: Option<Id>,
    distinct_id: Option<DistinctId>,
) -> Result<Subject, ToolError> {
    match (id, distinct_id) {
        (Some(id), None) => Ok(Subject::Id(id.0)),
        (None, Some(distinct_id)) => Ok(Subject::DistinctId(distinct_id.0)),
        _ => Err(ToolError::invalid_input(format!(
            "Give exactly one of `id` (UUID or numeric id) and `distinct_id`. {HOW_TO_FIND}"
        ))),
    }
}

// A distinct id, exactly as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct DistinctId(pub(super) String);

impl<'de> Deserialize<'de> for DistinctId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.chars().count() > MAX_DISTINCT_ID_CHARS {
            return Err(D::Error::custom(format!(
                "a distinct id has 1 to {MAX_DISTINCT_ID_CHARS} characters"
            )));
        }
        Ok(Self(text))
    }
}

// Text with something in it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct NonEmptyString(pub(super) String);

impl<'de> Deserialize<'de> for NonEmptyString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(D::Error::custom(
                "this is empty; give a text, or leave an optional argument out",
            ));
        }
        Ok(Self(text))
    }
}

// A person's UUID.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, transparent)]
pub(super) struct PersonUuid(#[schemars(with = "String")] pub(super) Uuid);

impl<'de> Deserialize<'de> for PersonUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let uuid = if text.len() == 36 {
            Uuid::try_parse(&text).ok()
        } else {
            None
        };
        uuid.map(Self)
            .ok_or_else(|| D::Error::custom(format!("this is not a person's UUID. {HOW_TO_FIND}")))
    }
}

// How many rows.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Limit(#[schemars(range(min = 1, max = 1000))] pub(super) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 1000).map(Self)
    }
}

// Rows to skip.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Offset(pub(super) u32);

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 0, i32::MAX.unsigned_abs()).map(Self)
    }
}

// Which page, from 1.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct PageNumber(#[schemars(range(min = 1))] pub(super) u32);

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for PageNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, i32::MAX.unsigned_abs()).map(Self)
    }
}

// A number of periods.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Periods(#[schemars(range(min = 1, max = 1000))] u32);

impl<'de> Deserialize<'de> for Periods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 1000).map(Self)
    }
}

// How long to wait for an effect, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct WaitSeconds(#[schemars(range(max = 60))] pub(super) u32);

impl<'de> Deserialize<'de> for WaitSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 0, 60).map(Self)
    }
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: u32,
    most: u32,
) -> Result<u32, D::Error> {
    let number = i64::deserialize(deserializer)?;
    u32::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| D::Error::custom(format!("{number} is not between {least} and {most}")))
}

// A date, absolute or relative.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Date(String);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_date(&text) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(
            "this is not a date; give one such as 2026-01-31, 2026-01-31T12:00:00Z or, relative to now, -7d",
        ))
    }
}

// A moment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Timestamp(pub(super) String);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_timestamp(&text) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(
            "this is not a moment in ISO 8601, such as 2026-01-31T12:00:00Z",
        ))
    }
}

// Properties to show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Select(Vec<NonEmptyString>);

/// Each item once, in the order of its first.
pub(super) fn distinct<T: Clone + Eq + Hash>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items
        .into_iter()
        .filter(|item| seen.insert(item.clone()))
        .collect()
}

/// Reads the `select` argument.
pub(super) fn select(keys: Option<Select>) -> output::Select {
    output::Select::from_keys(keys.map(|keys| keys.0.into_iter().map(|key| key.0).collect()))
}

/// Stands in a schema for an object whose fields the argument's description names: written out, the parts of insights
/// would be a third of what every conversation begins with.
pub(super) struct OpaqueObject;

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
pub(super) struct Event {
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
pub(super) struct Action {
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
pub(super) enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

// What a breakdown looks at.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BreakdownType {
    Event,
    Person,
    Cohort,
    Group,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn form_is_forgiven_where_the_schema_leaves_no_doubt() {
        let schema = json!({"properties": {
            "limit": {"type": "integer"}, "flag": {"type": "boolean"}, "id": {"type": "string"}, "value": {}
        }});
        let arguments =
            json!({"limit": "20", "flag": "true", "id": 7, "value": null, "other": "1"});
        let read = coerce(
            arguments.as_object().unwrap().clone(),
            schema.as_object().unwrap(),
        );
        assert_eq!(
            Value::Object(read),
            json!({"limit": 20, "flag": true, "id": "7", "value": null, "other": "1"})
        );
        let absent = json!({"limit": null, "flag": "yes"});
        let read = coerce(
            absent.as_object().unwrap().clone(),
            schema.as_object().unwrap(),
        );
        assert_eq!(Value::Object(read), json!({"flag": "yes"}));
    }
}
