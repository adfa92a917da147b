//! Filters in the SQL that PostHog generated for the list of persons in 2025. It does not look at property definitions:
//! the operator says how a value is read. An operator that it does not know means `exact`.

use regex_lite::Regex;
use serde_json::Value;

use super::condition::{Comparison, Condition, Operand, number, plain_date};
use super::error::FilterError;
use crate::model::Pattern;
use crate::model::PropertyType;
use crate::model::dates;

pub(super) fn read(operator: &str, value: &Value) -> Result<Condition, FilterError> {
    match operator {
        "is_set" => Ok(Condition::Set(true)),
        "is_not_set" => Ok(Condition::Set(false)),
        "is_not" => Ok(equal(value, false)),
        "icontains" => Ok(like(value, true)),
        "not_icontains" => Ok(like(value, false)),
        "regex" => regex(value, true),
        "not_regex" => regex(value, false),
        "gt" => compare(Comparison::Greater, "greater", value),
        "gte" => compare(Comparison::GreaterOrEqual, "greaterOrEquals", value),
        "lt" => compare(Comparison::Less, "less", value),
        "lte" => compare(Comparison::LessOrEqual, "lessOrEquals", value),
        "is_date_exact" => date(Comparison::Equal, value),
        "is_date_before" => date(Comparison::Less, value),
        "is_date_after" => date(Comparison::Greater, value),
        _ => Ok(equal(value, true)),
    }
}

fn equal(value: &Value, expected: bool) -> Condition {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    Condition::Compare {
        read_as: PropertyType::String,
        comparison: Comparison::Equal,
        any_of: items.iter().map(python_text).map(Operand::Text).collect(),
        expected,
    }
}

/// A list is written out as text, and no value contains that.
fn like(value: &Value, expected: bool) -> Condition {
    Condition::Like {
        any_of: vec![Pattern::containing(&python_text(value))],
        expected,
    }
}

/// A pattern that is not valid matches nothing, whichever of the two operators it has.
fn regex(value: &Value, expected: bool) -> Result<Condition, FilterError> {
    if value.as_array().is_some_and(|items| !items.is_empty()) {
        return Err(illegal_type(
            "Illegal type Array(String) of argument of function match",
        ));
    }
    match value.as_str().map(Regex::new) {
        Some(Ok(regex)) => Ok(Condition::Regex {
            any_of: vec![regex],
            expected,
        }),
        _ => Ok(Condition::Never),
    }
}

fn compare(
    comparison: Comparison,
    function: &str,
    value: &Value,
) -> Result<Condition, FilterError> {
    if value.is_array() {
        return Err(illegal_type(&format!(
            "Illegal types of arguments (Float64, Array(UInt8)) of function {function}"
        )));
    }
    let Some(number) = number(value) else {
        return Err(type_mismatch(value, "Float64"));
    };
    Ok(Condition::Compare {
        read_as: PropertyType::Numeric,
        comparison,
        any_of: vec![Operand::Number(number)],
        expected: true,
    })
}

/// A day with `is_date_exact` stands for all of its moments.
fn date(comparison: Comparison, value: &Value) -> Result<Condition, FilterError> {
    let written = python_text(value);
    let Some(time) = plain_date(&written) else {
        return Err(if dates::parse(&written).is_some() {
            type_mismatch(value, "DateTime")
        } else {
            FilterError::Rejected {
                code: "cannot_parse_datetime",
                detail: format!(
                    "Cannot parse datetime: while converting '{written}' to DateTime. \
                     (CANNOT_PARSE_DATETIME)"
                ),
            }
        });
    };
    if comparison == Comparison::Equal && dates::is_bare_date(&written) {
        return Ok(Condition::Between {
            read_as: PropertyType::DateTime,
            low: Operand::Time(time),
            high: Operand::Time(dates::end_of_day(time)),
            expected: true,
        });
    }
    Ok(Condition::Compare {
        read_as: PropertyType::DateTime,
        comparison,
        any_of: vec![Operand::Time(time)],
        expected: true,
    })
}

fn type_mismatch(value: &Value, expected: &str) -> FilterError {
    FilterError::Rejected {
        code: "type_mismatch",
        detail: format!(
            "Cannot convert string '{}' to type {expected}. (TYPE_MISMATCH)",
            python_text(value)
        ),
    }
}

fn illegal_type(detail: &str) -> FilterError {
    FilterError::Rejected {
        code: "illegal_type_of_argument",
        detail: format!("{detail}. (ILLEGAL_TYPE_OF_ARGUMENT)"),
    }
}

/// A value as Python writes it into a query.
fn python_text(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string().replace('"', "'"),
    }
}
