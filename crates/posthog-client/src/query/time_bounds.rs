//! A range of time, either end of which can be open, as a condition on a column.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use super::time_range::{moment, text};

/// From a moment on, until before another one, in UTC; each only if given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeBounds {
    from: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl TimeBounds {
    /// Resolves dates as PostHog writes them: ISO 8601, or relative to `now`. A day is its beginning. `None` if one of them is no
    /// moment, as `all`, or if no time is between them.
    #[must_use]
    pub fn resolve(from: Option<&str>, before: Option<&str>, now: DateTime<Utc>) -> Option<Self> {
        let resolved = |given: Option<&str>| match given {
            Some(given) => moment(given, now, false).map(Some),
            None => Some(None),
        };
        let (from, before) = (resolved(from)?, resolved(before)?);
        let is_empty = matches!((from, before), (Some(from), Some(before)) if from >= before);
        (!is_empty).then_some(Self { from, before })
    }

    /// Whether an end is given.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.from.is_some() || self.before.is_some()
    }

    /// The first moment, as PostHog reads it to the microsecond.
    #[must_use]
    pub fn from(&self) -> Option<String> {
        self.from.map(text)
    }

    /// The first moment after the range.
    #[must_use]
    pub fn before(&self) -> Option<String> {
        self.before.map(text)
    }

    /// The condition on a column, as the text of an expression in HogQL. What it has of the times is their format here: digits,
    /// `-`, `:`, `.`, `T` and `Z`.
    pub(super) fn condition(&self, column: &'static str) -> Option<String> {
        let mut condition = String::new();
        for (operator, time) in [(">=", self.from()), ("<", self.before())] {
            let Some(time) = time else { continue };
            let and = if condition.is_empty() { "" } else { " and " };
            let _ = write!(condition, "{and}{column} {operator} toDateTime('{time}')");
        }
        Some(condition).filter(|condition| !condition.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_moments_in_utc() {
        let now: DateTime<Utc> = "2026-11-27T10:20:30Z".parse().unwrap();
        let condition = |from, before| {
            let bounds = TimeBounds::resolve(from, before, now)?;
            Some(bounds.condition("created_at").unwrap_or_default())
        };
        for (from, before, expected) in [
            (
                Some("2026-10-01"),
                Some("2026-11-01"),
                "created_at >= toDateTime('2026-10-01T00:00:00Z') and created_at < toDateTime('2026-11-01T00:00:00Z')",
            ),
            (
                Some("-7d"),
                None,
                "created_at >= toDateTime('2026-11-20T00:00:00Z')",
            ),
            (
                None,
                Some("2026-11-01T12:00:00.5+02:00"),
                "created_at < toDateTime('2026-11-01T10:00:00.500Z')",
            ),
            (None, None, ""),
        ] {
            assert_eq!(condition(from, before).as_deref(), Some(expected));
        }
        for (from, before) in [
            (Some("all"), None),
            (Some("2026-11-01"), Some("2026-11-01")),
            (None, Some("'); select 1 --")),
        ] {
            assert_eq!(condition(from, before), None, "{from:?} {before:?}");
        }
    }
}
