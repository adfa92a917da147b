//! The filters of an insight, on events and on their persons: lists, and groups of AND and OR.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::handlers::context::Context;
use crate::handlers::query::filters::{read_event_filter, read_filter};
use crate::handlers::query::hogql::persons_on_events_mode;
use crate::hogql::{Comparison, Node};
use crate::http::Response;
use crate::model::filters::Filter;
use crate::model::{Event, ProjectState, Properties};

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

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::All(filters) if filters.is_empty())
    }

    /// `person` is who the event belongs to now, with the properties that count.
    pub(super) fn accepts(&self, event: &Event, person: (Uuid, &Properties)) -> bool {
        match self {
            Self::OnEvent(filter) => filter.matches_map(&event.properties),
            Self::OnPerson(filter) => filter.matches(person.1, person.0),
            Self::All(filters) => filters.iter().all(|filter| filter.accepts(event, person)),
            Self::Any(filters) => filters.iter().any(|filter| filter.accepts(event, person)),
        }
    }
}

/// The persons of events, with their present properties or those at the time of the event.
#[derive(Clone, Copy)]
pub(super) enum EventPersons {
    Present,
    AtTheTime,
}

impl EventPersons {
    pub(super) fn of_query(context: &Context<'_>, fields: &Map<String, Value>) -> Self {
        if persons_on_events_mode(context, fields).ends_with("properties_on_events") {
            Self::AtTheTime
        } else {
            Self::Present
        }
    }

    pub(super) fn of<'a>(
        self,
        project: &'a ProjectState,
        event: &'a Event,
    ) -> (Uuid, &'a Properties) {
        let person = project.analytics.actor(event);
        let present = project.analytics.active(person);
        match (self, present) {
            (Self::Present, Some(row)) => (person, &row.properties),
            _ => (person, &event.person_properties),
        }
    }
}

/// The condition that a filter is for events.
pub(in crate::handlers::query) fn matching(
    context: &mut Context<'_>,
    written: &Value,
) -> Result<Node, Response> {
    let filter = EventFilter::read(context, written)?;
    let persons = EventPersons::of_query(context, &Map::new());
    let project = &*context.project;
    let events = project.events.iter();
    let events = events.filter(|event| filter.accepts(event, persons.of(project, event)));
    let uuids = events.map(|event| Value::from(event.uuid.to_string()));
    let uuid = Box::new(Node::Field(vec!["uuid".to_owned()]));
    let among = Box::new(Node::Constant(uuids.collect()));
    Ok(Node::Compare(Comparison::In, uuid, among))
}
