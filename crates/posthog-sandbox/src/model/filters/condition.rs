//! What a filter demands of a stored value.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex_lite::Regex;
use serde_json::Value;

use crate::model::Pattern;
use crate::model::PropertyType;
use crate::model::dates::{self, Time};

/// A missing property, and one that is not of the type, is not equal, does not contain and does not match, so it passes
/// the conditions that are not `expected`.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Set(bool),
    Never,
    Compare {
        read_as: PropertyType,
        comparison: Comparison,
        any_of: Vec<Operand>,
        expected: bool,
    },
    Between {
        read_as: PropertyType,
        low: Operand,
        high: Operand,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum Operand {
    Text(String),
    Number(f64),
    Flag(bool),
    Time(Time),
}

impl Condition {
    pub(crate) fn passes(&self, stored: Option<&Value>) -> bool {
        let stored = stored.filter(|value| !value.is_null());
        match self {
            Self::Set(expected) => stored.is_some() == *expected,
            Self::Never => false,
            Self::Compare {
                read_as,
                comparison,
                any_of,
                expected,
            } => {
                let stored = stored.and_then(|stored| Operand::stored(stored, *read_as));
                let holds = |operand: &Operand| {
                    let ordering = stored.as_ref()?.partial_cmp(operand)?;
                    Some(comparison.accepts(ordering))
                };
                any_of.iter().any(|operand| holds(operand) == Some(true)) == *expected
            }
            Self::Between {
                read_as,
                low,
                high,
                expected,
            } => {
                let stored = stored.and_then(|stored| Operand::stored(stored, *read_as));
                stored.is_some_and(|stored| *low <= stored && stored <= *high) == *expected
            }
            Self::Like { any_of, expected } => {
                let stored = stored.and_then(property_text);
                stored.is_some_and(|stored| any_of.iter().any(|p| p.matches(&stored))) == *expected
            }
            Self::Regex { any_of, expected } => {
                let stored = stored.and_then(property_text);
                stored.is_some_and(|stored| any_of.iter().any(|r| r.is_match(&stored))) == *expected
            }
        }
    }
}

impl Operand {
    /// A stored value, read as this type.
    fn stored(value: &Value, read_as: PropertyType) -> Option<Self> {
        match read_as {
            PropertyType::String => Some(Self::Text(property_text(value)?.into_owned())),
            PropertyType::Numeric => number(value).map(Self::Number),
            PropertyType::Boolean => flag(value).map(Self::Flag),
            PropertyType::DateTime => value.as_str().and_then(dates::parse).map(Self::Time),
        }
    }
}

/// A number, or a text that is one.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A boolean, or its name.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A date in the two forms that ClickHouse reads in a comparison: a day, or a day and a time between which is a space.
pub(super) fn plain_date(text: &str) -> Option<Time> {
    let plain = !text.contains('T') && !text.ends_with('Z');
    dates::parse(text).filter(|_| plain)
}

impl Comparison {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
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
