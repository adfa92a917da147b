//! Filters in HogQL, by which PostHog evaluates the list of persons since 2026. A property is read as the type of its
//! definition, and as text without one; ClickHouse then fails on a value of another type, whatever is stored.

use regex_lite::Regex;
use serde_json::Value;

use super::condition::{Comparison, Condition, Operand, flag, number, plain_date, property_text};
use super::error::FilterError;
use crate::model::PropertyType;
use crate::model::{Era, Pattern};

/// `None` if everything matches.
pub(super) fn read(
    operator: &str,
    value: &Value,
    defined: Option<PropertyType>,
    era: Era,
) -> Result<Option<Condition>, FilterError> {
    let property = Property {
        read_as: defined.unwrap_or(PropertyType::String),
        era,
    };
    match operator {
        "is_set" => return Ok(Some(Condition::Set(true))),
        "is_not_set" => return Ok(Some(Condition::Set(false))),
        "between" => return property.between(value, true).map(Some),
        "not_between" => return property.between(value, false).map(Some),
        _ => {}
    }
    // A list of one is unwrapped before the operator is looked at.
    let items = match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    if items.is_empty() {
        return Ok(None);
    }
    let condition = match operator {
        "exact" => property.equal(items, true),
        "is_not" => property.equal(items, false),
        "in" | "not_in" if items.len() == 1 => Err(FilterError::Failure),
        "in" => property.equal(items, true),
        "not_in" => property.equal(items, false),
        "icontains" => Ok(like(items, true)),
        "not_icontains" => Ok(like(items, false)),
        "regex" => regex(items, true),
        "not_regex" => regex(items, false),
        "gt" => property.compare(Comparison::Greater, items),
        "gte" => property.compare(Comparison::GreaterOrEqual, items),
        "lt" => property.compare(Comparison::Less, items),
        "lte" => property.compare(Comparison::LessOrEqual, items),
        "min" => property.since_september(Comparison::GreaterOrEqual, items),
        "max" => property.since_september(Comparison::LessOrEqual, items),
        "is_date_exact" => property.compare(Comparison::Equal, items),
        "is_date_before" => property.compare(Comparison::Less, items),
        "is_date_after" => property.compare(Comparison::Greater, items),
        other if era < Era::September2026 => {
            Err(FilterError::Malformed(format!("operator {other:?}")))
        }
        other => Err(FilterError::Violation(format!("operator {other:?}"))),
    };
    condition.map(Some)
}

struct Property {
    read_as: PropertyType,
    era: Era,
}

impl Property {
    fn equal(&self, items: &[Value], expected: bool) -> Result<Condition, FilterError> {
        let any_of = match items {
            [one] => vec![self.operand(one)?],
            several => self.members(several)?,
        };
        Ok(Condition::Compare {
            read_as: self.read_as,
            comparison: Comparison::Equal,
            any_of,
            expected,
        })
    }

    /// The items of an `IN`. Against text, a fraction is compared as text, and an integer or a boolean equals nothing.
    fn members(&self, items: &[Value]) -> Result<Vec<Operand>, FilterError> {
        if self.read_as != PropertyType::String {
            return items.iter().map(|item| self.operand(item)).collect();
        }
        let mut members = Vec::new();
        for item in items {
            match item {
                Value::String(text) => members.push(Operand::Text(text.clone())),
                Value::Number(number) if number.is_f64() => {
                    members.push(Operand::Text(number.to_string()));
                }
                Value::Number(_) | Value::Bool(_) | Value::Null => {}
                Value::Array(_) | Value::Object(_) => return Err(FilterError::Failure),
            }
        }
        Ok(members)
    }

    fn compare(&self, comparison: Comparison, items: &[Value]) -> Result<Condition, FilterError> {
        let operands: Result<Vec<Operand>, FilterError> =
            items.iter().map(|item| self.operand(item)).collect();
        Ok(Condition::Compare {
            read_as: self.read_as,
            comparison,
            any_of: operands?,
            expected: true,
        })
    }

    fn since_september(
        &self,
        comparison: Comparison,
        items: &[Value],
    ) -> Result<Condition, FilterError> {
        if self.era < Era::September2026 {
            return Err(FilterError::Failure);
        }
        self.compare(comparison, items)
    }

    fn between(&self, value: &Value, expected: bool) -> Result<Condition, FilterError> {
        match value.as_array().map(Vec::as_slice) {
            Some([low, high]) if self.era >= Era::September2026 => Ok(Condition::Between {
                read_as: self.read_as,
                low: self.operand(low)?,
                high: self.operand(high)?,
                expected,
            }),
            _ => Err(FilterError::Failure),
        }
    }

    /// A value that ClickHouse can compare with the property.
    fn operand(&self, value: &Value) -> Result<Operand, FilterError> {
        let operand = match (self.read_as, value) {
            (PropertyType::String, Value::String(text)) => Some(Operand::Text(text.clone())),
            (PropertyType::String, Value::Bool(flag)) if self.era >= Era::September2026 => {
                Some(Operand::Text(flag.to_string()))
            }
            (PropertyType::Numeric, value) => number(value).map(Operand::Number),
            (PropertyType::Boolean, value) => flag(value).map(Operand::Flag),
            (PropertyType::DateTime, Value::String(text)) => plain_date(text).map(Operand::Time),
            _ => None,
        };
        operand.ok_or(FilterError::Failure)
    }
}

fn like(items: &[Value], expected: bool) -> Condition {
    let texts = items.iter().filter_map(property_text);
    Condition::Like {
        any_of: texts.map(|part| Pattern::containing(&part)).collect(),
        expected,
    }
}

fn regex(items: &[Value], expected: bool) -> Result<Condition, FilterError> {
    let patterns = items.iter().filter_map(property_text);
    let any_of: Result<Vec<Regex>, FilterError> = patterns
        .map(|pattern| Regex::new(&pattern).map_err(|_| FilterError::Failure))
        .collect();
    Ok(Condition::Regex {
        any_of: any_of?,
        expected,
    })
}
