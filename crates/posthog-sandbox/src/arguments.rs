//! The arguments that several endpoints share: filters (contract section 6), and for insights and
//! the timeline a date range and lists, given as JSON text in a query or as JSON in a body (contract
//! sections 3.16 to 3.18).

use std::sync::Arc;

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::dates::{self, Interval, Time};
use super::filters::{Filter, Refusal};
use super::properties::{Properties, PropertyMap};
use super::world::Event;

pub(super) struct Arguments(PropertyMap);

pub(super) struct DateRange {
    pub(super) from: Time,
    pub(super) to: Time,
}

impl DateRange {
    pub(super) fn contains(&self, time: Time) -> bool {
        self.from <= time && time <= self.to
    }
}

impl Arguments {
    /// From the query of a GET. Lists arrive as JSON text.
    pub(super) fn read(call: &mut Call<'_>) -> Result<Self, Answer> {
        let mut map = PropertyMap::new();
        for (name, written) in &call.request.parameters {
            let is_list = written.starts_with(['[', '{']);
            let value = match serde_json::from_str::<Value>(written) {
                Ok(value) if is_list => value,
                Err(_) if is_list => {
                    let detail = format!("{name} is not readable as JSON.");
                    return Err(Answer::invalid(detail, None));
                }
                _ => Value::from(written.as_str()),
            };
            map.insert(name.clone(), value);
        }
        Ok(Self(map))
    }

    /// A body over a query: where both name an argument, the body wins.
    pub(super) fn overlaid_with(mut self, body: PropertyMap) -> Self {
        self.0.extend(body);
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn integer(&self, call: &mut Call<'_>, name: &str) -> Result<Option<i64>, Answer> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(other) => other.as_i64(),
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(call.crash(format!("{name} is no integer"))),
        }
    }

    pub(super) fn flag(&self, call: &mut Call<'_>, name: &str) -> Result<Option<bool>, Answer> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(call.strict(format!("{name} is no boolean: {other}"))),
        }
    }

    pub(super) fn list(&self, call: &mut Call<'_>, name: &str) -> Result<Vec<Value>, Answer> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(other) => Err(call.strict(format!("{name} is no list: {other}"))),
        }
    }

    /// The last seven days, unless the caller says otherwise. A bare end date means its last moment.
    pub(super) fn date_range(&self, call: &mut Call<'_>) -> Result<DateRange, Answer> {
        let from = self.text("date_from").unwrap_or("-7d");
        let Some(start) = call.date(from)? else {
            return Err(Answer::invalid(
                format!("{from:?} is not a date."),
                Some("date_from"),
            ));
        };
        let mut end = call.now;
        if let Some(to) = self.text("date_to") {
            let Some(time) = call.date(to)? else {
                return Err(Answer::invalid(
                    format!("{to:?} is not a date."),
                    Some("date_to"),
                ));
            };
            end = if dates::is_bare_date(to) {
                dates::end_of_day(time)
            } else {
                time
            };
        }
        if start == end {
            end = self.interval(call)?.after(end);
        }
        Ok(DateRange {
            from: start,
            to: end,
        })
    }

    pub(super) fn interval(&self, call: &mut Call<'_>) -> Result<Interval, Answer> {
        match self.text("interval").unwrap_or("day") {
            "minute" => Ok(Interval::Minute),
            "hour" => Ok(Interval::Hour),
            "day" => Ok(Interval::Day),
            "week" => Ok(Interval::Week),
            "month" => Ok(Interval::Month),
            other => {
                let detail = format!("the interval {other:?}");
                Err(call.strict(detail))
            }
        }
    }

    /// The filters of `properties`, on events and persons alike.
    pub(super) fn filters(&self, call: &mut Call<'_>) -> Result<EventFilters, Answer> {
        let items = self.list(call, "properties")?;
        EventFilters::read(call, &items)
    }
}

/// Filters that look at an event or at its person.
#[derive(Default)]
pub(super) struct EventFilters {
    on_event: Vec<Filter>,
    on_person: Vec<Filter>,
}

impl EventFilters {
    pub(super) fn read(call: &mut Call<'_>, items: &[Value]) -> Result<Self, Answer> {
        let mut filters = Self::default();
        for item in items {
            let Some(fields) = item.as_object() else {
                return Err(call.strict(format!("a filter that is no object: {item}")));
            };
            match fields.get("type").and_then(Value::as_str) {
                Some("cohort") => filters.on_person.push(read_filter(call, item)?),
                Some("person") => filters.on_person.push(read_plain(call, fields)?),
                None | Some("event") => filters.on_event.push(read_plain(call, fields)?),
                Some(other) => return Err(call.strict(format!("a filter of type {other:?}"))),
            }
        }
        Ok(filters)
    }

    pub(super) fn person_keys(&self) -> impl Iterator<Item = &str> {
        self.on_person.iter().filter_map(Filter::key)
    }

    pub(super) fn accept(&self, event: &Event, person: &Properties) -> bool {
        let mut on_event = self.on_event.iter();
        let mut on_person = self.on_person.iter();
        on_event.all(|filter| filter.matches_map(&event.properties))
            && on_person.all(|filter| filter.matches(person, event.person))
    }
}

/// A filter on a property, whoever has it.
fn read_plain(call: &mut Call<'_>, fields: &PropertyMap) -> Result<Filter, Answer> {
    let read = Filter::read_property(fields, call.now);
    read.or_else(|refusal| refused(call, refusal))
}

/// Contract section 6: the JSON text of a flat array.
pub(super) fn read_filters(call: &mut Call<'_>, written: &str) -> Result<Vec<Filter>, Answer> {
    match serde_json::from_str::<Value>(written) {
        Ok(Value::Array(filters)) => filters
            .iter()
            .map(|filter| read_filter(call, filter))
            .collect(),
        Ok(_) => Err(call.crash("properties must be a flat array of filters")),
        Err(_) => Err(Answer::invalid("Properties are unparsable!", None)),
    }
}

/// A filter on a person, or on the cohorts that the person is in.
fn read_filter(call: &mut Call<'_>, filter: &Value) -> Result<Filter, Answer> {
    let read = {
        let cohorts = &call.world.cohorts;
        let members = |id: u64| {
            let mut found = cohorts.iter().filter(|cohort| cohort.id == id);
            found.next().map(|cohort| Arc::clone(&cohort.members))
        };
        Filter::read(filter, call.now, &members)
    };
    read.or_else(|refusal| refused(call, refusal))
}

fn refused(call: &mut Call<'_>, refusal: Refusal) -> Result<Filter, Answer> {
    match refusal {
        Refusal::Incomplete(detail) => {
            call.complain(&format!("{detail}, which matches everything"));
            Ok(Filter::Everything)
        }
        Refusal::Unexpected(detail) => Err(call.strict(detail)),
        Refusal::Invalid(detail) => Err(Answer::invalid(detail, None)),
    }
}
