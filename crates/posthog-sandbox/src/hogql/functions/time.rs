//! Functions on times.

use chrono::Duration;

use super::function::{Function, argument, aware, refused, strict, text};
use crate::hogql::error::QueryError;
use crate::hogql::types::Type;
use crate::hogql::value::{Span, Value};
use crate::model::dates::{self, Interval, Time};

pub(super) const FUNCTIONS: &[Function] = &[
    // NULL for what is not a time.
    aware(
        "toDateTime",
        (1, 2),
        |_| Ok(Type::Time(6).nullable()),
        |a| {
            Ok(match argument(a, 0) {
                Value::Time(time) => Value::Time(*time),
                Value::Int(seconds) => {
                    Time::from_timestamp(*seconds, 0).map_or(Value::Null, Value::Time)
                }
                _ => dates::parse(text(a, 0).trim()).map_or(Value::Null, Value::Time),
            })
        },
    ),
    aware(
        "toDateTime64",
        (1, 3),
        |_| Ok(Type::Time(6).nullable()),
        |a| {
            Ok(match argument(a, 0) {
                Value::Time(time) => Value::Time(*time),
                _ => dates::parse(text(a, 0).trim()).map_or(Value::Null, Value::Time),
            })
        },
    ),
    aware(
        "toDate",
        (1, 1),
        |_| Ok(Type::Date.nullable()),
        |a| {
            let time = match argument(a, 0) {
                Value::Time(time) => Some(*time),
                _ => dates::parse(text(a, 0).trim()),
            };
            let day = time.and_then(dates::start_of_day);
            Ok(day.map_or(Value::Null, Value::Time))
        },
    ),
    strict("toStartOfMinute", (1, 1), times, |a| {
        start(a, Interval::Minute)
    }),
    strict("toStartOfHour", (1, 1), times, |a| start(a, Interval::Hour)),
    strict("toStartOfDay", (1, 1), times, |a| start(a, Interval::Day)),
    strict("toStartOfWeek", (1, 2), first_time, |a| {
        start(a, Interval::Week)
    }),
    strict("toStartOfMonth", (1, 1), times, |a| {
        start(a, Interval::Month)
    }),
    strict("toUnixTimestamp", (1, 1), seconds, |a| {
        Ok(match argument(a, 0) {
            Value::Time(time) => Value::Int(time.timestamp()),
            _ => Value::Null,
        })
    }),
    strict("toIntervalSecond", (1, 1), spans, |a| {
        span(a, Duration::try_seconds)
    }),
    strict("toIntervalMinute", (1, 1), spans, |a| {
        span(a, Duration::try_minutes)
    }),
    strict("toIntervalHour", (1, 1), spans, |a| {
        span(a, Duration::try_hours)
    }),
    strict("toIntervalDay", (1, 1), spans, |a| {
        span(a, Duration::try_days)
    }),
    strict("toIntervalWeek", (1, 1), spans, |a| {
        span(a, Duration::try_weeks)
    }),
    strict("toIntervalMonth", (1, 1), spans, |a| {
        let months = argument(a, 0).as_int().unwrap_or(0);
        Ok(Value::Span(Span::Months(months)))
    }),
    strict("toIntervalYear", (1, 1), spans, |a| {
        let years = argument(a, 0).as_int().unwrap_or(0);
        Ok(Value::Span(Span::Months(years.saturating_mul(12))))
    }),
    strict("dateDiff", (3, 3), differences, |a| {
        let (Value::Time(from), Value::Time(to)) = (argument(a, 1), argument(a, 2)) else {
            return Ok(Value::Null);
        };
        let (interval, seconds) = match text(a, 0).as_str() {
            "second" => return Ok(Value::Int(to.timestamp() - from.timestamp())),
            "minute" => (Interval::Minute, 60),
            "hour" => (Interval::Hour, 3600),
            "day" => (Interval::Day, 86_400),
            "week" => (Interval::Week, 604_800),
            other => {
                let sentence = format!("Function dateDiff does not support unit {other}");
                return Err(QueryError::clickhouse("bad_arguments", sentence));
            }
        };
        // The number of boundaries between the two.
        let apart = interval.start(*to) - interval.start(*from);
        Ok(Value::Int(apart.num_seconds() / seconds))
    }),
];

fn times(types: &[Type]) -> Result<Type, QueryError> {
    match types.iter().find(|ty| !ty.is_time()) {
        Some(other) => Err(refused(other)),
        None => Ok(Type::Time(6)),
    }
}

fn first_time(types: &[Type]) -> Result<Type, QueryError> {
    times(types.get(..1).unwrap_or_default())
}

fn seconds(types: &[Type]) -> Result<Type, QueryError> {
    times(types).map(|_| Type::UInt32)
}

fn spans(types: &[Type]) -> Result<Type, QueryError> {
    match types.iter().find(|ty| !ty.is_number()) {
        Some(other) => Err(refused(other)),
        None => Ok(Type::Interval),
    }
}

fn differences(types: &[Type]) -> Result<Type, QueryError> {
    times(types.get(1..).unwrap_or_default()).map(|_| Type::Int64)
}

fn start(arguments: &[Value], interval: Interval) -> Result<Value, QueryError> {
    Ok(match argument(arguments, 0) {
        Value::Time(time) => Value::Time(interval.start(*time)),
        _ => Value::Null,
    })
}

fn span(arguments: &[Value], of: fn(i64) -> Option<Duration>) -> Result<Value, QueryError> {
    let duration = argument(arguments, 0).as_int().and_then(of);
    Ok(duration.map_or(Value::Null, |duration| Value::Span(Span::Time(duration))))
}
