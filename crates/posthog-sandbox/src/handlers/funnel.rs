//! The persons who convert or drop off in a funnel (Persons API, Funnel).

use std::borrow::Cow;

use chrono::Duration;
use serde_json::Value;
use uuid::Uuid;

use super::arguments::{InsightArguments, read_entities};
use super::context::Context;
use super::insights::{InsightFilters, actors_page};
use crate::http::Response;
use crate::model::dates;
use crate::model::filters::property_text;
use crate::model::funnel::{Attempt, Funnel, FunnelSelection, StepOrder};
use crate::model::insights::events_by_person;

pub(crate) const FUNNEL_ARGUMENTS: &[&str] = &[
    "actions",
    "breakdown",
    "breakdown_type",
    "cache_invalidation_key",
    "date_from",
    "date_to",
    "drop_off",
    "entrance_period_start",
    "events",
    "filter_test_accounts",
    "funnel_custom_steps",
    "funnel_order_type",
    "funnel_step",
    "funnel_step_breakdown",
    "funnel_viz_type",
    "funnel_window_days",
    "funnel_window_interval",
    "funnel_window_interval_unit",
    "include_recordings",
    "insight",
    "interval",
    "limit",
    "offset",
    "properties",
    "refresh",
    "search",
];

/// GET and POST, which differ in where the arguments come from.
pub(crate) fn funnel(context: &mut Context<'_>) -> Result<Response, Response> {
    let arguments = funnel_arguments(context)?;
    let range = arguments.date_range(context)?;
    let filters = InsightFilters::read(context, &arguments)?;
    let steps = read_entities(context, &arguments)?;
    let order = match arguments.text("funnel_order_type").unwrap_or("ordered") {
        "ordered" => StepOrder::Ordered,
        "strict" => StepOrder::Strict,
        "unordered" => StepOrder::Unordered,
        other => {
            let detail = format!("unknown funnel_order_type {other:?}");
            return Err(context.reject(detail));
        }
    };
    let window = funnel_window(context, &arguments)?;
    let selection = funnel_selection(context, &arguments)?;
    let breakdown = arguments.get("funnel_step_breakdown").cloned();
    // The property of a breakdown may be given as a list of one.
    let key = arguments.get("breakdown");
    let key = key.map(|key| key.get(0).unwrap_or(key));
    let breakdown = breakdown.zip(key.and_then(Value::as_str).map(str::to_owned));
    let of_person = arguments.text("breakdown_type") == Some("person");
    let funnel = Funnel {
        steps,
        window,
        order,
        exclusions: Vec::new(),
    };
    let persons = events_by_person(context.project, |event| {
        range.contains(event.at) && filters.accept(event, &event.person_properties)
    });
    let in_breakdown = |attempt: &Attempt<'_>| match &breakdown {
        None => true,
        Some((value, key)) => {
            let found = if of_person {
                attempt.entry.person_properties.get(key)
            } else {
                attempt.entry.properties.get(key).map(Cow::Borrowed)
            };
            let found = found.unwrap_or_default();
            let one_of = |value: &Value| property_text(value) == property_text(&found);
            match value {
                Value::Array(values) => values.iter().any(one_of),
                value => one_of(value),
            }
        }
    };
    let found: Vec<(Uuid, Option<u64>)> = persons
        .iter()
        .filter(|(_, events)| selection.accepts(&funnel, events, in_breakdown))
        .map(|(person, _)| (*person, None))
        .collect();
    actors_page(context, &arguments, found)
}

fn funnel_arguments(context: &mut Context<'_>) -> Result<InsightArguments, Response> {
    let query = InsightArguments::read(context)?;
    if context.request.method() == "GET" {
        return Ok(query);
    }
    let allowed: Vec<&str> = FUNNEL_ARGUMENTS
        .iter()
        .copied()
        // PostHog reads these two from the query only.
        .filter(|name| !matches!(*name, "entrance_period_start" | "drop_off"))
        .collect();
    let body = context.fields(&allowed)?;
    Ok(query.overridden_by(body))
}

fn funnel_window(
    context: &mut Context<'_>,
    arguments: &InsightArguments,
) -> Result<Duration, Response> {
    let days = arguments.integer(context, "funnel_window_days")?;
    let count = arguments.integer(context, "funnel_window_interval")?;
    let unit = arguments
        .text("funnel_window_interval_unit")
        .unwrap_or("day");
    let count = count.or(days).unwrap_or(14);
    let window = match unit {
        "second" => Duration::try_seconds(count),
        "minute" => Duration::try_minutes(count),
        "hour" => Duration::try_hours(count),
        "day" => Duration::try_days(count),
        "week" => Duration::try_weeks(count),
        "month" => Duration::try_days(count.saturating_mul(30)),
        other => {
            let detail = format!("unknown funnel_window_interval_unit {other:?}");
            return Err(context.reject(detail));
        }
    };
    let ends = |window: &Duration| context.now.checked_add_signed(*window);
    match window.filter(|window| ends(window).is_some_and(dates::is_supported)) {
        Some(window) => Ok(window),
        None => Err(context.reject(format!("funnel window of {count} {unit}s"))),
    }
}

fn funnel_selection(
    context: &mut Context<'_>,
    arguments: &InsightArguments,
) -> Result<FunnelSelection, Response> {
    match arguments.text("funnel_viz_type").unwrap_or("steps") {
        "trends" => {
            let Some(drop_off) = arguments.flag(context, "drop_off")? else {
                context.record_violation("trends funnel without drop_off in the query");
                let detail = "Filter parameter drop_off must be provided and a bool for funnel trends \
                              persons!";
                return Err(Response::invalid(detail, None));
            };
            let start = arguments
                .text("entrance_period_start")
                .and_then(dates::parse);
            let Some(start) = start else {
                return Err(context.crash("trends funnel without entrance_period_start"));
            };
            let end = arguments.interval(context)?.after(start);
            Ok(FunnelSelection::Entered {
                start,
                end,
                drop_off,
            })
        }
        "steps" | "time_to_convert" => {
            let custom = arguments.list(context, "funnel_custom_steps")?;
            let custom: Vec<i64> = custom.iter().filter_map(Value::as_i64).collect();
            match arguments.integer(context, "funnel_step")? {
                _ if !custom.is_empty() => Ok(FunnelSelection::AnyOf(custom)),
                Some(step) => Ok(FunnelSelection::Step(step)),
                _ => Err(context.crash("funnel without funnel_step or funnel_custom_steps")),
            }
        }
        other => {
            let detail = format!("unknown funnel_viz_type {other:?}");
            Err(context.reject(detail))
        }
    }
}
