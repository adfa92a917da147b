//! The arguments that several endpoints share: property filters, and for insights and the timeline the series, the date
//! range and lists, as JSON text in a query or as JSON in a body (Persons API, Insight arguments).

use serde_json::Value;

use super::context::Context;
use crate::fixtures::ACTIONS;
use crate::http::Response;
use crate::model::dates::{self, Interval, Time};
use crate::model::filters::{Filter, FilterError, FilterRules};
use crate::model::{Entity, Era, EventFilters, PropertyMap, PropertyOwner};

pub(crate) struct InsightArguments(PropertyMap);

pub(crate) struct DateRange {
    pub(crate) from: Time,
    pub(crate) to: Time,
}

impl DateRange {
    pub(crate) fn contains(&self, time: Time) -> bool {
        self.from <= time && time <= self.to
    }
}

impl InsightArguments {
    /// From the query. Lists are JSON text.
    pub(crate) fn read(context: &mut Context<'_>) -> Result<Self, Response> {
        let mut map = PropertyMap::new();
        for (name, written) in &context.request.parameters {
            let is_list = written.starts_with(['[', '{']);
            let value = match serde_json::from_str::<Value>(written) {
                Ok(value) if is_list => value,
                Err(_) if is_list => {
                    let detail = format!("{name} is not readable as JSON.");
                    return Err(Response::invalid(detail, None));
                }
                _ => Value::from(written.as_str()),
            };
            map.insert(name.clone(), value);
        }
        Ok(Self(map))
    }

    /// Adds the arguments of a body, which take precedence over those of the query.
    pub(crate) fn overridden_by(mut self, body: PropertyMap) -> Self {
        self.0.extend(body);
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn integer(
        &self,
        context: &mut Context<'_>,
        name: &str,
    ) -> Result<Option<i64>, Response> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(other) => other.as_i64(),
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(context.crash(format!("{name} is not an integer"))),
        }
    }

    pub(crate) fn flag(
        &self,
        context: &mut Context<'_>,
        name: &str,
    ) -> Result<Option<bool>, Response> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(context.reject(format!("{name} is not a boolean: {other}"))),
        }
    }

    pub(crate) fn list(
        &self,
        context: &mut Context<'_>,
        name: &str,
    ) -> Result<Vec<Value>, Response> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(other) => Err(context.reject(format!("{name} is not a list: {other}"))),
        }
    }

    /// The last seven days by default. An end date without a time of day stands for its last moment. What is not a date
    /// stands for today.
    pub(crate) fn date_range(&self, context: &mut Context<'_>) -> Result<DateRange, Response> {
        let today = dates::start_of_day(context.now).unwrap_or(context.now);
        let from = self.text("date_from").unwrap_or("-7d");
        let start = context.date(from)?.unwrap_or(today);
        let mut end = dates::end_of_day(today);
        if let Some(to) = self.text("date_to") {
            let time = context.date(to)?.unwrap_or(today);
            end = if dates::is_bare_date(to) {
                dates::end_of_day(time)
            } else {
                time
            };
        }
        if start == end {
            end = self.interval(context)?.after(end);
        }
        Ok(DateRange {
            from: start,
            to: end,
        })
    }

    pub(crate) fn interval(&self, context: &mut Context<'_>) -> Result<Interval, Response> {
        match self.text("interval").unwrap_or("day") {
            "minute" => Ok(Interval::Minute),
            "hour" => Ok(Interval::Hour),
            "day" => Ok(Interval::Day),
            "week" => Ok(Interval::Week),
            "month" => Ok(Interval::Month),
            other => {
                let detail = format!("unknown interval {other:?}");
                Err(context.reject(detail))
            }
        }
    }

    /// The filters in `properties`, on events and on persons.
    pub(crate) fn filters(&self, context: &mut Context<'_>) -> Result<EventFilters, Response> {
        let items = self.list(context, "properties")?;
        read_event_filters(context, &items)
    }
}

pub(crate) fn read_event_filters(
    context: &mut Context<'_>,
    items: &[Value],
) -> Result<EventFilters, Response> {
    let mut filters = EventFilters::default();
    for item in items {
        let Some(fields) = item.as_object() else {
            return Err(context.reject(format!("filter that is not an object: {item}")));
        };
        match fields.get("type").and_then(Value::as_str) {
            Some("cohort") => filters.on_person.push(read_filter(context, item)?),
            Some("person") => {
                let filter = read_plain(context, fields, PropertyOwner::Person)?;
                filters.on_person.push(filter);
            }
            None | Some("event") => {
                let filter = read_plain(context, fields, PropertyOwner::Event)?;
                filters.on_event.push(filter);
            }
            Some(other) => return Err(context.reject(format!("filter of type {other:?}"))),
        }
    }
    Ok(filters)
}

/// A filter on a property of an event or of a person.
fn read_plain(
    context: &mut Context<'_>,
    fields: &PropertyMap,
    owner: PropertyOwner,
) -> Result<Filter, Response> {
    let read = with_rules(context, |rules| Filter::read_property(fields, owner, rules));
    read.or_else(|error| filter_error(context, error))
}

/// The filters of a list, from the JSON text of a flat array (Persons API, Property filters).
pub(crate) fn read_filters(
    context: &mut Context<'_>,
    written: &str,
) -> Result<Vec<Filter>, Response> {
    match serde_json::from_str::<Value>(written) {
        Ok(Value::Array(filters)) => filters
            .iter()
            .map(|filter| read_filter(context, filter))
            .collect(),
        Ok(other) => {
            let detail = "properties is not a flat array of filters";
            let fails = context.era() > Era::August2025 || other.is_number();
            Err(if fails {
                context.crash(detail)
            } else {
                context.reject(detail)
            })
        }
        Err(_) => Err(Response::invalid("Properties are unparsable!", None)),
    }
}

/// A filter on a property of a person, or on a cohort.
fn read_filter(context: &mut Context<'_>, filter: &Value) -> Result<Filter, Response> {
    let read = with_rules(context, |rules| Filter::read(filter, rules));
    read.or_else(|error| filter_error(context, error))
}

fn with_rules<T>(context: &Context<'_>, read: impl FnOnce(&FilterRules<'_>) -> T) -> T {
    read(&FilterRules {
        era: context.era(),
        definitions: &context.project.definitions,
        cohort: &|id| context.project.cohort_members(id),
    })
}

pub(super) fn filter_error(
    context: &mut Context<'_>,
    error: FilterError,
) -> Result<Filter, Response> {
    match error {
        FilterError::Incomplete(detail) => {
            context.record_violation(&format!("{detail}, which matches everything"));
            Ok(Filter::Everything)
        }
        FilterError::Violation(detail) => Err(context.reject(detail)),
        FilterError::Malformed(detail) => Err(context.crash(detail)),
        FilterError::Failure => Err(Response::server_error(500)),
        FilterError::Rejected { code, detail } => {
            Err(Response::error(400, "validation_error", code, detail, None))
        }
    }
}

const ENTITY_FIELDS: [&str; 6] = ["id", "math", "name", "order", "properties", "type"];

/// `events` and `actions` in one sequence, by their `order`.
pub(crate) fn read_entities(
    context: &mut Context<'_>,
    arguments: &InsightArguments,
) -> Result<Vec<Entity>, Response> {
    let mut entities = Vec::new();
    for (list, is_action) in [("events", false), ("actions", true)] {
        for item in arguments.list(context, list)? {
            entities.push(read_entity(context, &item, is_action)?);
        }
    }
    entities.sort_by_key(|entity| entity.order);
    Ok(entities)
}

fn read_entity(
    context: &mut Context<'_>,
    item: &Value,
    is_action: bool,
) -> Result<Entity, Response> {
    let Some(fields) = item.as_object() else {
        return Err(context.reject(format!("series entry that is not an object: {item}")));
    };
    if let Some(field) = fields
        .keys()
        .find(|key| !ENTITY_FIELDS.contains(&key.as_str()))
    {
        return Err(context.reject(format!("unknown series field {field:?}")));
    }
    let event = match (fields.get("id"), is_action) {
        (Some(Value::String(name)), false) => Some(name.clone()),
        (Some(Value::Null), false) => None,
        (Some(id), true) => Some(event_of_action(id)?),
        _ => return Err(context.reject(format!("series entry without a valid id: {item}"))),
    };
    let filters = match fields.get("properties") {
        None | Some(Value::Null) => EventFilters::default(),
        Some(Value::Array(items)) => read_event_filters(context, items)?,
        Some(other) => return Err(context.reject(format!("series properties {other}"))),
    };
    let order = fields.get("order").and_then(Value::as_i64).unwrap_or(0);
    Ok(Entity {
        only: None,
        event,
        order,
        filters,
    })
}

/// The event of an action, whose number may be given as text.
pub(crate) fn event_of_action(id: &Value) -> Result<String, Response> {
    let number = match id {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    let action = ACTIONS.iter().find(|(action, _)| Some(*action) == number);
    match action {
        Some((_, event)) => Ok((*event).to_owned()),
        None => Err(Response::invalid(
            format!("Action ID {id} does not exist!"),
            None,
        )),
    }
}
