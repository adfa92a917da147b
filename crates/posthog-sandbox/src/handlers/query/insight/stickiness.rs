//! The persons who were active in a number of intervals.

use serde_json::{Map, Value as Json};

use super::series::{Insight, integer, text};
use super::source::ActorSource;
use crate::handlers::context::Context;
use crate::http::Response;
use crate::model::Era;
use crate::model::insights::active_intervals;

pub(super) fn actors(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let mut settings = Insight::read(context, insight)?;
    // In 2025 the events of all series count.
    if let Some(index) = integer(source, "series").filter(|_| context.era() > Era::August2025) {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if index >= settings.series.len() {
            return Err(context.crash("series that does not exist"));
        }
        let one = settings.series.swap_remove(index);
        settings.series = vec![one];
    }
    let Some(wanted) = integer(source, "day") else {
        return Err(context.crash("stickiness without a day"));
    };
    let persons = settings.events(context);
    let found = persons.iter().filter(|(_, events)| {
        let active = active_intervals(events, settings.interval);
        let active = i64::try_from(active).unwrap_or(i64::MAX);
        match text(source, "operator") {
            Some("gte") => active >= wanted,
            Some("lte") => active <= wanted,
            _ => active == wanted,
        }
    });
    Ok(ActorSource::of_persons(found.map(|(person, _)| *person)))
}
