//! The parts of insights.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::types::{MAX_ITEMS, NonEmptyString, list, too_long};
use crate::tools::ToolError;
use posthog_client::{Breakdown, BreakdownType, EventFilter, Filter, FirstTime, Series};

// An event of an insight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an event such as {\"id\": \"sign up\"}"
)]
#[schemars(inline)]
pub(in crate::tools) struct Event {
    /// Event name, such as "sign up".
    id: NonEmptyString,
    /// Position, from 0. Default: as listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    order: Option<u32>,
    /// Only a person's first event counts. Default: any.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "first_time"
    )]
    #[schemars(with = "Option<FirstTime>")]
    math: Option<FirstTime>,
    /// Filters on the event, such as [{"key": "$browser", "value": "Safari"}].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<EventFilter>,
}

/// Insights copied from PostHog have other ways of counting, which do not apply to persons.
fn first_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FirstTime>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    Ok(name.and_then(|name| serde_json::from_value(name.into()).ok()))
}

// An action of an insight.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an action such as {\"id\": 12}")]
#[schemars(inline)]
pub(in crate::tools) struct Action {
    /// Number of the action, such as 12.
    id: u32,
    /// Position, from 0. Default: as listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    order: Option<u32>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "first_time"
    )]
    #[schemars(skip)]
    math: Option<FirstTime>,
}

impl Event {
    /// The event's filters.
    pub(in crate::tools) fn filters_mut(&mut self) -> impl Iterator<Item = &mut Filter> {
        self.properties.iter_mut().map(EventFilter::filter_mut)
    }

    /// The keys of person properties in the event's filters.
    pub(in crate::tools) fn person_properties(&self) -> impl Iterator<Item = &str> {
        self.properties
            .iter()
            .filter_map(EventFilter::person_property)
    }
}

/// The events and actions in the order of their positions.
pub(in crate::tools) fn series(events: &[Event], actions: &[Action]) -> Vec<Series> {
    let events = events.iter().map(|event| {
        let series = Series::event(event.id.0.clone(), &event.properties, event.math);
        (event.order, series)
    });
    let actions = actions.iter().map(|action| {
        let (id, math) = (action.id, action.math);
        (action.order, Series::ActionsNode { id, math })
    });
    let mut all: Vec<(u32, Series)> = (0..)
        .zip(events.chain(actions))
        .map(|(index, (order, series))| (order.unwrap_or(index), series))
        .collect();
    all.sort_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, series)| series).collect()
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("type" = ["string", "array"]))]
pub(in crate::tools) struct BreakdownKeys(#[schemars(with = "Vec<String>")] Value);

impl<'de> Deserialize<'de> for BreakdownKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let scalar = |value: &Value| value.is_string() || value.is_number();
        let known = match &value {
            Value::Array(items) if items.len() > MAX_ITEMS => {
                return Err(serde::de::Error::custom(too_long()));
            }
            Value::Array(items) => !items.is_empty() && items.iter().all(scalar),
            other => scalar(other),
        };
        if known {
            return Ok(Self(value));
        }
        Err(serde::de::Error::custom(
            "expected a property name or a list of property names",
        ))
    }
}

/// Reads the arguments of a breakdown, of which a value needs a property.
pub(in crate::tools) fn breakdown(
    keys: Option<&BreakdownKeys>,
    kind: Option<BreakdownType>,
    value: Option<&NonEmptyString>,
    value_name: &str,
) -> Result<Option<(Breakdown, Option<String>)>, ToolError> {
    let value = value.map(|value| value.0.clone());
    match keys {
        Some(keys) => Ok(Some((
            Breakdown {
                breakdown: keys.0.clone(),
                breakdown_type: kind.unwrap_or(BreakdownType::Event),
            },
            value,
        ))),
        None if value.is_none() => Ok(None),
        None => Err(ToolError::invalid_input(format!(
            "`{value_name}` is a value of the property in `breakdown`; give both."
        ))),
    }
}

// A filter as a schema: persons-list describes it in full, an insight by an example.
pub(in crate::tools) type AnyFilter = Map<String, Value>;
