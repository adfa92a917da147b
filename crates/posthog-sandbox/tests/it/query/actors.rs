//! Actors queries for persons.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::sending::{first_cells, names, rows};
use crate::{ADA, GHOST, api, assert_error, assert_server_error};

fn plan(value: &str) -> Value {
    json!({"type": "person", "key": "plan", "operator": "exact", "value": value})
}

#[tokio::test]
async fn filters_are_joined_by_groups() {
    let api = api().await;
    let select = json!(["properties.name"]);
    let either = json!({"type": "OR", "values": [plan("pro"), plan("trial")]});
    let reply = api
        .actors(json!({"select": select, "properties": either}))
        .await;
    assert_eq!(
        names(&reply),
        [
            "Ada Lovelace",
            "Hedy Lamarr",
            "Margaret Hamilton",
            "Radia Perlman"
        ]
    );
    let british = json!({"type": "cohort", "key": "id", "operator": "in", "value": 12});
    let nested = json!({"type": "AND", "values": [either, {"type": "AND", "values": [british]}]});
    let reply = api
        .actors(json!({"select": select, "properties": nested}))
        .await;
    assert_eq!(names(&reply), ["Ada Lovelace"]);
    let fixed =
        json!({"select": select, "properties": [plan("pro")], "fixedProperties": [british]});
    assert_eq!(names(&api.actors(fixed).await), ["Ada Lovelace"]);
    let key = "created_at >= toDateTime('2026-10-28T00:00:00Z')";
    let created = json!([{"type": "hogql", "key": key}]);
    let reply = api
        .actors(json!({"select": select, "properties": created}))
        .await;
    assert_eq!(names(&reply), ["Alan Turing", "Ghost", "Radia Perlman"]);
    api.assert_no_violations();
}

#[tokio::test]
async fn persons_are_objects_of_the_primary_store() {
    let api = api().await;
    let reply = api
        .actors(json!({"search": "ghost@", "select": ["person", "id", "created_at"]}))
        .await;
    assert_eq!(
        rows(&reply),
        json!([[{"id": GHOST}, GHOST, "2026-10-30T10:00:00Z"]])
    );
    assert_eq!(reply.body["missing_actors_count"], 1);
    let reply = api
        .actors(json!({"search": ADA, "select": ["actor"]}))
        .await;
    let ada = &rows(&reply)[0][0];
    assert_eq!(ada["id"], ADA);
    assert_eq!(ada["is_identified"], true);
    assert_eq!(ada["distinct_ids"].as_array().unwrap().len(), 2);
    assert_eq!(ada["properties"]["plan"], "pro");
    assert!(ada.get("name").is_none() && ada.get("uuid").is_none());
    let plain = api.actors(json!({"select": ["id"]})).await;
    assert_eq!(plain.body["missing_actors_count"], Value::Null);
}

#[tokio::test]
async fn pages_are_exact_and_show_the_persons_of_the_list() {
    let api = api().await;
    let listed = api.get("?limit=100").await;
    let listed = listed.body["results"].as_array().unwrap().iter();
    let listed: HashSet<Value> = listed.map(|person| person["uuid"].clone()).collect();
    let mut paged = Vec::new();
    loop {
        let page = json!({
            "select": ["id"],
            "orderBy": ["created_at DESC", "toString(id) DESC"],
            "limit": 5,
            "offset": paged.len(),
        });
        let reply = api.actors(page).await;
        paged.extend(first_cells(&reply));
        if reply.body["hasMore"] == false {
            break;
        }
    }
    assert_eq!(paged.len(), listed.len() + 1);
    paged.retain(|id| *id != GHOST);
    assert_eq!(paged.into_iter().collect::<HashSet<Value>>(), listed);
    let counted = api.actors(json!({"select": ["count()"]})).await;
    assert_eq!(rows(&counted), json!([[listed.len() + 1]]));
}

#[tokio::test]
async fn aggregates_group_the_other_columns() {
    let api = api().await;
    let query = json!({"select": ["properties.plan", "count()"], "orderBy": ["count() DESC", "properties.plan"]});
    let found = rows(&api.actors(query).await);
    let found = &found.as_array().unwrap()[1..];
    assert_eq!(
        found,
        [json!(["pro", 3]), json!(["free", 2]), json!(["trial", 1])]
    );
}

#[tokio::test]
async fn a_query_can_be_the_source() {
    let api = api().await;
    let text =
        "select person_id, count() as n from events where event = 'purchase' group by person_id";
    let query = json!({
        "source": {"kind": "HogQLQuery", "query": text},
        "select": ["properties.name", "n"],
        "orderBy": ["n DESC"],
    });
    assert_eq!(
        names(&api.actors(query).await),
        ["Ada Lovelace", "Hedy Lamarr", "Margaret Hamilton"]
    );
}

#[tokio::test]
async fn what_the_node_does_not_have_is_refused() {
    let api = api().await;
    let wrong = [
        json!({"foo": 1}),
        json!({"select": "id"}),
        json!({"limit": "many"}),
        json!({"properties": [{"type": "person", "key": "plan", "value": "pro"}]}),
        json!({"properties": [{"type": "person", "key": "plan", "operator": "equals", "value": "pro"}]}),
        json!({"properties": [{"type": "event", "key": "plan", "operator": "exact", "value": "pro"}]}),
        json!({"properties": [{"type": "person", "key": "plan", "operator": "exact", "value": "pro", "negation": true}]}),
        json!({"properties": [{"type": "cohort", "key": "id", "operator": "in", "value": "Paying"}]}),
        json!({"properties": {"type": "XOR", "values": []}}),
        json!({"source": {"kind": "EventsQuery", "select": ["uuid"]}}),
    ];
    for query in wrong {
        let reply = api.actors(query).await;
        assert_error(&reply, 400, "invalid_request", "parse_error", Value::Null);
        assert!(
            reply.body["detail"]
                .as_str()
                .unwrap()
                .starts_with("JSON parse error - ")
        );
    }
    let cohort =
        json!({"properties": [{"type": "cohort", "key": "id", "operator": "in", "value": 99}]});
    assert_server_error(&api.actors(cohort).await);
    let column = api.actors(json!({"select": ["nope"]})).await;
    assert_error(
        &column,
        400,
        "validation_error",
        "hogql_query_error",
        Value::Null,
    );
}
