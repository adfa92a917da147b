//! Dates as PostHog parses them: ISO 8601, or relative to now.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// Times without an offset, which PostHog reads as UTC.
pub(crate) const LOCAL_FORMATS: [&str; 3] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
];

/// Whether PostHog parses this as a date: ISO 8601, or relative such as `-7d`, `-1mStart`, `dStart` or `all`.
#[must_use]
pub fn is_date(text: &str) -> bool {
    is_timestamp(text) || is_relative(text)
}

/// Whether this is a date or a time in ISO 8601.
#[must_use]
pub fn is_timestamp(text: &str) -> bool {
    // Years of four digits only: chrono parses others too, PostHog does not.
    if text.as_bytes().get(4) != Some(&b'-')
        || !text.starts_with(|first: char| first.is_ascii_digit())
    {
        return false;
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
        || DateTime::parse_from_rfc3339(text).is_ok()
        || LOCAL_FORMATS
            .iter()
            .any(|format| NaiveDateTime::parse_from_str(text, format).is_ok())
}

/// The moment of a time with an offset, as PostHog sends them.
pub(crate) fn moment(text: &str) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(moment.to_utc())
}

fn is_relative(text: &str) -> bool {
    if text == "all" {
        return true;
    }
    let (text, edge) = match text
        .strip_suffix("Start")
        .or_else(|| text.strip_suffix("End"))
    {
        Some(text) => (text, true),
        None => (text, false),
    };
    let Some(amount) = text.strip_suffix(['h', 'd', 'w', 'm', 'q', 'y']) else {
        return false;
    };
    let digits = amount.strip_prefix('-').unwrap_or(amount);
    let is_amount =
        (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_amount || (edge && amount.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_and_relative_dates_are_parsed() {
        for date in [
            "2026-01-31",
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.123456+02:00",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00",
            "-7d",
            "-1mStart",
            "dStart",
            "-24h",
            "all",
        ] {
            assert!(is_date(date), "{date}");
        }
        for other in [
            "",
            "soon",
            "2026-02-30",
            "31.01.2026",
            "-d",
            "7",
            "-7x",
            "Start",
            "-12345d",
            "d",
            "-٣d",
        ] {
            assert!(!is_date(other), "{other}");
        }
        assert!(!is_timestamp("-7d") && !is_date("+7d") && !is_date("+262142-12-31"));
    }
}
