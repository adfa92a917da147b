//! The values of a query: how they compare, and how responses write them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use chrono::Months;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::model::Properties;
use crate::model::dates::{Time, format_time};

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    /// Only of a property that is defined as one: conditions are numbers.
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Uuid(Uuid),
    Time(Time),
    Span(Span),
    Array(Vec<Value>),
    Tuple(Vec<Value>),
    /// Text that holds the JSON of these.
    Properties(Properties),
}

/// An interval, whose months differ in length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Time(chrono::Duration),
    Months(i64),
}

impl Span {
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Time(duration) => Self::Time(-duration),
            Self::Months(months) => Self::Months(months.saturating_neg()),
        }
    }

    pub(super) fn added_to(self, time: Time) -> Option<Time> {
        match self {
            Self::Time(duration) => time.checked_add_signed(duration),
            Self::Months(months) => {
                let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
                if months < 0 {
                    time.checked_sub_months(by)
                } else {
                    time.checked_add_months(by)
                }
            }
        }
    }
}

impl Value {
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    pub(super) fn flag(flag: bool) -> Self {
        Self::Int(i64::from(flag))
    }

    pub(super) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether a condition holds; NULL does not.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            _ => false,
        }
    }

    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "as ClickHouse converts to Float64"
    )]
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            other => other.as_int().map(|number| number as f64),
        }
    }

    /// The text of a text value.
    pub(super) fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Properties(properties) => {
                Some(Cow::Owned(Json::Object(properties.to_map()).to_string()))
            }
            _ => None,
        }
    }

    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) | Self::Tuple(items) => items,
            _ => &[],
        }
    }

    /// A constant of a query: booleans are numbers. `None` for an object, which cannot be one.
    pub(super) fn constant(json: &Json) -> Option<Self> {
        Some(match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::flag(*flag),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64()?),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => {
                Self::Array(items.iter().map(Self::constant).collect::<Option<_>>()?)
            }
            Json::Object(_) => return None,
        })
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Null | Self::Span(_) => Json::Null,
            Self::Bool(flag) => Json::from(*flag),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::from(text.as_ref()),
            Self::Uuid(uuid) => Json::from(uuid.to_string()),
            Self::Time(time) => Json::from(format_time(*time)),
            Self::Array(items) | Self::Tuple(items) => {
                Json::Array(items.iter().map(Self::to_json).collect())
            }
            Self::Properties(_) => Json::from(self.as_text().unwrap_or_default().into_owned()),
        }
    }

    /// The order of equal types; NULL comes last.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Greater,
            (_, Self::Null) => Ordering::Less,
            (Self::Uuid(a), Self::Uuid(b)) => halves_swapped(*a).cmp(&halves_swapped(*b)),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Array(a) | Self::Tuple(a), Self::Array(b) | Self::Tuple(b)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.order(b));
                let differing = pairs.into_iter().find(|ordering| ordering.is_ne());
                differing.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (a, b) => match (a.as_int(), b.as_int()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => match (a.as_float(), b.as_float()) {
                    (Some(a), Some(b)) => a.total_cmp(&b),
                    _ => a.as_text().cmp(&b.as_text()),
                },
            },
        }
    }
}

/// ClickHouse stores the two halves of a UUID the other way round, and compares them so.
fn halves_swapped(uuid: Uuid) -> (u64, u64) {
    let (high, low) = uuid.as_u64_pair();
    (low, high)
}

/// Values that group rows and that are distinct.
#[derive(Clone, Debug)]
pub(super) struct Key(pub(super) Vec<Value>);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0).map(|(a, b)| a.order(b));
        let differing = pairs.into_iter().find(|ordering| ordering.is_ne());
        differing.unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}
