//! The extra persons behind `SandboxOptions::persons`. Everything about one of them follows from its
//! number, so that a hundred thousand cost no more than their places in the indexes.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::dates::{instant, text};
use super::properties::PropertyMap;

/// Far above the numeric ids of the story, so that both stay readable.
pub(super) const FIRST_ID: u64 = 1_000_000;

const KEYS: [&str; 15] = [
    "$browser",
    "$geoip_city_name",
    "$geoip_country_code",
    "$initial_current_url",
    "$initial_referring_domain",
    "$os",
    "active",
    "company",
    "email",
    "lifetime_value",
    "name",
    "plan",
    "role",
    "seats",
    "signed_up_at",
];

/// Not derived from the distinct id: persons of this age had random UUIDs, and this is quicker.
pub(super) fn uuid(number: u64) -> Uuid {
    Uuid::from_u128(0x0185_0000_0000_4000_8000_0000_0000_0000 + u128::from(number))
}

pub(super) fn distinct_id(number: u64) -> String {
    format!("user-{number:04}")
}

/// One a minute, all before the story begins.
pub(super) fn created_at(number: u64) -> DateTime<Utc> {
    let minutes = i64::try_from(number).unwrap_or(i64::MAX / 60_000_000);
    instant("2025-01-01T00:00:00Z") + Duration::minutes(minutes)
}

pub(super) fn properties(number: u64) -> PropertyMap {
    let pair = |key: &str| property(number, key).map(|value| (key.to_owned(), value));
    KEYS.into_iter().filter_map(pair).collect()
}

pub(super) fn property(number: u64, key: &str) -> Option<Value> {
    let value = match key {
        "$browser" => pick(number, &["Chrome", "Firefox", "Safari", "Edge"]),
        "$geoip_city_name" => pick(number, &["London", "New York", "Berlin", "Tokyo", "Lyon"]),
        "$geoip_country_code" => pick(number, &["GB", "US", "DE", "JP", "FR"]),
        "$initial_current_url" => json!(format!(
            "https://app.example.net/welcome?utm_source=newsletter&utm_campaign=c-{}",
            number % 12
        )),
        "$initial_referring_domain" => pick(number, &["$direct", "www.example.org"]),
        "$os" => pick(number, &["Mac OS X", "Windows", "Linux"]),
        "active" => json!(!number.is_multiple_of(7)),
        "company" => json!(format!("Company {:03}", number % 250)),
        "email" => json!(format!("user-{number:04}@example.net")),
        "lifetime_value" => {
            let cents = u32::try_from((number * 37) % 100_000).unwrap_or_default();
            json!(f64::from(cents) / 100.0)
        }
        "name" => json!(format!("Person {number:04}")),
        "plan" => pick(number, &["free", "free", "trial", "pro"]),
        "role" => pick(number, &["engineer", "analyst", "manager", "student"]),
        "seats" => json!(number % 40),
        "signed_up_at" => json!(text(created_at(number))),
        _ => return None,
    };
    Some(value)
}

fn pick(number: u64, choices: &[&str]) -> Value {
    let index = usize::try_from(number).unwrap_or_default() % choices.len().max(1);
    choices.get(index).copied().map_or(Value::Null, Value::from)
}
