//! Times as the API writes and reads them.

use chrono::{
    DateTime, Datelike, Duration, Months, NaiveDate, NaiveDateTime, Timelike, Utc, Weekday,
};

pub(crate) type Time = DateTime<Utc>;

/// ISO 8601 with `Z`; the fraction is left out when it is zero and has six digits otherwise.
pub(crate) fn format_time(time: Time) -> String {
    with_zone(time, 'T', "Z")
}

/// The same instant as the timeline writes it, with a numeric offset.
pub(crate) fn format_with_offset(time: Time) -> String {
    with_zone(time, 'T', "+00:00")
}

/// The same instant as the CSV renderer writes it.
pub(crate) fn format_for_csv(time: Time) -> String {
    with_zone(time, ' ', "+00:00")
}

fn with_zone(time: Time, separator: char, zone: &str) -> String {
    let fraction = match time.timestamp_subsec_micros() {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    let day = time.format("%Y-%m-%d");
    let clock = time.format("%H:%M:%S");
    format!("{day}{separator}{clock}{fraction}{zone}")
}

/// A constant time. An unreadable one becomes the epoch, which fails the tests.
pub(crate) fn instant(written: &str) -> Time {
    parse(written).unwrap_or_default()
}

/// A full time with or without an offset, or a bare date, which stands for its start. The last year is 9999, as in
/// PostHog.
pub(crate) fn parse(written: &str) -> Option<Time> {
    parse_any(written).filter(|time| is_supported(*time))
}

/// Whether this is a date outside the years that PostHog supports.
pub(crate) fn is_out_of_range(written: &str) -> bool {
    parse_any(written).is_some_and(|time| !is_supported(time))
}

/// Whether PostHog supports the year.
pub(crate) fn is_supported(time: Time) -> bool {
    (1..=9999).contains(&time.year())
}

fn parse_any(written: &str) -> Option<Time> {
    if let Ok(time) = DateTime::parse_from_rfc3339(written) {
        return Some(time.to_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(written, format) {
            return Some(time.and_utc());
        }
    }
    let day = NaiveDate::parse_from_str(written, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

/// Whether the text is a date without a time of day.
pub(crate) fn is_bare_date(written: &str) -> bool {
    NaiveDate::parse_from_str(written, "%Y-%m-%d").is_ok()
}

/// An absolute time, or one relative to `now` such as `-7d`, `-24h`, `-1m` (months) or `dStart`.
pub(crate) fn parse_relative(written: &str, now: Time) -> Option<Time> {
    if let Some(time) = parse(written) {
        return Some(time);
    }
    match written {
        "all" => return Some(Time::default()),
        "dStart" => return start_of_day(now),
        "mStart" => return start_of_day(now.with_day(1)?),
        "yStart" => return start_of_day(now.with_day(1)?.with_month(1)?),
        _ => {}
    }
    let unit = written.chars().last()?;
    let count: u32 = written
        .strip_prefix('-')?
        .strip_suffix(unit)?
        .parse()
        .ok()?;
    let signed = i64::from(count);
    let before = |by: Option<Duration>| now.checked_sub_signed(by?);
    match unit {
        'h' => before(Duration::try_hours(signed)),
        'd' => start_of_day(before(Duration::try_days(signed))?),
        'w' => start_of_day(before(Duration::try_weeks(signed))?),
        'm' => start_of_day(now.checked_sub_months(Months::new(count))?),
        'y' => start_of_day(now.checked_sub_months(Months::new(count.checked_mul(12)?))?),
        _ => None,
    }
}

pub(crate) fn start_of_day(time: Time) -> Option<Time> {
    Some(time.date_naive().and_hms_opt(0, 0, 0)?.and_utc())
}

/// The last microsecond of the day that starts at `time`.
pub(crate) fn end_of_day(time: Time) -> Time {
    time + Duration::days(1) - Duration::microseconds(1)
}

/// The next weekly batch that deletes events: Sunday, 05:00 UTC.
pub(crate) fn next_weekly_batch(after: Time) -> Time {
    let days_to_sunday = 6 - i64::from(after.weekday().num_days_from_monday());
    let sunday = after.date_naive() + Duration::days(days_to_sunday);
    let batch = sunday
        .and_hms_opt(5, 0, 0)
        .map_or(after, |time| time.and_utc());
    debug_assert_eq!(sunday.weekday(), Weekday::Sun);
    if batch > after {
        batch
    } else {
        batch + Duration::weeks(1)
    }
}

/// The interval of an insight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Interval {
    /// The start of the interval that contains this time. Weeks begin on Sunday.
    pub(crate) fn start(self, time: Time) -> Time {
        let midnight = start_of_day(time).unwrap_or(time);
        let hour = midnight + Duration::hours(i64::from(time.hour()));
        match self {
            Self::Minute => hour + Duration::minutes(i64::from(time.minute())),
            Self::Hour => hour,
            Self::Day => midnight,
            Self::Week => {
                midnight - Duration::days(i64::from(time.weekday().num_days_from_sunday()))
            }
            Self::Month => midnight.with_day(1).unwrap_or(midnight),
        }
    }

    pub(crate) fn after(self, time: Time) -> Time {
        match self {
            Self::Minute => time + Duration::minutes(1),
            Self::Hour => time + Duration::hours(1),
            Self::Day => time + Duration::days(1),
            Self::Week => time + Duration::weeks(1),
            Self::Month => time.checked_add_months(Months::new(1)).unwrap_or(time),
        }
    }

    pub(crate) fn before(self, time: Time) -> Time {
        match self {
            Self::Minute => time - Duration::minutes(1),
            Self::Hour => time - Duration::hours(1),
            Self::Day => time - Duration::days(1),
            Self::Week => time - Duration::weeks(1),
            Self::Month => time.checked_sub_months(Months::new(1)).unwrap_or(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_fractions_are_omitted() {
        assert_eq!(
            format_time(instant("2026-11-02T09:00:00Z")),
            "2026-11-02T09:00:00Z"
        );
        let fraction = instant("2021-08-25T22:09:14.252Z");
        assert_eq!(format_time(fraction), "2021-08-25T22:09:14.252000Z");
        assert_eq!(format_for_csv(fraction), "2021-08-25 22:09:14.252000+00:00");
    }

    #[test]
    fn relative_dates_start_at_midnight_unless_in_hours() {
        let now = instant("2026-11-02T09:30:00Z");
        let relative = |written| format_time(parse_relative(written, now).unwrap());
        assert_eq!(relative("-7d"), "2026-10-26T00:00:00Z");
        assert_eq!(relative("-24h"), "2026-11-01T09:30:00Z");
        assert_eq!(relative("-1m"), "2026-10-02T00:00:00Z");
        assert_eq!(relative("2026-06-01"), "2026-06-01T00:00:00Z");
        for neither in ["yesterday", "-4294967295h", "-4294967295d", "-4294967295y"] {
            assert_eq!(parse_relative(neither, now), None, "{neither}");
        }
    }

    #[test]
    fn years_outside_1_to_9999_are_out_of_range() {
        for beyond in ["+262142-12-31", "-0001-01-01", "+10000-01-01T00:00:00"] {
            assert!(
                is_out_of_range(beyond) && parse(beyond).is_none(),
                "{beyond}"
            );
        }
        for other in ["9999-12-31", "0001-01-01T00:00:00Z", "yesterday", "-7d"] {
            assert!(!is_out_of_range(other), "{other}");
        }
    }

    #[test]
    fn the_weekly_batch_runs_on_sundays_at_five() {
        let batch = |written| format_time(next_weekly_batch(instant(written)));
        assert_eq!(batch("2026-11-02T09:00:00Z"), "2026-11-08T05:00:00Z");
        assert_eq!(batch("2026-11-01T04:59:59Z"), "2026-11-01T05:00:00Z");
        assert_eq!(batch("2026-11-01T05:00:00Z"), "2026-11-08T05:00:00Z");
    }
}
