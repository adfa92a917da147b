//! Who came through a funnel, and who dropped out (contract section 3.17).

use std::borrow::Cow;

use chrono::Duration;
use serde_json::Value;
use uuid::Uuid;

use super::answer::Answer;
use super::arguments::Arguments;
use super::call::Call;
use super::dates;
use super::entities::read_entities;
use super::filters::text as text_of;
use super::funnel_steps::{Funnel, Order, Outcome, Progress};
use super::insights::{Narrowing, actors_page, by_person};

pub(super) const FUNNEL_ARGUMENTS: &[&str] = &[
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

/// Contract 3.17. The same for GET and POST, but for where the arguments come from.
pub(super) fn funnel(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let arguments = funnel_arguments(call)?;
    let range = arguments.date_range(call)?;
    let narrowing = Narrowing::read(call, &arguments)?;
    let steps = read_entities(call, &arguments)?;
    let order = match arguments.text("funnel_order_type").unwrap_or("ordered") {
        "ordered" => Order::Ordered,
        "strict" => Order::Strict,
        "unordered" => Order::Unordered,
        other => {
            let detail = format!("the funnel_order_type {other:?}");
            return Err(call.strict(detail));
        }
    };
    let window = funnel_window(call, &arguments)?;
    let wanted = funnel_outcome(call, &arguments)?;
    let breakdown = arguments.get("funnel_step_breakdown").cloned();
    let breakdown = breakdown.zip(arguments.text("breakdown").map(str::to_owned));
    let of_person = arguments.text("breakdown_type") == Some("person");
    let funnel = Funnel {
        steps,
        window,
        order,
    };
    let persons = by_person(call, |event, person| {
        range.contains(event.at) && narrowing.accept(event, person)
    });
    let in_breakdown = |progress: &Progress<'_>| match &breakdown {
        None => true,
        Some((wanted, key)) => {
            let found = if of_person {
                progress.entry.person_properties.get(key)
            } else {
                progress.entry.properties.get(key).map(Cow::Borrowed)
            };
            let found = found.unwrap_or_default();
            let one_of = |value: &Value| text_of(value) == text_of(&found);
            match wanted {
                Value::Array(values) => values.iter().any(one_of),
                value => one_of(value),
            }
        }
    };
    let found: Vec<(Uuid, Option<u64>)> = persons
        .iter()
        .filter(|(_, events)| wanted.accepts(&funnel, events, in_breakdown))
        .map(|(person, _)| (*person, None))
        .collect();
    actors_page(call, &arguments, found)
}

fn funnel_arguments(call: &mut Call<'_>) -> Result<Arguments, Answer> {
    let query = Arguments::read(call)?;
    if call.request.method() == "GET" {
        return Ok(query);
    }
    let allowed: Vec<&str> = FUNNEL_ARGUMENTS
        .iter()
        .copied()
        // These two are only ever read from the query.
        .filter(|name| !matches!(*name, "entrance_period_start" | "drop_off"))
        .collect();
    let body = call.fields(&allowed)?;
    Ok(query.overlaid_with(body))
}

fn funnel_window(call: &mut Call<'_>, arguments: &Arguments) -> Result<Duration, Answer> {
    let days = arguments.integer(call, "funnel_window_days")?;
    let count = arguments.integer(call, "funnel_window_interval")?;
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
            let detail = format!("the funnel_window_interval_unit {other:?}");
            return Err(call.strict(detail));
        }
    };
    let ends = |window: &Duration| call.now.checked_add_signed(*window);
    match window.filter(|window| ends(window).is_some_and(dates::is_countable)) {
        Some(window) => Ok(window),
        None => Err(call.strict(format!("a funnel window of {count} {unit}s"))),
    }
}

fn funnel_outcome(call: &mut Call<'_>, arguments: &Arguments) -> Result<Outcome, Answer> {
    match arguments.text("funnel_viz_type").unwrap_or("steps") {
        "trends" => {
            let Some(drop_off) = arguments.flag(call, "drop_off")? else {
                return Err(call.crash("a trends funnel without drop_off in the query"));
            };
            let start = arguments
                .text("entrance_period_start")
                .and_then(dates::parse);
            let Some(start) = start else {
                return Err(call.crash("a trends funnel without entrance_period_start"));
            };
            let end = arguments.interval(call)?.after(start);
            Ok(Outcome::Entered {
                start,
                end,
                drop_off,
            })
        }
        "steps" | "time_to_convert" => {
            let custom = arguments.list(call, "funnel_custom_steps")?;
            let custom: Vec<i64> = custom.iter().filter_map(Value::as_i64).collect();
            match arguments.integer(call, "funnel_step")? {
                _ if !custom.is_empty() => Ok(Outcome::AnyOf(custom)),
                Some(step) if step != 0 => Ok(Outcome::Step(step)),
                _ => Err(call.crash("a funnel without funnel_step or funnel_custom_steps")),
            }
        }
        other => {
            let detail = format!("the funnel_viz_type {other:?}");
            Err(call.strict(detail))
        }
    }
}
