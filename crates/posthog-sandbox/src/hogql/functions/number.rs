//! Functions on numbers and conditions, and conversions to them.

use uuid::Uuid;

use super::function::{
    ANY, Function, argument, aware, common, is_null, refused, strict, text, to_flag,
};
use crate::hogql::error::QueryError;
use crate::hogql::types::Type;
use crate::hogql::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    aware("isNull", (1, 1), to_flag, |a| {
        Ok(Value::flag(argument(a, 0).is_null()))
    }),
    aware("isNotNull", (1, 1), to_flag, |a| {
        Ok(Value::flag(!argument(a, 0).is_null()))
    }),
    aware("if", (3, 3), branches, choose),
    aware("multiIf", (3, ANY), branches, choose),
    aware("coalesce", (1, ANY), first_present, present),
    aware("ifNull", (2, 2), first_present, present),
    aware("nullIf", (2, 2), nullable_first, |a| {
        let (value, other) = (argument(a, 0), argument(a, 1));
        Ok(if value.order(other).is_eq() {
            Value::Null
        } else {
            value.clone()
        })
    }),
    aware("assumeNotNull", (1, 1), plain_first, |a| {
        Ok(argument(a, 0).clone())
    }),
    strict("greatest", (1, ANY), common, |a| {
        let greatest = a.iter().max_by(|a, b| a.order(b));
        Ok(greatest.cloned().unwrap_or(Value::Null))
    }),
    strict("least", (1, ANY), common, |a| {
        let least = a.iter().min_by(|a, b| a.order(b));
        Ok(least.cloned().unwrap_or(Value::Null))
    }),
    strict("plus", (2, 2), sums, |a| {
        arithmetic(a, i64::checked_add, |a, b| a + b)
    }),
    strict("minus", (2, 2), sums, |a| {
        let negated = match argument(a, 1) {
            Value::Span(span) => Some(Value::Span(span.negated())),
            _ => None,
        };
        match negated {
            Some(span) => arithmetic(&[argument(a, 0).clone(), span], i64::checked_add, |a, b| {
                a + b
            }),
            None => arithmetic(a, i64::checked_sub, |a, b| a - b),
        }
    }),
    strict("multiply", (2, 2), sums, |a| {
        arithmetic(a, i64::checked_mul, |a, b| a * b)
    }),
    strict("divide", (2, 2), floats, |a| {
        let float = |index| argument(a, index).as_float();
        let quotient = float(0).zip(float(1)).map(|(a, b)| a / b);
        Ok(quotient.map_or(Value::Null, Value::Float))
    }),
    strict("intDiv", (2, 2), sums, |a| divide(a, i64::checked_div)),
    strict("modulo", (2, 2), sums, |a| divide(a, i64::checked_rem)),
    strict("negate", (1, 1), sums, |a| {
        Ok(match argument(a, 0) {
            Value::Int(number) => Value::Int(number.saturating_neg()),
            other => other.as_float().map_or(Value::Null, |x| Value::Float(-x)),
        })
    }),
    strict("abs", (1, 1), sums, |a| {
        Ok(match argument(a, 0) {
            Value::Int(number) => Value::Int(number.saturating_abs()),
            other => other
                .as_float()
                .map_or(Value::Null, |x| Value::Float(x.abs())),
        })
    }),
    strict("round", (1, 2), sums, |a| {
        let digits = argument(a, 1).as_float().unwrap_or(0.0);
        let scale = 10f64.powf(digits);
        let round = |x: f64| Value::Float((x * scale).round() / scale);
        Ok(match argument(a, 0) {
            Value::Int(number) => Value::Int(*number),
            other => other.as_float().map_or(Value::Null, round),
        })
    }),
    // HogQL's conversions result in NULL for what cannot be converted.
    aware(
        "toInt",
        (1, 1),
        |_| Ok(Type::Int64.nullable()),
        |a| {
            let parsed = match argument(a, 0) {
                Value::Int(number) => Some(*number),
                #[allow(clippy::cast_possible_truncation, reason = "as ClickHouse converts")]
                Value::Float(number) => Some(number.trunc() as i64),
                Value::Bool(flag) => Some(i64::from(*flag)),
                _ => text(a, 0).parse().ok(),
            };
            Ok(parsed.map_or(Value::Null, Value::Int))
        },
    ),
    aware(
        "toFloat",
        (1, 1),
        |_| Ok(Type::Float64.nullable()),
        |a| {
            let number = argument(a, 0);
            let parsed = number.as_float().or_else(|| text(a, 0).parse().ok());
            Ok(parsed.map_or(Value::Null, Value::Float))
        },
    ),
    aware(
        "toBool",
        (1, 1),
        |_| Ok(Type::Bool.nullable()),
        |a| {
            let parsed = match argument(a, 0) {
                Value::Int(number) => Some(*number != 0),
                Value::Bool(flag) => Some(*flag),
                _ => text(a, 0).parse().ok(),
            };
            Ok(parsed.map_or(Value::Null, Value::Bool))
        },
    ),
    aware(
        "toUUID",
        (1, 1),
        |_| Ok(Type::Uuid.nullable()),
        |a| {
            Ok(match argument(a, 0) {
                Value::Uuid(uuid) => Value::Uuid(*uuid),
                _ => Uuid::parse_str(&text(a, 0)).map_or(Value::Null, Value::Uuid),
            })
        },
    ),
];

fn branches(types: &[Type]) -> Result<Type, QueryError> {
    let conditions = types.iter().step_by(2).take(types.len() / 2);
    for condition in conditions {
        if !(condition.is_number() || is_null(condition)) {
            return Err(refused(condition));
        }
    }
    if types.len().is_multiple_of(2) {
        let sentence = "Invalid number of arguments for function multiIf";
        return Err(QueryError::clickhouse(
            "number_of_arguments_doesnt_match",
            sentence,
        ));
    }
    let results = types.iter().skip(1).step_by(2).chain(types.last());
    common(&results.cloned().collect::<Vec<_>>())
}

fn choose(arguments: &[Value]) -> Result<Value, QueryError> {
    for branch in arguments.chunks(2) {
        match branch {
            [condition, value] if condition.holds() => return Ok(value.clone()),
            [otherwise] => return Ok(otherwise.clone()),
            _ => {}
        }
    }
    Ok(Value::Null)
}

fn first_present(types: &[Type]) -> Result<Type, QueryError> {
    let ty = common(types)?;
    let is_nullable = |ty: &Type| ty.is_nullable() || is_null(ty);
    Ok(if types.last().is_some_and(|ty| !is_nullable(ty)) {
        ty.plain().clone()
    } else {
        ty
    })
}

fn present(arguments: &[Value]) -> Result<Value, QueryError> {
    let found = arguments.iter().find(|value| !value.is_null());
    Ok(found.cloned().unwrap_or(Value::Null))
}

fn nullable_first(types: &[Type]) -> Result<Type, QueryError> {
    common(types)?;
    Ok(types.first().cloned().unwrap_or(Type::Nothing).nullable())
}

fn plain_first(types: &[Type]) -> Result<Type, QueryError> {
    let first = types.first().map(Type::plain);
    Ok(first.cloned().unwrap_or(Type::Nothing))
}

/// Numbers, or a time and an interval.
fn sums(types: &[Type]) -> Result<Type, QueryError> {
    let of_time = types.iter().find(|ty| ty.is_time());
    if let (Some(time), Some(Type::Interval)) = (of_time, types.last()) {
        return Ok(time.plain().clone());
    }
    match types.iter().find(|ty| !(ty.is_number() || is_null(ty))) {
        Some(other) => Err(refused(other)),
        None => {
            let plain: Vec<Type> = types.iter().map(|ty| ty.plain().clone()).collect();
            Ok(match common(&plain)? {
                Type::Float64 => Type::Float64,
                _ => Type::Int64,
            })
        }
    }
}

fn floats(types: &[Type]) -> Result<Type, QueryError> {
    sums(types).map(|_| Type::Float64)
}

fn arithmetic(
    arguments: &[Value],
    integers: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, QueryError> {
    let (a, b) = (argument(arguments, 0), argument(arguments, 1));
    if let (Value::Time(time), Value::Span(span)) = (a, b) {
        return Ok(span.added_to(*time).map_or(Value::Null, Value::Time));
    }
    if let (Some(a), Some(b)) = (a.as_int(), b.as_int()) {
        return Ok(integers(a, b).map_or(Value::Null, Value::Int));
    }
    let result = a.as_float().zip(b.as_float()).map(|(a, b)| floats(a, b));
    Ok(result.map_or(Value::Null, Value::Float))
}

fn divide(arguments: &[Value], divide: fn(i64, i64) -> Option<i64>) -> Result<Value, QueryError> {
    let integer = |index| argument(arguments, index).as_int().unwrap_or(0);
    let quotient = divide(integer(0), integer(1));
    quotient
        .map(Value::Int)
        .ok_or_else(|| QueryError::clickhouse("illegal_division", "Division by zero"))
}
