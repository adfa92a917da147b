//! What the insights have in common: series, dates, filters, breakdowns.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use chrono::Duration;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::filters::{EventFilter, EventPersons};
use crate::fixtures::is_test_account;
use crate::handlers::arguments::{DateRange, event_of_action};
use crate::handlers::context::Context;
use crate::http::Response;
use crate::model::dates::{self, Interval};
use crate::model::filters::property_text;
use crate::model::insights::events_by_person;
use crate::model::{Entity, Event, ProjectState, Properties};

/// What PostHog calls a missing value of a breakdown.
const NO_VALUE: &str = "$$_posthog_breakdown_null_$$";

/// A series with what is counted of its events.
pub(super) struct Series {
    pub(super) entity: Entity,
    pub(super) math: String,
}

pub(super) struct Insight {
    pub(super) series: Vec<Series>,
    pub(super) range: DateRange,
    pub(super) interval: Interval,
    filters: EventFilter,
    persons: EventPersons,
    without_test_accounts: bool,
}

pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str()
}

pub(super) fn object<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Option<&'a Map<String, Value>> {
    fields.get(name)?.as_object()
}

pub(super) fn integer(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    match fields.get(name)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

impl Insight {
    pub(super) fn read(
        context: &mut Context<'_>,
        fields: &Map<String, Value>,
    ) -> Result<Self, Response> {
        let interval = interval(text(fields, "interval"));
        let persons = EventPersons::of_query(context, fields);
        let mut series = Vec::new();
        for node in fields
            .get("series")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            series.push(read_series(context, node, persons)?);
        }
        let properties = fields.get("properties").cloned().unwrap_or_default();
        Ok(Self {
            series,
            range: date_range(context, object(fields, "dateRange"))?,
            interval,
            filters: EventFilter::read(context, &properties)?,
            persons,
            without_test_accounts: fields.get("filterTestAccounts") == Some(&Value::Bool(true)),
        })
    }

    /// Whether the filters of the whole insight accept the event.
    pub(super) fn accepts(&self, project: &ProjectState, event: &Event) -> bool {
        let person = self.persons.of(project, event);
        !(self.without_test_accounts && is_test_account(person.1))
            && self.filters.accepts(event, person)
    }

    /// Whether the event is of this part of a breakdown.
    pub(super) fn is_in(
        &self,
        project: &ProjectState,
        event: &Event,
        part: Option<&(Breakdown, Value)>,
    ) -> bool {
        part.is_none_or(|(breakdown, value)| {
            breakdown.has(event, self.persons.of(project, event).1, value)
        })
    }

    /// The events of the insight by their persons: those in its range that one of the series matches.
    pub(super) fn events<'a>(&self, context: &'a Context<'_>) -> BTreeMap<Uuid, Vec<&'a Event>> {
        events_by_person(context.project, |event| {
            self.range.contains(event.at)
                && self.accepts(context.project, event)
                && self
                    .series
                    .iter()
                    .any(|series| series.entity.matches(event))
        })
    }
}

pub(super) fn interval(named: Option<&str>) -> Interval {
    match named {
        Some("minute") => Interval::Minute,
        Some("hour") => Interval::Hour,
        Some("week") => Interval::Week,
        Some("month") => Interval::Month,
        _ => Interval::Day,
    }
}

/// The last seven days by default. A day as the end includes it.
pub(super) fn date_range(
    context: &mut Context<'_>,
    fields: Option<&Map<String, Value>>,
) -> Result<DateRange, Response> {
    let none = Map::new();
    let fields = fields.unwrap_or(&none);
    let today = dates::start_of_day(context.now).unwrap_or(context.now);
    let from = text(fields, "date_from").unwrap_or("-7d");
    let Some(from) = context.date(from)? else {
        return Err(context.reject(format!("date_from {from:?} is not a date")));
    };
    let to = match text(fields, "date_to") {
        None => dates::end_of_day(today),
        Some(written) => {
            let Some(time) = context.date(written)? else {
                return Err(context.reject(format!("date_to {written:?} is not a date")));
            };
            let is_day = dates::is_bare_date(written) || written.starts_with('-');
            if is_day && !written.ends_with('h') {
                time + Duration::days(1) - Duration::microseconds(1)
            } else {
                time
            }
        }
    };
    Ok(DateRange { from, to })
}

fn read_series(
    context: &mut Context<'_>,
    node: &Value,
    persons: EventPersons,
) -> Result<Series, Response> {
    let none = Map::new();
    let fields = node.as_object().unwrap_or(&none);
    let event = match text(fields, "kind") {
        Some("ActionsNode") => {
            let id = fields.get("id").cloned().unwrap_or_default();
            Some(event_of_action(&id)?)
        }
        _ => text(fields, "event").map(str::to_owned),
    };
    let properties = fields.get("properties").cloned().unwrap_or_default();
    let filter = EventFilter::read(context, &properties)?;
    let math = text(fields, "math").unwrap_or("total").to_owned();
    let mut entity = Entity::of_event(event.as_deref());
    let project = &*context.project;
    let passes = |event: &Event| filter.accepts(event, persons.of(project, event));
    let named = |event: &Event| entity.matches_name(event);
    let only: Option<HashSet<Uuid>> = match math.as_str() {
        "first_time_for_user" => {
            let first = first_events(project, named);
            Some(
                first
                    .filter(|event| passes(event))
                    .map(|event| event.uuid)
                    .collect(),
            )
        }
        "first_time_for_user_with_filters" => {
            let first = first_events(project, |event| named(event) && passes(event));
            Some(first.map(|event| event.uuid).collect())
        }
        _ if filter.is_empty() => None,
        _ => {
            let events = project.events.iter().filter(|event| passes(event));
            Some(events.map(|event| event.uuid).collect())
        }
    };
    entity.only = only;
    Ok(Series { entity, math })
}

/// The first such event of each person.
fn first_events(
    project: &ProjectState,
    is_such: impl Fn(&Event) -> bool,
) -> impl Iterator<Item = &Event> {
    let persons = events_by_person(project, is_such).into_values();
    persons.filter_map(|events| events.into_iter().next())
}

/// The properties that an insight is broken down by.
pub(super) struct Breakdown {
    /// Each with whether it is one of the person.
    properties: Vec<(String, bool)>,
    /// One value for each property, as a list.
    several: bool,
    lenient: bool,
}

impl Breakdown {
    pub(super) fn read(fields: &Map<String, Value>) -> Option<Self> {
        let filter = object(fields, "breakdownFilter")?;
        let is_person = |kind: Option<&str>| kind == Some("person");
        if let Some(items) = filter.get("breakdowns").and_then(Value::as_array) {
            let items = items.iter().filter_map(Value::as_object);
            let properties = items.filter_map(|item| {
                let name = text(item, "property")?.to_owned();
                Some((name, is_person(text(item, "type"))))
            });
            return Some(Self {
                properties: properties.collect(),
                several: true,
                lenient: false,
            });
        }
        let of_person = is_person(text(filter, "breakdown_type"));
        let names: Vec<String> = match filter.get("breakdown")? {
            Value::String(name) => vec![name.clone()],
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str);
                names.map(str::to_owned).collect()
            }
            _ => return None,
        };
        Some(Self {
            properties: names.into_iter().map(|name| (name, of_person)).collect(),
            several: false,
            lenient: false,
        })
    }

    /// Accepts both forms of a value, for one property and for several.
    pub(super) fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Whether the event has these values. The wrong one of the two forms of a value matches nothing.
    fn has(&self, event: &Event, person: &Properties, wanted: &Value) -> bool {
        let wanted: Vec<&Value> = match wanted {
            Value::Array(values) if self.several || self.lenient => values.iter().collect(),
            Value::Array(_) => return false,
            _ if self.several && !self.lenient => return false,
            value => vec![value],
        };
        wanted.len() == self.properties.len()
            && wanted
                .iter()
                .zip(&self.properties)
                .all(|(wanted, (name, of_person))| {
                    let found = if *of_person {
                        person.get(name)
                    } else {
                        event.properties.get(name).map(Cow::Borrowed)
                    };
                    let found = found.as_deref().and_then(property_text);
                    let wanted = property_text(wanted).unwrap_or_default();
                    found.as_deref().unwrap_or(NO_VALUE) == wanted
                })
    }
}

/// The distinct ids of events, each once.
pub(super) fn distinct_ids(events: &[&Event]) -> Vec<String> {
    let mut seen: HashSet<&str> = HashSet::new();
    let ids = events.iter().map(|event| event.distinct_id.as_str());
    let ids = ids.filter(|id| seen.insert(id));
    ids.map(str::to_owned).collect()
}
