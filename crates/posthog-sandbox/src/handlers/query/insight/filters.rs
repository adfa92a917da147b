//! The filters of an insight, on events and on their persons: lists, and groups of AND and OR.

use serde_json::{Map, Value};

use crate::handlers::context::Context;
use crate::handlers::query::filters::{read_event_filter, read_filter};
use crate::hogql::{Comparison, Node};
use crate::http::Response;
use crate::model::filters::Filter;
use crate::model::{Event, EventFilters};

pub(super) enum EventFilter {
    OnEvent(Filter),
    OnPerson(Filter),
    All(Vec<EventFilter>),
    Any(Vec<EventFilter>),
}

impl EventFilter {
    pub(super) fn read(context: &mut Context<'_>, written: &Value) -> Result<Self, Response> {
        match written {
            Value::Array(items) => Ok(Self::All(Self::read_all(context, items)?)),
            Value::Object(fields) => {
                let values = fields.get("values").and_then(Value::as_array);
                match (fields.get("type").and_then(Value::as_str), values) {
                    (Some("AND"), Some(items)) => Ok(Self::All(Self::read_all(context, items)?)),
                    (Some("OR"), Some(items)) if !items.is_empty() => {
                        Ok(Self::Any(Self::read_all(context, items)?))
                    }
                    (Some("OR"), Some(_)) => Ok(Self::All(Vec::new())),
                    _ => Self::read_one(context, fields),
                }
            }
            _ => Ok(Self::All(Vec::new())),
        }
    }

    fn read_all(context: &mut Context<'_>, items: &[Value]) -> Result<Vec<Self>, Response> {
        items.iter().map(|item| Self::read(context, item)).collect()
    }

    fn read_one(context: &mut Context<'_>, fields: &Map<String, Value>) -> Result<Self, Response> {
        match fields.get("type").and_then(Value::as_str) {
            Some("event") => read_event_filter(context, fields).map(Self::OnEvent),
            Some("person" | "cohort") => read_filter(context, fields).map(Self::OnPerson),
            None if fields.is_empty() => Ok(Self::All(Vec::new())),
            other => Err(context.reject(format!("filter of type {other:?} in an insight"))),
        }
    }

    pub(super) fn accepts(&self, event: &Event) -> bool {
        match self {
            Self::OnEvent(filter) => filter.matches_map(&event.properties),
            Self::OnPerson(filter) => filter.matches(&event.person_properties, event.person),
            Self::All(filters) => filters.iter().all(|filter| filter.accepts(event)),
            Self::Any(filters) => filters.iter().any(|filter| filter.accepts(event)),
        }
    }

    /// The filters of a series, which are a list.
    pub(super) fn list(self) -> EventFilters {
        let mut list = EventFilters::default();
        self.add_to(&mut list);
        list
    }

    fn add_to(self, list: &mut EventFilters) {
        match self {
            Self::OnEvent(filter) => list.on_event.push(filter),
            Self::OnPerson(filter) => list.on_person.push(filter),
            Self::All(filters) | Self::Any(filters) => {
                filters.into_iter().for_each(|filter| filter.add_to(list));
            }
        }
    }
}

/// The condition that a filter is for events.
pub(in crate::handlers::query) fn matching(
    context: &mut Context<'_>,
    written: &Value,
) -> Result<Node, Response> {
    let filter = EventFilter::read(context, written)?;
    let events = context.project.events.iter();
    let events = events.filter(|event| filter.accepts(event));
    let uuids = events.map(|event| Value::from(event.uuid.to_string()));
    let uuid = Box::new(Node::Field(vec!["uuid".to_owned()]));
    let among = Box::new(Node::Constant(uuids.collect()));
    Ok(Node::Compare(Comparison::In, uuid, among))
}
