//! The persons who return after a first event, with the intervals in which they do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::series::{Insight, integer, interval, object, text};
use super::source::ActorSource;
use crate::handlers::arguments::event_of_action;
use crate::handlers::context::Context;
use crate::hogql::{Type, Value};
use crate::http::Response;
use crate::model::Entity;
use crate::model::insights::{appearances, events_by_person};

pub(super) fn actors(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let settings = Insight::read(context, insight)?;
    let none = Map::new();
    let filter = object(insight, "retentionFilter").unwrap_or(&none);
    let period = text(filter, "period").unwrap_or("Day").to_lowercase();
    let length = interval(Some(&period));
    let count = integer(filter, "totalIntervals").unwrap_or(8);
    let count = usize::try_from(count).unwrap_or(8).min(100);
    let target = entity(object(filter, "targetEntity"))?;
    let returning = entity(object(filter, "returningEntity"))?;
    let is_first_time = text(filter, "retentionType") == Some("retention_first_time");
    // The range has the intervals in which persons begin, and those in which they return.
    let (first, end) = (length.start(settings.range.from), settings.range.to);
    let starts = std::iter::successors(Some(first), |start| Some(length.after(*start)));
    let starts = starts.take_while(|start| *start <= end).enumerate();
    let row = integer(source, "interval").and_then(|row| usize::try_from(row).ok());
    let starts = starts.filter(|(number, _)| row.is_none_or(|row| row == *number));
    // What was before the range counts only for who did something for the first time.
    let events = events_by_person(context.project, |event| {
        event.at <= end && settings.accepts(context.project, event)
    });
    let mut found: BTreeMap<Uuid, BTreeSet<usize>> = BTreeMap::new();
    for (_, start) in starts {
        for (person, events) in &events {
            let entities = (&target, &returning);
            let numbers = appearances(events, entities, is_first_time, length, (start, count));
            if let Some(numbers) = numbers {
                found.entry(*person).or_default().extend(numbers);
            }
        }
    }
    let mut columns: Vec<(String, Type)> = (0..count)
        .map(|number| (format!("{period}_{number}"), Type::UInt8))
        .collect();
    columns.push(("appearances".to_owned(), Type::array(Type::Int64)));
    let rows = found.into_iter().map(|(person, numbers)| {
        let flags = (0..count).map(|number| Value::Int(i64::from(numbers.contains(&number))));
        let number = |number: &usize| Value::Int(i64::try_from(*number).unwrap_or(i64::MAX));
        let appearances = Value::Array(numbers.iter().map(number).collect());
        (person, flags.chain([appearances]).collect())
    });
    Ok(ActorSource::with_columns(columns, rows))
}

/// `$pageview` unless another is named.
fn entity(fields: Option<&Map<String, Json>>) -> Result<Entity, Response> {
    let none = Map::new();
    let fields = fields.unwrap_or(&none);
    let name = match (text(fields, "type"), fields.get("id")) {
        (Some("actions"), Some(id)) => event_of_action(id)?,
        (_, Some(Json::String(name))) => name.clone(),
        _ => "$pageview".to_owned(),
    };
    Ok(Entity::of_event(Some(&name)))
}
