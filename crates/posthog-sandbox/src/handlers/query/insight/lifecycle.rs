//! The persons of a status of the lifecycle.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::series::{Insight, text};
use super::source::ActorSource;
use crate::handlers::context::Context;
use crate::http::Response;
use crate::model::Event;
use crate::model::dates;
use crate::model::insights::{events_by_person, lifecycle_status};

/// On the day that is named, or on any of the range. A status that does not exist has no persons.
pub(super) fn actors(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let settings = Insight::read(context, insight)?;
    let status = text(source, "status").map(str::to_owned);
    let interval = settings.interval;
    let starts = match text(source, "day") {
        Some(day) => {
            let Some(day) = dates::parse(day) else {
                return Err(context.crash(format!("day {day:?} that is not a date")));
            };
            vec![interval.start(day)]
        }
        None => {
            let first = interval.start(settings.range.from);
            let starts = std::iter::successors(Some(first), |start| Some(interval.after(*start)));
            starts
                .take_while(|start| *start <= settings.range.to)
                .collect()
        }
    };
    // A second series is ignored. The range is one of whole intervals, and the one before it counts too.
    let first = settings.series.first();
    let from = interval.before(interval.start(settings.range.from));
    let until = interval.after(interval.start(settings.range.to));
    let persons = events_by_person(context.project, |event| {
        first.is_some_and(|series| series.entity.matches(event))
            && from <= event.at
            && event.at < until
            && settings.accepts(context.project, event)
            && !event.is_personless()
    });
    let primary = &context.project.primary;
    let has_status = |person: Uuid, events: &[&Event]| {
        let created = primary.by_uuid(person).map(|person| person.created_at);
        let mut statuses = starts
            .iter()
            .filter_map(|start| lifecycle_status(events, created, interval, *start));
        statuses.any(|found| status.as_deref().is_none_or(|status| found == status))
    };
    let found = persons
        .iter()
        .filter(|(person, events)| has_status(**person, events));
    Ok(ActorSource::of_persons(found.map(|(person, _)| *person)))
}
