//! The persons behind a point or a total of trends.

use chrono::Duration;
use serde_json::{Map, Value as Json};

use super::funnels::recordings;
use super::series::{Breakdown, Insight, distinct_ids, integer, object, text};
use super::source::ActorSource;
use crate::handlers::arguments::DateRange;
use crate::handlers::context::Context;
use crate::hogql::{Type, Value};
use crate::http::Response;
use crate::model::dates::{self, Time};
use crate::model::insights::events_by_person;

/// The displays of one number for the whole range.
const TOTALS: &[&str] = &[
    "ActionsBarValue",
    "ActionsPie",
    "ActionsTable",
    "BoldNumber",
    "WorldMap",
];

pub(super) fn actors(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let settings = Insight::read(context, insight)?;
    let range = range(context, source, insight, &settings)?;
    let index = integer(source, "series").unwrap_or(0);
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let Some(series) = settings.series.get(index) else {
        return Err(context.crash("series that does not exist"));
    };
    let wanted = source.get("breakdown").filter(|wanted| !wanted.is_null());
    let breakdown = Breakdown::read(insight).zip(wanted.cloned());
    let persons = events_by_person(context.project, |event| {
        range.contains(event.at)
            && settings.accepts(context.project, event)
            && series.entity.matches(event)
            && settings.is_in(context.project, event, breakdown.as_ref())
    });
    let mut columns = vec![
        ("event_count".to_owned(), Type::UInt64),
        ("event_distinct_ids".to_owned(), Type::array(Type::String)),
    ];
    let with_recordings = source.get("includeRecordings") == Some(&Json::Bool(true));
    if with_recordings {
        columns.push(("matched_recordings".to_owned(), recordings()));
    }
    let rows = persons.into_iter().map(|(person, events)| {
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let ids = distinct_ids(&events).into_iter().map(Value::text);
        let mut row = vec![Value::Int(count), Value::Array(ids.collect())];
        if with_recordings {
            row.push(Value::Array(Vec::new()));
        }
        (person, row)
    });
    Ok(ActorSource {
        added: Some("event_distinct_ids"),
        ..ActorSource::with_columns(columns, rows)
    })
}

/// The interval that starts on the day, or the whole range for a total.
fn range(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
    settings: &Insight,
) -> Result<DateRange, Response> {
    let display = object(insight, "trendsFilter").and_then(|filter| text(filter, "display"));
    let is_total = display.is_some_and(|display| TOTALS.contains(&display));
    let day = source.get("day").filter(|day| !day.is_null());
    let shift = shift(context, source, insight)?;
    let whole = &settings.range;
    let (from, to) = match (day, is_total) {
        (None, true) => (whole.from, whole.to),
        (Some(_), true) => return Err(context.crash("day of a total")),
        (None, false) => return Err(context.crash("trends without a day")),
        (Some(day), false) => {
            let Some(day) = day.as_str().and_then(dates::parse) else {
                return Err(context.crash(format!("day {day} that is not a date")));
            };
            let end = settings.interval.after(day) - Duration::microseconds(1);
            (day, end)
        }
    };
    let is_explicit = object(insight, "dateRange")
        .is_some_and(|range| range.get("explicitDate") == Some(&Json::Bool(true)));
    let (from, to) = if is_explicit {
        (from.max(whole.from), to.min(whole.to))
    } else {
        (from, to)
    };
    let math = settings.series.first().map(|series| series.math.as_str());
    // Who was active in a week or a month that ends with the interval or, for a total, with the whole range.
    let active_from = if is_total { to } else { from };
    let from = match math {
        Some("weekly_active") => active_from - Duration::days(6),
        Some("monthly_active") => active_from - Duration::days(29),
        _ => from,
    };
    Ok(DateRange {
        from: shift(from),
        to: shift(to),
    })
}

/// How a time of the current period becomes one of the period that it is compared with.
fn shift(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
    insight: &Map<String, Json>,
) -> Result<impl Fn(Time) -> Time + use<>, Response> {
    let filter = object(insight, "compareFilter");
    let compares = filter.is_some_and(|filter| filter.get("compare") == Some(&Json::Bool(true)));
    let to = filter.and_then(|filter| text(filter, "compare_to"));
    let days = match to {
        None if compares => {
            return Err(context.crash("comparison with a period that is not named"));
        }
        None => 0,
        Some(written) => {
            let number = written.trim_start_matches('-');
            let (count, unit) = number.split_at(number.len().saturating_sub(1));
            let unit = match unit {
                "h" => 0,
                "d" => 1,
                "w" => 7,
                "m" => 30,
                "y" => 365,
                _ => return Err(context.crash(format!("compare_to {written:?}"))),
            };
            count.parse::<i64>().unwrap_or(0).clamp(0, 1000) * unit
        }
    };
    let is_previous = text(source, "compare") == Some("previous");
    let by = if is_previous { days } else { 0 };
    Ok(move |time| time - Duration::days(by))
}
