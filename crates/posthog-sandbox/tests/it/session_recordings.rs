//! The session recordings of a person.

use posthog_sandbox::{Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADA, api, read, results, start};

#[tokio::test]
async fn recordings_of_a_person_are_listed_newest_first_and_of_three_days_by_default() {
    let api = api().await;
    let list = async |query: &str| {
        let path = format!("/api/projects/1/session_recordings/?person_uuid={ADA}{query}");
        api.get_path(&path).await
    };
    let ids = |reply: &super::Reply| -> Vec<String> {
        let rows = results(reply).iter();
        rows.map(|row| row["id"].as_str().unwrap()[33..].to_owned())
            .collect()
    };
    let recent = list("").await;
    assert_eq!(ids(&recent), ["a03"]);
    assert_eq!(results(&recent)[0]["person"]["uuid"], ADA);
    assert_eq!(results(&recent)[0]["end_time"], "2026-11-01T08:01:01Z");
    let all = list("&date_from=2026-01-01").await;
    assert_eq!(ids(&all), ["a03", "a02", "a01"]);
    assert_eq!(all.body["has_next"], false);
    let page = list("&date_from=2026-01-01&limit=2").await;
    assert_eq!(ids(&page), ["a03", "a02"]);
    assert_eq!(page.body["has_next"], true);
    let rest = list("&date_from=2026-01-01&limit=2&offset=2").await;
    assert_eq!(ids(&rest), ["a01"]);
    let earlier = list("&date_from=2026-01-01&date_to=2026-06-10").await;
    assert_eq!(ids(&earlier), ["a02", "a01"]);
    api.assert_no_violations();
    let invalid = api
        .get_path("/api/projects/1/session_recordings/?person_uuid=ada")
        .await;
    assert_eq!(invalid.status, 500);
    assert!(invalid.body["error"].is_string());
}

/// Pages by time and UUID, as the query API allows them, have each event once.
#[tokio::test]
async fn a_long_history_is_read_in_pages() {
    let options = SandboxOptions {
        events: 1000,
        ..SandboxOptions::default()
    };
    let api = start(options).await;
    let person = Sandbox::LONG_HISTORY.to_string();
    let query = async |text: &str, values: Value| {
        let node = json!({"kind": "HogQLQuery", "query": text, "values": values});
        let request = api.request(Method::POST, "/api/projects/1/query/");
        let reply = read(request.json(&json!({"query": node})).send().await.unwrap()).await;
        results(&reply).clone()
    };
    let count = "select count() from events where person_id = {p} and timestamp >= toDateTime({from}) and timestamp < toDateTime({to})";
    let range = json!({"p": person, "from": "2025-01-01T00:00:00Z", "to": "2026-11-02T09:00:00Z"});
    assert_eq!(query(count, range).await[0], json!([1000]));
    for (direction, after) in [("asc", ">"), ("desc", "<")] {
        let mut uuids: Vec<String> = Vec::new();
        let edge = if direction == "asc" {
            "2025-01-01T00:00:00Z"
        } else {
            "2026-11-02T09:00:00Z"
        };
        let mut last = json!([edge, if direction == "asc" { "" } else { "z" }]);
        loop {
            let text = format!(
                "select timestamp, toString(uuid) as u from events where person_id = {{p}} \
                 and timestamp >= toDateTime({{from}}) and timestamp < toDateTime({{to}}) \
                 and (timestamp, toString(uuid)) {after} (toDateTime({{ts}}), {{u}}) \
                 order by timestamp {direction}, toString(uuid) {direction} limit 70"
            );
            let values = json!({"p": person, "from": "2025-01-01T00:00:00Z", "to": "2026-11-02T09:00:00Z", "ts": last[0], "u": last[1]});
            let rows = query(&text, values).await;
            let Some(end) = rows.last() else { break };
            last = end.clone();
            uuids.extend(rows.iter().map(|row| row[1].as_str().unwrap().to_owned()));
        }
        assert_eq!(uuids.len(), 1000);
        uuids.sort();
        uuids.dedup();
        assert_eq!(uuids.len(), 1000, "each event once");
    }
    api.assert_no_violations();
}
