//! The list: filters, pages, CSV.

use std::time::Duration;

use posthog_sandbox::SandboxOptions;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    GHOST, api, assert_invalid, assert_not_found, assert_rejected_by_sandbox, assert_server_error,
    names, read, results, start,
};

#[tokio::test]
async fn lists_filter_by_properties_and_cohorts() {
    let api = api().await;
    let filtered = async |filters: Value| {
        let filters = filters.to_string();
        names(&api.get_with("", &[("properties", &filters)]).await)
    };
    let has_seats =
        json!([{"key": "seats", "operator": "is_set", "value": "is_set", "type": "person"}]);
    assert_eq!(
        filtered(has_seats).await,
        ["emmy@example.com", "ada@example.com"]
    );
    let contains = json!([{"key": "email", "operator": "icontains", "value": "LOVE", "type": "person"},
        {"key": "email", "operator": "icontains", "value": "ada@", "type": "person"}]);
    assert_eq!(filtered(contains).await, Vec::<String>::new());
    let exact = json!([{"key": "plan", "value": "trial", "type": "person"}]);
    let reply = api
        .get_with("", &[("properties", &exact.to_string())])
        .await;
    assert_eq!(names(&reply), ["radia@example.com"]);
    assert_eq!(results(&reply)[0]["id"], results(&reply)[0]["uuid"]);
    let in_cohort = json!([{"type": "cohort", "key": "id", "value": 12, "operator": "in"}]);
    assert_eq!(
        filtered(in_cohort).await,
        ["alan@example.com", "ada@example.com"]
    );
    let of_both = json!([{"type": "cohort", "key": "id", "value": 12, "operator": "in"},
        {"key": "plan", "value": ["pro"], "operator": "exact", "type": "person"}]);
    assert_eq!(filtered(of_both).await, ["ada@example.com"]);

    let unreadable = api.get_with("", &[("properties", "[{")]).await;
    assert_invalid(&unreadable);
    api.assert_no_violations();
}

#[tokio::test]
async fn invalid_filters_are_violations() {
    let api = api().await;
    let filtered = async |filters: Value| {
        let filters = filters.to_string();
        api.get_with("", &[("properties", &filters), ("limit", "100")])
            .await
    };
    let group = json!({"type": "AND", "values": []});
    assert_server_error(&filtered(group).await);
    for filter in [
        json!([{"key": "1 = 1", "type": "hogql"}]),
        json!([{"key": "plan", "value": "pro"}]),
        json!([{"key": "plan", "value": "pro", "type": "event"}]),
        json!([{"key": "plan", "value": "pro", "type": "person", "operator": "semver_gt"}]),
        json!([{"key": "plan", "valeu": "pro", "type": "person"}]),
    ] {
        let rejected = filtered(filter).await;
        assert_rejected_by_sandbox(&rejected);
    }
    // An incomplete filter matches everything, and is recorded as a violation.
    let everything = filtered(json!([{"key": "plan", "type": "person"}])).await;
    assert_eq!(results(&everything).len(), 19);
    assert_eq!(api.sandbox.violations().len(), 7);
}

#[tokio::test]
async fn pages_omit_persons_missing_from_the_primary_store() {
    let api = api().await;
    let first = api.get("?limit=10").await;
    assert_eq!(results(&first).len(), 9);
    assert_eq!(results(&first)[0]["name"], "radia@example.com");
    let base = format!("{}/api/projects/1/persons/", api.sandbox.url());
    assert_eq!(first.body["next"], format!("{base}?limit=10&offset=10"));
    assert_eq!(first.body["previous"], Value::Null);
    assert!(first.body.get("count").is_none());

    let second = api.get("?limit=10&offset=10").await;
    assert_eq!(results(&second).len(), 10);
    // The page is full, so `next` is set although nothing follows.
    assert_eq!(second.body["next"], format!("{base}?limit=10&offset=20"));
    // A zero offset is not written, so the link leads to the same page.
    assert_eq!(
        second.body["previous"],
        format!("{base}?limit=10&offset=10")
    );
    let third = api.get("?limit=10&offset=20").await;
    assert!(results(&third).is_empty());
    assert_eq!(third.body["next"], Value::Null);
    assert_eq!(third.body["previous"], format!("{base}?limit=10&offset=10"));

    // `include_total` counts by presence; the total includes the ghost.
    let counted = api.get("?limit=10&include_total=false").await;
    assert_eq!(counted.body["count"], 20);
    let by_ghost = api
        .get_with("", &[("search", GHOST), ("include_total", "1")])
        .await;
    assert!(results(&by_ghost).is_empty());
    assert_eq!(by_ghost.body["count"], 1);
    api.assert_no_violations();
}

#[tokio::test]
async fn paging_returns_persons_with_equal_times_once() {
    let api = api().await;
    let mut seen: Vec<String> = Vec::new();
    let mut offset = 0;
    loop {
        let page = api
            .get(&format!("?limit=2&offset={offset}&search=@example.org"))
            .await;
        let uuids = results(&page)
            .iter()
            .map(|person| person["uuid"].as_str().unwrap());
        seen.extend(uuids.map(str::to_owned));
        if page.body["next"].is_null() {
            break;
        }
        offset += 2;
    }
    assert_eq!(seen.len(), 6);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
    let page = api.get("?search=@example.org").await;
    let uuids: Vec<&Value> = results(&page)
        .iter()
        .map(|person| &person["uuid"])
        .collect();
    assert!(
        uuids
            .windows(2)
            .all(|pair| pair[0].as_str() < pair[1].as_str())
    );
}

#[tokio::test]
async fn csv_is_selected_by_suffix_parameter_or_header() {
    let api = api().await;
    let suffix = "/api/projects/1/persons.csv?email=ada@example.com";
    let suffix = api.get_path(suffix).await;
    assert_eq!(suffix.status, 200);
    assert_eq!(suffix.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = suffix.text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("created_at,distinct_ids.0,distinct_ids.1,id,is_identified,"));
    assert!(lines[0].contains("properties.$geoip_city_name"));
    assert!(lines[1].starts_with("2026-03-02 10:00:00+00:00,ada@example.com,"));
    let parameter = api
        .get("?format=csv&email=ada@example.com&limit=1&offset=5")
        .await;
    assert_eq!(parameter.text, suffix.text);
    let path = "/api/projects/1/persons/?email=ada@example.com";
    let header = api.request(Method::GET, path).header("accept", "text/csv");
    assert_eq!(read(header.send().await.unwrap()).await.text, suffix.text);

    let everything = api.get("?format=csv").await;
    assert!(everything.text.lines().count() > 19);
    let failed = api.get("?format=csv&properties=x").await;
    assert_eq!((failed.status, failed.text.as_str()), (400, ""));
    api.assert_no_violations();
    let unknown = api.get("?format=xml").await;
    assert_not_found(&unknown);
}

#[tokio::test]
async fn generated_persons_are_older_than_seeded_ones_and_fast_to_list() {
    let before = std::time::Instant::now();
    let api = start(SandboxOptions {
        persons: 100_000,
        ..SandboxOptions::default()
    })
    .await;
    let first = api.get("?limit=1000&include_total=1").await;
    assert_eq!(results(&first).len(), 999);
    assert_eq!(first.body["count"], 100_020);
    assert_eq!(results(&first)[0]["name"], "radia@example.com");
    let last = api.get("?limit=1000&offset=99000").await;
    assert_eq!(results(&last).len(), 1000);
    let one = api.get_with("", &[("distinct_id", "user-0001")]).await;
    let one = &results(&one)[0];
    assert_eq!(one["properties"]["name"], "Person 0001");
    assert_eq!(one["properties"]["email"], "user-0001@example.net");
    assert_eq!(one["properties"].as_object().unwrap().len(), 15);
    let found = api.get("?search=Person+99999").await;
    assert_eq!(results(&found).len(), 1);
    // Above the row limit no page is full, so `next` is null.
    let capped = api
        .get_with("", &[("limit", "60000"), ("email", "nobody")])
        .await;
    assert_eq!(capped.body["next"], Value::Null);
    assert!(
        before.elapsed() < Duration::from_secs(60),
        "{:?}",
        before.elapsed()
    );
    api.assert_no_violations();
}
