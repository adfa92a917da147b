//! Constant PostHog responses: persons with the properties that its web library collects, about 1 KB each.

use serde_json::{Value, json};

/// Persons on the page that most figures measure.
pub const PAGE: u64 = 100;

/// The first page of the list, with this number of persons.
pub fn page(persons: u64) -> String {
    let results: Vec<Value> = (0..persons).map(person).collect();
    let next = format!("http://127.0.0.1/api/projects/1/persons/?limit={persons}&offset={persons}");
    json!({"results": results, "next": next, "previous": null}).to_string()
}

/// The UUID of a person.
pub fn uuid(number: u64) -> String {
    format!("0193a5c0-7b1e-7000-8000-{number:012x}")
}

/// A person as the list endpoint returns it.
pub fn person(number: u64) -> Value {
    let uuid = uuid(number);
    let email = format!("firstname.lastname{number:04}@example.com");
    let anonymous = format!("0193a5bf-02d4-7c11-9e3a-{number:012x}");
    let country = pick(
        number,
        [("US", "United States"), ("DE", "Germany"), ("JP", "Japan")],
    );
    let browser = pick(number, ["Chrome", "Firefox", "Safari"]);
    let system = pick(number, ["Mac OS X", "Windows", "Linux"]);
    let landing = format!(
        "https://www.example.com/pricing?utm_source=newsletter&utm_medium=email&utm_campaign=launch-{}",
        number % 12
    );
    let properties = json!({
        "$browser": browser, "$browser_version": 120 + number % 9,
        "$current_url": format!("https://app.example.com/projects/{number}/settings"),
        "$device_type": "Desktop",
        "$geoip_city_name": "Springfield", "$geoip_country_code": country.0,
        "$geoip_country_name": country.1,
        "$geoip_time_zone": "America/New_York",
        "$initial_browser": browser,
        "$initial_current_url": landing,
        "$initial_referring_domain": "www.google.com",
        "$os": system, "$os_version": "10.15.7",
        "$referring_domain": "$direct",
        "company": format!("Company {:03}", number % 250),
        "email": email, "name": format!("Firstname Lastname {number:04}"),
        "plan": pick(number, ["free", "trial", "enterprise"]),
        "seats": number % 40, "is_admin": number.is_multiple_of(7),
    });
    json!({
        "type": "person", "id": uuid, "uuid": uuid, "name": email,
        "distinct_ids": [email, anonymous], "properties": properties,
        "created_at": format!("2026-10-{:02}T10:{:02}:00Z", 1 + number % 28, number % 60),
        "last_seen_at": format!("2026-11-{:02}T08:{:02}:00Z", 1 + number % 20, number % 60),
        "is_identified": true, "matched_recordings": [], "value_at_data_point": null,
    })
}

fn pick<T: Copy>(number: u64, choices: [T; 3]) -> T {
    let [first, second, third] = choices;
    match number % 3 {
        0 => first,
        1 => second,
        _ => third,
    }
}
