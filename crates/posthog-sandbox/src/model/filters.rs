//! Property filters (Persons API, Property filters): reading them, and matching them against properties.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use regex_lite::Regex;
use serde_json::Value;
use uuid::Uuid;

use super::dates::{self, Time};
use super::pattern::Pattern;
use super::properties::{Properties, PropertyMap};

/// The persons of a cohort, as of its last calculation.
pub(crate) type CohortMembers = Arc<HashSet<Uuid>>;

/// A filter that was read.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// An incomplete filter, or an exact match with an empty list: everything matches.
    Everything,
    Property {
        key: String,
        condition: Condition,
    },
    Cohort {
        members: CohortMembers,
        inside: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Equal {
        any_of: Vec<String>,
        expected: bool,
    },
    Like {
        any_of: Vec<Pattern>,
        expected: bool,
    },
    Regex {
        any_of: Vec<Regex>,
        expected: bool,
    },
    Compare {
        any_of: Vec<Value>,
        comparison: Comparison,
    },
    Set(bool),
    Date {
        time: Time,
        comparison: Comparison,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a filter was rejected.
#[derive(Debug)]
pub(crate) enum FilterError {
    /// PostHog ignores such a filter, so that everything matches.
    Incomplete(String),
    /// A filter that no client should send.
    Violation(String),
    /// A mistake that PostHog reports to the caller.
    Invalid(String),
}

const FIELDS: [&str; 4] = ["key", "value", "operator", "type"];

impl Filter {
    /// Reads one filter. `members` gives the persons of a cohort.
    pub(crate) fn read(
        filter: &Value,
        now: Time,
        members: &dyn Fn(u64) -> Option<CohortMembers>,
    ) -> Result<Self, FilterError> {
        let Some(fields) = filter.as_object() else {
            return Err(FilterError::Violation(format!(
                "filter that is not an object: {filter}"
            )));
        };
        if let Some(field) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(FilterError::Violation(format!(
                "unknown filter field {field:?}"
            )));
        }
        match fields.get("type").and_then(Value::as_str) {
            Some("person") => Self::read_property(fields, now),
            Some("cohort") => Self::read_cohort(fields, members),
            // PostHog has defaults for the type; clients send it always.
            other => Err(FilterError::Violation(format!("filter of type {other:?}"))),
        }
    }

    fn read_cohort(
        fields: &PropertyMap,
        members: &dyn Fn(u64) -> Option<CohortMembers>,
    ) -> Result<Self, FilterError> {
        let inside = match fields.get("operator").and_then(Value::as_str) {
            None | Some("in" | "exact") => true,
            Some("not_in" | "is_not") => false,
            Some(other) => {
                return Err(FilterError::Violation(format!("cohort operator {other:?}")));
            }
        };
        let Some(id) = fields.get("value").and_then(Value::as_u64) else {
            return Err(FilterError::Violation(
                "cohort filter without a numeric value".to_owned(),
            ));
        };
        let members = members(id)
            .ok_or_else(|| FilterError::Invalid(format!("Cohort {id} does not exist.")))?;
        Ok(Self::Cohort { members, inside })
    }

    pub(crate) fn read_property(fields: &PropertyMap, now: Time) -> Result<Self, FilterError> {
        let operator = match fields.get("operator") {
            None => "exact",
            Some(Value::String(operator)) => operator,
            Some(other) => return Err(FilterError::Violation(format!("operator {other}"))),
        };
        let Some(key) = fields.get("key").and_then(Value::as_str) else {
            return Err(FilterError::Incomplete("filter without a key".to_owned()));
        };
        let takes_no_value = matches!(operator, "is_set" | "is_not_set");
        let value = fields.get("value").filter(|value| !value.is_null());
        if value.is_none() && !takes_no_value {
            return Err(FilterError::Incomplete(format!(
                "filter on {key:?} without a value"
            )));
        }
        let value = value.cloned().unwrap_or_default();
        if operator == "exact" && value.as_array().is_some_and(Vec::is_empty) {
            return Ok(Self::Everything);
        }
        let condition = Condition::read(operator, &value, now)?;
        let key = key.to_owned();
        Ok(Self::Property { key, condition })
    }

    pub(crate) fn matches(&self, properties: &Properties, person: Uuid) -> bool {
        match self {
            Self::Everything => true,
            Self::Property { key, condition } => condition.passes(properties.get(key).as_deref()),
            Self::Cohort { members, inside } => members.contains(&person) == *inside,
        }
    }

    /// The same for the properties of an event.
    pub(crate) fn matches_map(&self, properties: &PropertyMap) -> bool {
        match self {
            Self::Everything | Self::Cohort { .. } => true,
            Self::Property { key, condition } => condition.passes(properties.get(key)),
        }
    }

    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Property { key, .. } => Some(key),
            Self::Everything | Self::Cohort { .. } => None,
        }
    }
}

impl Condition {
    fn read(operator: &str, value: &Value, now: Time) -> Result<Self, FilterError> {
        let texts = || {
            list(value)
                .into_iter()
                .filter_map(property_text)
                .map(Cow::into_owned)
        };
        let date = |comparison| match value.as_str().map(|v| dates::parse_relative(v, now)) {
            Some(Some(time)) => Ok(Self::Date { time, comparison }),
            _ => Err(FilterError::Invalid(format!("{value} is not a date."))),
        };
        let compare = |comparison| {
            let any_of: Vec<Value> = list(value).into_iter().cloned().collect();
            Ok(Self::Compare { any_of, comparison })
        };
        match operator {
            "exact" | "in" => Ok(Self::Equal {
                any_of: texts().collect(),
                expected: true,
            }),
            "is_not" | "not_in" => Ok(Self::Equal {
                any_of: texts().collect(),
                expected: false,
            }),
            "icontains" | "not_icontains" => Ok(Self::Like {
                any_of: texts().map(|part| Pattern::containing(&part)).collect(),
                expected: operator == "icontains",
            }),
            "regex" | "not_regex" => {
                let mut any_of = Vec::new();
                for pattern in texts() {
                    let regex = Regex::new(&pattern);
                    any_of.push(regex.map_err(|error| FilterError::Invalid(error.to_string()))?);
                }
                Ok(Self::Regex {
                    any_of,
                    expected: operator == "regex",
                })
            }
            "gt" => compare(Comparison::Greater),
            "gte" => compare(Comparison::GreaterOrEqual),
            "lt" => compare(Comparison::Less),
            "lte" => compare(Comparison::LessOrEqual),
            "is_set" => Ok(Self::Set(true)),
            "is_not_set" => Ok(Self::Set(false)),
            "is_date_exact" => date(Comparison::Equal),
            "is_date_before" => date(Comparison::Less),
            "is_date_after" => date(Comparison::Greater),
            other => Err(FilterError::Violation(format!("operator {other:?}"))),
        }
    }

    fn passes(&self, stored: Option<&Value>) -> bool {
        let stored = stored.filter(|value| !value.is_null());
        match self {
            Self::Set(expected) => stored.is_some() == *expected,
            // A missing property is not equal, does not contain and does not match, so it passes the negated conditions.
            Self::Equal { any_of, expected } => {
                let stored = stored.and_then(property_text);
                stored.is_some_and(|stored| any_of.iter().any(|v| *v == *stored)) == *expected
            }
            Self::Like { any_of, expected } => {
                let stored = stored.and_then(property_text);
                stored.is_some_and(|stored| any_of.iter().any(|p| p.matches(&stored))) == *expected
            }
            Self::Regex { any_of, expected } => {
                let stored = stored.and_then(property_text);
                stored.is_some_and(|stored| any_of.iter().any(|r| r.is_match(&stored))) == *expected
            }
            Self::Compare { any_of, comparison } => stored
                .is_some_and(|stored| any_of.iter().any(|value| comparison.holds(stored, value))),
            Self::Date { time, comparison } => stored
                .and_then(Value::as_str)
                .and_then(dates::parse)
                .is_some_and(|stored| comparison.accepts(stored.cmp(time))),
        }
    }
}

impl Comparison {
    /// Compared as the stored type: a number with a number, a text with a text.
    fn holds(self, stored: &Value, value: &Value) -> bool {
        let ordering = match stored {
            Value::Number(number) => {
                let expected = match value {
                    Value::String(text) => text.parse().ok(),
                    other => other.as_f64(),
                };
                match (number.as_f64(), expected) {
                    (Some(stored), Some(expected)) => stored.partial_cmp(&expected),
                    _ => None,
                }
            }
            other => match (property_text(other), property_text(value)) {
                (Some(stored), Some(expected)) => Some(stored.cmp(&expected)),
                _ => None,
            },
        };
        ordering.is_some_and(|ordering| self.accepts(ordering))
    }

    fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// A property value as text: what is compared, and what the values endpoint lists.
pub(crate) fn property_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operators_match_as_documented() {
        let now = dates::instant("2026-11-02T09:00:00Z");
        let stored = json!({
            "plan": "pro", "seats": 7, "active": true, "gone": null, "since": "2026-10-30T00:00:00Z",
        });
        let stored = stored.as_object().unwrap();
        let cases = [
            (json!({"key": "plan", "value": "pro"}), true),
            (json!({"key": "plan", "value": ["free", "pro"]}), true),
            (json!({"key": "plan", "value": []}), true),
            (
                json!({"key": "plan", "operator": "is_not", "value": ["free", "pro"]}),
                false,
            ),
            (
                json!({"key": "none", "operator": "is_not", "value": "x"}),
                true,
            ),
            (
                json!({"key": "plan", "operator": "icontains", "value": "PR"}),
                true,
            ),
            (
                json!({"key": "none", "operator": "not_icontains", "value": "x"}),
                true,
            ),
            (
                json!({"key": "plan", "operator": "regex", "value": "^p.o$"}),
                true,
            ),
            (
                json!({"key": "none", "operator": "not_regex", "value": "x"}),
                true,
            ),
            (
                json!({"key": "seats", "operator": "gt", "value": "6.5"}),
                true,
            ),
            (json!({"key": "seats", "operator": "lte", "value": 7}), true),
            (
                json!({"key": "seats", "operator": "lt", "value": [1, 8]}),
                true,
            ),
            (json!({"key": "active", "value": "true"}), true),
            (json!({"key": "gone", "operator": "is_set"}), false),
            (json!({"key": "gone", "operator": "is_not_set"}), true),
            (
                json!({"key": "since", "operator": "is_date_after", "value": "-7d"}),
                true,
            ),
            (
                json!({"key": "since", "operator": "is_date_before", "value": "-7d"}),
                false,
            ),
            (
                json!({"key": "since", "operator": "is_date_exact", "value": "2026-10-30"}),
                true,
            ),
            (
                json!({"key": "plan", "operator": "in", "value": ["pro"]}),
                true,
            ),
            (
                json!({"key": "plan", "operator": "not_in", "value": ["pro"]}),
                false,
            ),
        ];
        for (filter, expected) in cases {
            let read = Filter::read_property(filter.as_object().unwrap(), now).unwrap();
            assert_eq!(read.matches_map(stored), expected, "{filter}");
        }
    }
}
