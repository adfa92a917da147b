//! Dates in filters, resolved to the form that the list endpoint evaluates.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday,
};

use crate::date::{LOCAL_FORMATS, is_date};

/// A date as the list endpoint evaluates it: `YYYY-MM-DD`, or `YYYY-MM-DD HH:MM:SS` in UTC.
///
/// Relative dates count from `now`, in days and longer units from the beginning of the day, as in PostHog's own pages.
pub(crate) fn resolve_date(text: &str, now: DateTime<Utc>) -> Option<String> {
    if !is_date(text) {
        return None;
    }
    if NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
        return Some(text.to_owned());
    }
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(seconds(moment.naive_utc()));
    }
    let local = LOCAL_FORMATS
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    if let Some(moment) = local {
        return Some(seconds(moment));
    }
    relative(text, now)
}

fn seconds(moment: NaiveDateTime) -> String {
    moment.format("%Y-%m-%d %H:%M:%S").to_string()
}

fn relative(text: &str, now: DateTime<Utc>) -> Option<String> {
    let (text, edge) = if let Some(text) = text.strip_suffix("Start") {
        (text, Some(false))
    } else if let Some(text) = text.strip_suffix("End") {
        (text, Some(true))
    } else {
        (text, None)
    };
    let mut characters = text.chars();
    let unit = characters.next_back()?;
    let amount = characters.as_str().trim_start_matches('-');
    let amount: u32 = if amount.is_empty() {
        0
    } else {
        amount.parse().ok()?
    };
    if unit == 'h' {
        let moment = now - TimeDelta::hours(i64::from(amount));
        return Some(seconds(moment.naive_utc()));
    }
    let today = now.date_naive();
    let months = |count: u32| today.checked_sub_months(Months::new(count));
    let day = match unit {
        'd' => today.checked_sub_days(Days::new(u64::from(amount))),
        'w' => today.checked_sub_days(Days::new(7 * u64::from(amount))),
        'm' => months(amount),
        'q' => months(amount.checked_mul(3)?),
        'y' => months(amount.checked_mul(12)?),
        _ => None,
    }?;
    let Some(end) = edge else {
        return Some(day.to_string());
    };
    let first = match unit {
        'w' => day.week(Weekday::Sun).first_day(),
        'm' => day.with_day(1)?,
        'q' => day.with_day(1)?.with_month((day.month0() / 3) * 3 + 1)?,
        'y' => day.with_day(1)?.with_month(1)?,
        _ => day,
    };
    if !end {
        return Some(first.to_string());
    }
    let next = match unit {
        'd' => first.succ_opt(),
        'w' => first.checked_add_days(Days::new(7)),
        'm' => first.checked_add_months(Months::new(1)),
        'q' => first.checked_add_months(Months::new(3)),
        _ => first.checked_add_months(Months::new(12)),
    }?;
    let last = next
        .pred_opt()?
        .and_time(NaiveTime::from_hms_opt(23, 59, 59)?);
    Some(seconds(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_dates_count_from_now() {
        let now = DateTime::parse_from_rfc3339("2026-11-27T10:20:30Z")
            .unwrap()
            .to_utc();
        for (text, date) in [
            ("-24h", "2026-11-26 10:20:30"),
            ("-1w", "2026-11-20"),
            ("-1m", "2026-10-27"),
            ("-1q", "2026-08-27"),
            ("-1y", "2025-11-27"),
            ("dStart", "2026-11-27"),
            ("dEnd", "2026-11-27 23:59:59"),
            ("-1dEnd", "2026-11-26 23:59:59"),
            ("mStart", "2026-11-01"),
            ("-1mStart", "2026-10-01"),
            ("-1mEnd", "2026-10-31 23:59:59"),
            ("qStart", "2026-10-01"),
            ("yStart", "2026-01-01"),
            ("yEnd", "2026-12-31 23:59:59"),
            ("wStart", "2026-11-22"),
        ] {
            assert_eq!(resolve_date(text, now).as_deref(), Some(date), "{text}");
        }
        for text in [
            "all",
            "",
            "-",
            "soon",
            "-7x",
            "d",
            "+7d",
            "--7d",
            "-12345d",
            "+262142-12-31",
        ] {
            assert_eq!(resolve_date(text, now), None, "{text}");
        }
    }
}
