//! The types of ClickHouse, as responses name them.

use std::fmt;

use super::value::Value;
use crate::model::dates::Time;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// The type of NULL and of the items of an empty array.
    Nothing,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Int8,
    Int64,
    Float64,
    Bool,
    String,
    Uuid,
    /// With this many digits after the second.
    Time(u8),
    Date,
    /// A span of time, which no column has.
    Interval,
    Array(Box<Type>),
    Tuple(Vec<Type>),
    Nullable(Box<Type>),
}

impl Type {
    pub(crate) fn array(item: Self) -> Self {
        Self::Array(Box::new(item))
    }

    pub(crate) fn nullable(self) -> Self {
        match self {
            Self::Nullable(_) | Self::Array(_) | Self::Tuple(_) => self,
            other => Self::Nullable(Box::new(other)),
        }
    }

    /// The type without its NULL.
    pub(crate) fn plain(&self) -> &Self {
        match self {
            Self::Nullable(inner) => inner,
            other => other,
        }
    }

    pub(super) fn is_nullable(&self) -> bool {
        matches!(self, Self::Nullable(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(
            self.plain(),
            Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
                | Self::Int8
                | Self::Int64
                | Self::Float64
                | Self::Bool
        )
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.plain(), Self::String)
    }

    pub(super) fn is_time(&self) -> bool {
        matches!(self.plain(), Self::Time(_) | Self::Date)
    }

    pub(super) fn item(&self) -> Option<&Self> {
        match self {
            Self::Array(item) => Some(item),
            _ => None,
        }
    }

    /// The type that holds the values of both, if there is one.
    pub(super) fn common(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(self.clone());
        }
        if self.is_nullable() || other.is_nullable() {
            let plain = self.plain().common(other.plain())?;
            return Some(plain.nullable());
        }
        match (self, other) {
            (Self::Nothing, ty) | (ty, Self::Nothing) => Some(ty.clone()),
            (Self::Array(a), Self::Array(b)) => Some(Self::array(a.common(b)?)),
            (Self::Time(a), Self::Time(b)) => Some(Self::Time(*a.max(b))),
            (a, b) if a.is_number() && b.is_number() => {
                let is_float = *a == Self::Float64 || *b == Self::Float64;
                Some(if is_float { Self::Float64 } else { Self::Int64 })
            }
            _ => None,
        }
    }

    /// What an aggregate of no rows and a missing neighbor have.
    pub(super) fn default_value(&self) -> Value {
        match self {
            Self::Nothing | Self::Nullable(_) | Self::Interval => Value::Null,
            Self::Float64 => Value::Float(0.0),
            Self::Bool => Value::Bool(false),
            Self::String => Value::text(""),
            Self::Uuid => Value::Uuid(uuid::Uuid::nil()),
            Self::Time(_) | Self::Date => Value::Time(Time::default()),
            Self::Array(_) => Value::Array(Vec::new()),
            Self::Tuple(items) => Value::Tuple(items.iter().map(Self::default_value).collect()),
            _ => Value::Int(0),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(digits) => write!(f, "DateTime64({digits}, 'UTC')"),
            Self::Uuid => f.write_str("UUID"),
            Self::Array(item) => write!(f, "Array({item})"),
            Self::Nullable(inner) => write!(f, "Nullable({inner})"),
            Self::Tuple(items) => {
                f.write_str("Tuple(")?;
                for (index, item) in items.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{item}")?;
                }
                f.write_str(")")
            }
            named => write!(f, "{named:?}"),
        }
    }
}
