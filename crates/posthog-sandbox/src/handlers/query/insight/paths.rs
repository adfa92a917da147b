//! The persons of a path, of one of its edges, or of a drop-off.

use serde_json::{Map, Value as Json};

use super::series::{Insight, integer, object, text};
use super::source::ActorSource;
use crate::handlers::context::Context;
use crate::hogql::{Type, Value};
use crate::http::Response;
use crate::model::insights::events_by_person;
use crate::model::paths::{PathRules, PathSelection};

pub(super) fn actors(
    context: &mut Context<'_>,
    insight: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let settings = Insight::read(context, insight)?;
    let none = Map::new();
    let filter = object(insight, "pathsFilter").unwrap_or(&none);
    let key = |name: &str| text(filter, name).map(str::to_owned);
    let types = filter.get("includeEventTypes").and_then(Json::as_array);
    let has = |name: &str| match types {
        Some(types) if !types.is_empty() => types.iter().any(|kind| kind == name),
        _ => true,
    };
    let steps = integer(filter, "stepLimit").unwrap_or(5);
    let rules = PathRules {
        pageviews: has("$pageview"),
        screens: has("$screen"),
        custom_events: has("custom_event"),
        start: key("startPoint"),
        end: key("endPoint"),
        steps: usize::try_from(steps).unwrap_or(5),
    };
    let selection = match (
        key("pathDropoffKey"),
        key("pathStartKey"),
        key("pathEndKey"),
    ) {
        (Some(key), ..) => PathSelection::DropOff(key),
        (None, None, None) => PathSelection::Everybody,
        (None, from, to) => PathSelection::Edge { from, to },
    };
    let events = events_by_person(context.project, |event| {
        settings.range.contains(event.at) && settings.accepts(context.project, event)
    });
    let columns = vec![("event_count".to_owned(), Type::UInt64)];
    let rows = events.iter().filter_map(|(person, events)| {
        let count = selection.count(&rules.paths(events));
        let count = i64::try_from(count).ok().filter(|count| *count > 0)?;
        Some((*person, vec![Value::Int(count)]))
    });
    Ok(ActorSource::with_columns(columns, rows))
}
