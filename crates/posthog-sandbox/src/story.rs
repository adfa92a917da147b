//! What happened before the sandbox starts, in order. The persons are in `seed`.

use serde_json::{Value, json};

/// When, under which distinct id, what, and with which properties.
pub(super) type Happening = (&'static str, &'static str, &'static str, Value);

/// Events, and in brackets what somebody did through the API.
pub(super) fn happenings() -> Vec<Happening> {
    let none = || json!({});
    vec![
        (
            "2026-01-10T10:10:10Z",
            "charles@example.com",
            "sign up",
            json!({"$set": {"name": "Charles Babbage", "email": "charles@example.com"}}),
        ),
        (
            "2026-03-02T10:00:00Z",
            "0190f1aa-1111-4aaa-8bbb-00000000ada1",
            "$pageview",
            json!({
                "$current_url": "https://app.example.com/",
                "$set_once": {"$initial_referring_domain": "www.example.org"},
            }),
        ),
        (
            "2026-03-02T10:05:00Z",
            "ada@example.com",
            "sign up",
            json!({
                "$set": {
                    "email": "ada@example.com", "name": "Ada Lovelace", "plan": "free",
                    "seats": 1, "company": "Analytical Engines",
                    "$geoip_country_code": "GB", "$geoip_city_name": "London",
                },
                "$set_once": {"signed_up_at": "2026-03-02T10:05:00Z"},
            }),
        ),
        (
            "2026-04-10T08:30:00Z",
            "grace@example.com",
            "sign up",
            json!({"$set": {
                "email": "grace@example.com", "name": "Grace Hopper", "employer": "US Navy",
                "plan": "free", "$geoip_country_code": "US",
            }}),
        ),
        (
            "2026-05-05T05:05:05Z",
            "luigi@example.com",
            "sign up",
            json!({"$set": {"email": "luigi@example.com", "name": "Luigi Menabrea"}}),
        ),
        (
            "2026-05-11T09:30:00Z",
            "ada@example.com",
            "trial started",
            json!({"$set": {"plan": "trial", "seats": 5}}),
        ),
        (
            "2026-06-10T16:45:00Z",
            "ada@example.com",
            "purchase",
            json!({"amount": 1200.5, "$set": {"plan": "pro", "seats": 12, "lifetime_value": 1200.5}}),
        ),
        (
            "2026-07-01T09:00:00Z",
            "ada@example.com",
            "[updated]",
            none(),
        ),
        (
            "2026-08-15T13:00:00Z",
            "ada@example.com",
            "[delete_property]",
            none(),
        ),
        // The merge that should not have been: Katherine's own device, Grace's profile.
        (
            "2026-09-20T14:00:00Z",
            "katherine@example.com",
            "orbit calculated",
            json!({"$set": {"employer": "NASA", "research": "orbital mechanics"}}),
        ),
        (
            "2026-09-21T08:00:00Z",
            "katherine-laptop",
            "$pageview",
            none(),
        ),
        (
            "2026-10-20T12:00:00Z",
            "charles@example.com",
            "[deleted]",
            none(),
        ),
        (
            "2026-10-27T09:00:00Z",
            "hedy@example.com",
            "sign up",
            json!({"$browser": "Firefox", "$set": {
                "email": "hedy@example.com", "name": "Hedy Lamarr", "plan": "free",
                "$geoip_country_code": "AT",
            }}),
        ),
        (
            "2026-10-27T10:00:00Z",
            "luigi@example.com",
            "purchase",
            json!({"amount": 5}),
        ),
        (
            "2026-10-27T11:00:00Z",
            "margaret@example.com",
            "sign up",
            json!({"$browser": "Chrome", "$set": {
                "email": "margaret@example.com", "name": "Margaret Hamilton", "plan": "free",
                "$geoip_country_code": "US",
            }}),
        ),
        (
            "2026-10-28T09:00:00Z",
            "ada@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-28T09:30:00Z",
            "hedy@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-28T10:00:00Z",
            "alan@example.com",
            "sign up",
            json!({"$browser": "Firefox", "$set": {
                "email": "alan@example.com", "name": "Alan Turing", "plan": "free",
                "$geoip_country_code": "GB",
            }}),
        ),
        (
            "2026-10-28T10:01:00Z",
            "alan@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-29T10:00:00Z",
            "alan@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-29T11:00:00Z",
            "alan@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-29T15:00:00Z",
            "hedy@example.com",
            "purchase",
            json!({"amount": 90, "$set": {"plan": "pro"}}),
        ),
        ("2026-10-30T08:00:00Z", "qa-1", "sign up", none()),
        (
            "2026-10-30T08:00:00Z",
            "radia@example.com",
            "sign up",
            json!({"$browser": "Safari", "$set": {
                "email": "radia@example.com", "name": "Radia Perlman", "plan": "trial",
                "$geoip_country_code": "US",
            }}),
        ),
        (
            "2026-10-30T08:02:00Z",
            "radia@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-31T07:00:00Z",
            "grace@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-10-31T07:30:00Z",
            "katherine-laptop",
            "$pageview",
            none(),
        ),
        (
            "2026-10-31T17:00:00Z",
            "margaret@example.com",
            "purchase",
            json!({"amount": 240, "$set": {"plan": "pro"}}),
        ),
        (
            "2026-11-01T09:00:00Z",
            "ada@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-11-01T09:10:00Z",
            "ada@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-11-01T10:00:00Z",
            "radia@example.com",
            "$pageview",
            none(),
        ),
        (
            "2026-11-01T12:00:00Z",
            "luigi@example.com",
            "[deleted]",
            none(),
        ),
        (
            "2026-11-01T18:00:00Z",
            "luigi@example.com",
            "$pageview",
            json!({"$set": {"email": "luigi@example.com"}}),
        ),
        (
            "2026-11-02T08:00:00Z",
            "ada@example.com",
            "$pageview",
            none(),
        ),
    ]
}
