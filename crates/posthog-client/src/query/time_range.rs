//! A range of time with two ends. The table of events is sorted by day, so that an open range reads all of it.

use chrono::{
    DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, SubsecRound, TimeDelta, Utc,
};

use super::insight::Interval;
use crate::relative_date::resolve_date;

/// From a moment on, until before another one, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl TimeRange {
    /// Resolves dates as PostHog writes them: ISO 8601, or relative to `now`. A day as the end is included.
    ///
    /// Without an end the range ends with the day of `now`; without a start it begins `default_days` before its end. `None` if it is empty
    /// or without a start, as with `all`.
    #[must_use]
    pub fn resolve(
        from: Option<&str>,
        to: Option<&str>,
        default_days: u32,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let until = match to {
            Some(text) => moment(text, now, true)?,
            None => midnight(now.date_naive().succ_opt()?),
        };
        let from = match from {
            Some(text) => moment(text, now, false)?,
            None => until.checked_sub_signed(TimeDelta::days(i64::from(default_days)))?,
        };
        (from < until).then_some(Self { from, until })
    }

    /// The part of the range before a moment, if there is one.
    #[must_use]
    pub fn before(self, moment: DateTime<Utc>) -> Option<Self> {
        let until = self.until.min(moment);
        (self.from < until).then_some(Self { until, ..self })
    }

    /// The part of the range from a moment on, if there is one.
    #[must_use]
    pub fn since(self, moment: DateTime<Utc>) -> Option<Self> {
        let from = self.from.max(moment);
        (from < self.until).then_some(Self { from, ..self })
    }

    /// The first moment, as PostHog reads it to the microsecond.
    #[must_use]
    pub fn from(&self) -> String {
        text(self.from)
    }

    /// The first moment after the range.
    #[must_use]
    pub fn until(&self) -> String {
        text(self.until)
    }
}

/// A period of an insight, as PostHog reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// A day or, in hours and minutes, a time in the period.
    pub day: String,
    /// A day before the period and the one before it.
    pub from: String,
    /// A day after the period.
    pub to: String,
}

impl Period {
    /// The period of this length in which a date is: ISO 8601, or relative to `now`.
    #[must_use]
    pub fn around(date: &str, interval: Interval, now: DateTime<Utc>) -> Option<Self> {
        let moment = moment(date, now, false)?;
        let day = moment.date_naive();
        let longest = interval.max_days();
        Some(Self {
            day: match interval {
                Interval::Minute | Interval::Hour => text(moment.trunc_subsecs(0)),
                Interval::Day | Interval::Week | Interval::Month => day.to_string(),
            },
            from: day.checked_sub_days(Days::new(2 * longest))?.to_string(),
            to: day.checked_add_days(Days::new(longest))?.to_string(),
        })
    }

    /// The beginning of the period of entry of a funnel.
    #[must_use]
    pub fn start(date: &str, now: DateTime<Utc>) -> Option<String> {
        let moment = moment(date, now, false)?;
        Some(moment.format("%Y-%m-%d %H:%M:%S").to_string())
    }
}

pub(super) fn text(moment: DateTime<Utc>) -> String {
    moment
        .trunc_subsecs(6)
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A day is its beginning or, as an end, the beginning of the next one.
pub(super) fn moment(text: &str, now: DateTime<Utc>, end: bool) -> Option<DateTime<Utc>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let text = resolve_date(text, now)?;
    if let Ok(moment) = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S") {
        return Some(moment.and_utc());
    }
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
    let day = if end { day.succ_opt()? } else { day };
    Some(midnight(day))
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_include_the_one_before() {
        let now: DateTime<Utc> = "2026-11-27T10:20:30Z".parse().unwrap();
        let around = |date, interval| {
            let period = Period::around(date, interval, now).unwrap();
            [period.day, period.from, period.to]
        };
        assert_eq!(
            around("2026-11-17T12:00:00Z", Interval::Day),
            ["2026-11-17", "2026-11-15", "2026-11-18"]
        );
        assert_eq!(
            around("2026-11-17T12:00:00Z", Interval::Hour),
            ["2026-11-17T12:00:00Z", "2026-11-15", "2026-11-18"]
        );
        assert_eq!(
            around("-7d", Interval::Month),
            ["2026-11-20", "2026-09-19", "2026-12-21"]
        );
        assert_eq!(Period::around("all", Interval::Day, now), None);
        assert_eq!(
            Period::start("2026-11-15", now).as_deref(),
            Some("2026-11-15 00:00:00")
        );
    }

    #[test]
    fn ranges_have_two_ends() {
        let now: DateTime<Utc> = "2026-11-27T10:20:30Z".parse().unwrap();
        let resolve = |from, to| {
            TimeRange::resolve(from, to, 30, now).map(|range| (range.from(), range.until()))
        };
        let expect = |from: &str, until: &str| Some((from.to_owned(), until.to_owned()));
        assert_eq!(
            resolve(Some("2026-10-01"), Some("2026-10-31")),
            expect("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
        );
        assert_eq!(
            resolve(None, None),
            expect("2026-10-29T00:00:00Z", "2026-11-28T00:00:00Z")
        );
        assert_eq!(
            resolve(None, Some("2026-01-31T12:00:00.123456789+02:00")),
            expect("2026-01-01T10:00:00.123456Z", "2026-01-31T10:00:00.123456Z")
        );
        assert_eq!(
            resolve(Some("-7d"), None),
            expect("2026-11-20T00:00:00Z", "2026-11-28T00:00:00Z")
        );
        assert_eq!(
            resolve(Some("2026-01-31"), Some("2026-01-31")),
            expect("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z")
        );
        for (from, to) in [
            (Some("all"), None),
            (Some("2026-02-01"), Some("2026-01-01")),
            (Some("soon"), None),
        ] {
            assert_eq!(resolve(from, to), None, "{from:?} {to:?}");
        }
    }
}
