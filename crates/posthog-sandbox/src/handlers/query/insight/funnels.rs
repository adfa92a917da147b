//! The persons who reach a step of a funnel, or drop off before it.

use chrono::Duration;
use serde_json::{Map, Value as Json};

use super::series::{Breakdown, Insight, integer, object, text};
use super::source::ActorSource;
use crate::handlers::context::Context;
use crate::hogql::{Type, Value};
use crate::http::Response;
use crate::model::dates;
use crate::model::funnel::{Exclusion, Funnel, FunnelSelection, StepOrder};
use crate::model::insights::events_by_person;
use crate::model::{Entity, Event};

pub(super) fn actors(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let mut settings = Insight::read(context, insight)?;
    let none = Map::new();
    let filter = object(insight, "funnelsFilter").unwrap_or(&none);
    if settings.series.len() < 2 {
        context.record_violation("funnel of fewer than two steps");
        let detail = "Funnels require at least two steps before calculating.";
        return Err(Response::invalid(detail, None));
    }
    let exclusions = exclusions(context, filter, &settings)?;
    let selection = selection(context, source, &settings, filter)?;
    let breakdown = Breakdown::read(insight).map(Breakdown::lenient);
    let wanted = source
        .get("funnelStepBreakdown")
        .filter(|wanted| !wanted.is_null());
    let wanted = breakdown.zip(wanted.cloned());
    let events = events_by_person(context.project, |event| {
        settings.range.contains(event.at) && settings.accepts(context.project, event)
    });
    let series = std::mem::take(&mut settings.series);
    let funnel = Funnel {
        steps: series.into_iter().map(|series| series.entity).collect(),
        window: window(filter),
        order: match text(filter, "funnelOrderType") {
            Some("strict") => StepOrder::Strict,
            Some("unordered") => StepOrder::Unordered,
            _ => StepOrder::Ordered,
        },
        exclusions,
    };
    let in_breakdown = |event: &Event| settings.is_in(context.project, event, wanted.as_ref());
    let found = events.iter().filter(|(_, events)| {
        selection.accepts(&funnel, events, |attempt| in_breakdown(attempt.entry))
    });
    let persons = found.map(|(person, _)| *person);
    if source.get("includeRecordings") != Some(&Json::Bool(true)) {
        return Ok(ActorSource::of_persons(persons));
    }
    // Nobody has a recording.
    let columns = vec![("matched_recordings".to_owned(), recordings())];
    let rows = persons.map(|person| (person, vec![Value::Array(Vec::new())]));
    Ok(ActorSource::with_columns(columns, rows))
}

/// The type of the events in recordings.
pub(super) fn recordings() -> Type {
    Type::array(Type::Tuple(vec![
        Type::Time(6).nullable(),
        Type::Uuid.nullable(),
        Type::String.nullable(),
        Type::String.nullable(),
    ]))
}

fn window(filter: &Map<String, Json>) -> Duration {
    let count = integer(filter, "funnelWindowInterval").unwrap_or(14);
    let window = match text(filter, "funnelWindowIntervalUnit") {
        Some("second") => Duration::try_seconds(count),
        Some("minute") => Duration::try_minutes(count),
        Some("hour") => Duration::try_hours(count),
        Some("week") => Duration::try_weeks(count),
        Some("month") => Duration::try_days(count.saturating_mul(30)),
        _ => Duration::try_days(count),
    };
    // Long enough for every event, and short enough to be added to any time.
    let longest = Duration::days(36_500);
    window.unwrap_or(longest).clamp(Duration::zero(), longest)
}

fn exclusions(
    context: &mut Context<'_>,
    filter: &Map<String, Json>,
    insight: &Insight,
) -> Result<Vec<Exclusion>, Response> {
    let mut exclusions = Vec::new();
    let written = filter.get("exclusions").and_then(Json::as_array);
    for fields in written.into_iter().flatten().filter_map(Json::as_object) {
        let step = |name: &str| {
            let step = integer(fields, name).unwrap_or_default();
            usize::try_from(step).unwrap_or_default()
        };
        let (from, to) = (step("funnelFromStep"), step("funnelToStep"));
        if to <= from {
            context.record_violation("exclusion that ends before it starts");
            let detail =
                "Exclusion event range is invalid. End of range should be greater than start.";
            return Err(Response::invalid(detail, None));
        }
        let event = Entity::of_event(text(fields, "event"));
        let mut steps = insight.series.iter();
        if steps.any(|step| step.entity.event == event.event) {
            context.record_violation("exclusion of an event of the funnel");
            let detail = "Exclusion steps cannot contain an event that's part of funnel steps.";
            return Err(Response::invalid(detail, None));
        }
        exclusions.push(Exclusion { event, from, to });
    }
    Ok(exclusions)
}

fn selection(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Insight,
    filter: &Map<String, Json>,
) -> Result<FunnelSelection, Response> {
    if text(filter, "funnelVizType") == Some("trends") {
        let drop_off = source.get("funnelTrendsDropOff").and_then(Json::as_bool);
        let start = text(source, "funnelTrendsEntrancePeriodStart");
        let (Some(drop_off), Some(start)) = (drop_off, start) else {
            let missing = if drop_off.is_none() {
                "funnelTrendsDropOff"
            } else {
                "funnelTrendsEntrancePeriodStart"
            };
            context.record_violation(&format!("trends funnel without {missing}"));
            let detail =
                format!("Actors parameter `{missing}` must be provided for funnel trends persons!");
            return Err(Response::invalid(detail, None));
        };
        let Some(start) = dates::parse(start) else {
            return Err(context.crash("funnelTrendsEntrancePeriodStart that is not a time"));
        };
        return Ok(FunnelSelection::Entered {
            start,
            end: insight.interval.after(start),
            drop_off,
        });
    }
    let custom = source.get("funnelCustomSteps").and_then(Json::as_array);
    let custom: Vec<i64> = custom
        .into_iter()
        .flatten()
        .filter_map(Json::as_i64)
        .collect();
    if !custom.is_empty() {
        return Ok(FunnelSelection::AnyOf(custom));
    }
    match integer(source, "funnelStep") {
        None | Some(0 | -1) => Err(context.crash("funnel without a step that exists")),
        Some(step) => Ok(FunnelSelection::Step(step)),
    }
}
