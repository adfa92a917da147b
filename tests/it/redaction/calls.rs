//! Calls of every tool about a person.

use posthog_persons_mcp::tools::catalog;
use serde_json::{Value, json};

use crate::result_invariants::example;

/// Persons to be merged with.
const ALAN: &str = "25ff7608-828e-5b6c-a20f-f615d76f4b4a";
const HEDY: &str = "2703d90f-e94c-5e97-ab64-5c56184dc852";

/// Distinct ids of a person that are used: all of them, except for the person with thousands.
const MAX_IDS: usize = 10;
const MAX_IDS_OF_MANY: usize = 2;

/// The calls of a tool about a person, by each of its ids. A tool without an entry here is called with its example.
pub(super) fn calls(tool: &str, person: &Value) -> Vec<Value> {
    let uuid = &person["uuid"];
    let ids = person["distinct_ids"].as_array().unwrap();
    let max = if ids.len() > MAX_IDS {
        MAX_IDS_OF_MANY
    } else {
        MAX_IDS
    };
    let ids: Vec<&Value> = ids.iter().take(max).collect();
    let each = |arguments: &dyn Fn(&Value) -> Value| {
        ids.iter().map(|id| arguments(id)).collect::<Vec<_>>()
    };
    let all = json!(["*"]);
    match tool {
        "persons-list" => {
            let mut calls = each(&|id| json!({"distinct_id": id, "select": all}));
            calls.push(json!({"search": uuid}));
            if let Some(email) = person["properties"].get("email") {
                calls.push(json!({"email": email}));
                calls.push(json!({"email": email, "format": "csv"}));
                calls.push(json!({"properties": [{"key": "email", "operator": "icontains", "value": email}]}));
                calls
                    .push(json!({"properties": [{"key": "email", "operator": email, "value": 1}]}));
                calls.push(json!({"limit": email}));
                calls.push(json!({email.as_str().unwrap(): email}));
            }
            calls
        }
        "persons-retrieve" => {
            let mut calls = each(&|id| json!({"distinct_id": id}));
            calls.extend(each(&|id| json!({"id": id})));
            calls.push(json!({"id": uuid, "select": all}));
            calls
        }
        "persons-values-retrieve" => {
            let keys = person["properties"].as_object().unwrap().keys();
            let mut calls: Vec<Value> = keys.map(|key| json!({"key": key})).collect();
            calls.extend(["email", "name", "bio"].map(|key| json!({"key": key, "exact": true})));
            calls.extend(each(&|id| json!({"key": id, "value": id})));
            calls.extend(each(&|id| json!({"key": id, "value": id, "exact": true})));
            calls.push(json!({}));
            calls.push(json!({"exact": true, "limit": 1000}));
            calls
        }
        "persons-cohorts-retrieve" => vec![
            json!({"person_id": uuid}),
            json!({}),
            json!({"search": ids[0]}),
        ],
        "persons-duplicates-list" => {
            let mut calls = vec![json!({"key": "plan"}), json!({"key": "name"})];
            calls.extend(each(&|id| json!({"key": id, "cursor": id})));
            calls
        }
        "persons-batch-retrieve" => vec![
            json!({"uuids": [uuid], "select": all}),
            json!({"distinct_ids": with_unknown_id(&ids)}),
        ],
        "persons-activity-retrieve" => vec![json!({"id": uuid}), json!({"limit": 100})],
        "persons-properties-timeline-retrieve" => vec![
            json!({"id": uuid, "date_from": "2026-01-01", "breakdown": "email"}),
            json!({"id": uuid, "date_from": "2026-01-01", "properties": [{"key": "name", "operator": "is_set"}]}),
            json!({"id": uuid, "date_from": "2026-01-01"}),
            json!({"distinct_id": ids[0], "date_from": "2026-01-01", "keys": ["email", "name", "plan"]}),
        ],
        "persons-properties-at-time-retrieve" => {
            let mut calls = each(
                &|id| json!({"distinct_id": id, "timestamp": "2026-10-31T00:00:00Z", "select": all}),
            );
            calls.push(json!({"person_id": uuid, "timestamp": "2026-10-31T00:00:00Z", "include_set_once": true}));
            calls
        }
        "persons-deletion-status-list" => {
            vec![
                json!({"person_uuid": uuid}),
                json!({"person_uuids": [uuid]}),
                json!({"status": "all"}),
            ]
        }
        "persons-funnel" => each(
            &|id| json!({"events": [{"id": "sign up"}, {"id": "purchase"}], "funnel_step": 1, "search": id, "select": all}),
        ),
        "persons-trends" => each(
            &|id| json!({"entity_id": "$pageview", "date_from": "2026-01-01", "search": id, "select": all}),
        ),
        "persons-lifecycle" => vec![
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "sign up"}], "select": all}),
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "ada@example.com"}]}),
        ],
        "persons-events-list" => {
            let mut calls = each(
                &|id| json!({"distinct_id": id, "date_from": "2026-01-01", "select": ["email", "name", "$set", id]}),
            );
            calls.push(json!({"id": uuid, "date_from": "2026-01-01", "summary": true}));
            calls.extend(each(&|id| json!({"id": uuid, "events": [id]})));
            calls
        }
        "persons-export" => vec![
            json!({"id": uuid}),
            json!({"search": ids[0], "select": all}),
        ],
        "persons-stickiness" => {
            vec![
                json!({"event": "$pageview", "periods": 1, "date_from": "2026-01-01", "select": all}),
            ]
        }
        "persons-retention" => vec![
            json!({"start_event": "sign up", "return_event": "$pageview", "date_from": "2026-10-20", "periods": 14, "select": all}),
        ],
        "persons-paths" => vec![
            json!({"item": "sign up", "path_type": "custom_event", "position": "continued", "date_from": "2026-01-01", "select": all}),
        ],
        "persons-update" => {
            let mut calls = each(
                &|id| json!({"distinct_id": id, "properties": {"email": id, "name": id, "x@y.example": 1}}),
            );
            calls.push(json!({"id": uuid, "properties": {"contact": "new@example.com"}}));
            calls
        }
        "persons-property-set" => each(&|id| json!({"distinct_id": id, "key": id, "value": id})),
        "persons-property-delete" => each(&|id| json!({"distinct_id": id, "unset": [id, "email"]})),
        "persons-reset-distinct-id" => each(&|id| json!({"distinct_id": id})),
        "persons-split" => {
            let mut calls = each(
                &|id| json!({"id": uuid, "distinct_ids_to_split": [id], "dry_run": true, "allow_creator_id": true}),
            );
            calls.extend(each(
                &|id| json!({"id": uuid, "distinct_ids_to_split": [id]}),
            ));
            calls.extend(each(&|id| json!({"id": uuid, "main_distinct_id": id})));
            calls.push(json!({"id": uuid, "main_distinct_id": "mis.spelt@example.com"}));
            calls.push(json!({"id": uuid, "distinct_ids_to_split": ["mis.spelt@example.com"]}));
            calls
        }
        "persons-merge" => vec![
            json!({"into": uuid, "persons": [ALAN], "dry_run": true}),
            json!({"into": ALAN, "persons": [uuid, HEDY], "dry_run": true}),
            json!({"into": uuid, "persons": [uuid]}),
            json!({"into": ALAN, "persons": [uuid]}),
        ],
        "persons-bulk-delete" => vec![
            json!({"ids": [uuid], "delete_events": true, "dry_run": true}),
            json!({"distinct_ids": ids, "dry_run": true}),
            json!({"distinct_ids": [ids[0], "not.there@nowhere.example"], "delete_events": true}),
            json!({"ids": [uuid], "delete_recordings": true}),
        ],
        other => {
            let tools = catalog();
            let tool = tools.iter().find(|tool| tool.name == other).unwrap();
            vec![example(tool)]
        }
    }
}

fn with_unknown_id(ids: &[&Value]) -> Vec<Value> {
    let ids = ids.iter().map(|id| (*id).clone());
    ids.chain(["not.there@nowhere.example".into()]).collect()
}
