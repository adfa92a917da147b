//! The persons of insights: the same as the old endpoints have.

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::sending::{first_cells, names, rows};
use crate::{api, assert_invalid, assert_server_error, people};

fn series(events: &[&str]) -> Value {
    let nodes = events
        .iter()
        .map(|event| json!({"kind": "EventsNode", "event": event}));
    nodes.collect()
}

fn funnel(more: Value) -> Value {
    let mut source = json!({
        "kind": "FunnelsActorsQuery",
        "source": {
            "kind": "FunnelsQuery",
            "series": series(&["sign up", "purchase"]),
            "dateRange": {"date_from": "2026-10-25", "date_to": "2026-10-31"},
        },
    });
    for (name, value) in more.as_object().unwrap() {
        source[name] = value.clone();
    }
    json!({"source": source, "select": ["properties.name"]})
}

#[tokio::test]
async fn who_signed_up_and_did_not_purchase() {
    let api = api().await;
    let reply = api.actors(funnel(json!({"funnelStep": -2}))).await;
    assert_eq!(names(&reply), ["Alan Turing", "QA 1", "Radia Perlman"]);
    let reply = api.actors(funnel(json!({"funnelStep": 2}))).await;
    assert_eq!(names(&reply), ["Hedy Lamarr", "Margaret Hamilton"]);
    let old = api.with(Sandbox::LEGACY_KEY);
    let events = r#"[{"id":"sign up","order":0},{"id":"purchase","order":1}]"#;
    let query = [
        ("events", events),
        ("funnel_step", "-2"),
        ("date_from", "2026-10-25"),
        ("date_to", "2026-10-31"),
    ];
    let reply = old.get_with("funnel/", &query).await;
    assert_eq!(
        people(&reply),
        ["alan@example.com", "qa-1@example.org", "radia@example.com"]
    );
}

#[tokio::test]
async fn steps_that_do_not_exist_fail() {
    let api = api().await;
    for step in [
        json!({"funnelStep": 0}),
        json!({"funnelStep": -1}),
        json!({}),
    ] {
        assert_server_error(&api.actors(funnel(step)).await);
    }
    assert_eq!(
        first_cells(&api.actors(funnel(json!({"funnelStep": 3}))).await).len(),
        0
    );
    let completed = api.actors(funnel(json!({"funnelStep": -3}))).await;
    assert_eq!(names(&completed), ["Hedy Lamarr", "Margaret Hamilton"]);
    let mut one = funnel(json!({"funnelStep": 1}));
    one["source"]["source"]["series"] = series(&["sign up"]);
    api.sandbox.clear_violations();
    let reply = api.actors(one).await;
    assert_eq!(
        (reply.status, &reply.body["code"]),
        (400, &json!("invalid_input"))
    );
    assert_eq!(api.sandbox.violations().len(), 1);
    let mut unknown = funnel(json!({"funnelStep": 1}));
    unknown["source"]["source"]["series"][0] = json!({"kind": "ActionsNode", "id": 99});
    assert_invalid(&api.actors(unknown).await);
}

fn trends(more: Value) -> Value {
    let mut source = json!({
        "kind": "InsightActorsQuery",
        "source": {
            "kind": "TrendsQuery",
            "series": series(&["$pageview"]),
            "dateRange": {"date_from": "2026-10-25", "date_to": "2026-11-02"},
            "interval": "day",
        },
    });
    for (name, value) in more.as_object().unwrap() {
        source[name] = value.clone();
    }
    json!({"source": source, "select": ["properties.name", "event_count"], "orderBy": ["event_count DESC", "actor_id DESC"]})
}

#[tokio::test]
async fn trends_count_the_events_of_an_interval() {
    let api = api().await;
    let reply = api.actors(trends(json!({"day": "2026-11-01"}))).await;
    // Ghosts and deleted persons are not among the persons that a column is read from.
    let ada = json!(["Ada Lovelace", 2, ["ada@example.com"]]);
    assert_eq!(rows(&reply)[0], ada);
    assert_eq!(reply.body["columns"][2], "event_distinct_ids");
    let mut ids = trends(json!({"day": "2026-11-01"}));
    ids["select"] = json!(["id"]);
    assert_eq!(first_cells(&api.actors(ids).await).len(), 3);
    let mut total = trends(json!({}));
    total["source"]["source"]["trendsFilter"] = json!({"display": "BoldNumber"});
    let counted = rows(&api.actors(total.clone()).await);
    assert_eq!(counted[0][0], "Ada Lovelace");
    total["source"]["day"] = json!("2026-11-01");
    assert_server_error(&api.actors(total).await);
    for wrong in [
        json!({}),
        json!({"day": "soon"}),
        json!({"day": "2026-11-01", "series": 1}),
    ] {
        assert_server_error(&api.actors(trends(wrong)).await);
    }
}

#[tokio::test]
async fn the_lifecycle_is_that_of_the_old_endpoint() {
    let api = api().await;
    let old = api.with(Sandbox::LEGACY_KEY);
    for status in ["new", "returning", "resurrecting", "dormant"] {
        let source = json!({
            "kind": "InsightActorsQuery",
            "day": "2026-10-28",
            "status": status,
            "source": {
                "kind": "LifecycleQuery",
                "series": series(&["$pageview"]),
                "dateRange": {"date_from": "2026-10-27", "date_to": "2026-10-31"},
                "interval": "day",
            },
        });
        let reply = api
            .actors(json!({"source": source, "select": ["properties.email"]}))
            .await;
        let events = r#"[{"id":"$pageview"}]"#;
        let query = [
            ("events", events),
            ("target_date", "2026-10-28"),
            ("lifecycle_type", status),
            ("interval", "day"),
        ];
        assert_eq!(
            names(&reply),
            people(&old.get_with("lifecycle/", &query).await),
            "{status}"
        );
    }
}

#[tokio::test]
async fn events_are_those_of_a_day_unless_asked_otherwise() {
    let api = api().await;
    let query =
        json!({"kind": "EventsQuery", "select": ["event", "timestamp"], "personId": crate::ADA});
    let reply = api.query(query.clone()).await;
    assert_eq!(first_cells(&reply), ["$pageview"; 2]);
    let mut all = query.clone();
    all["after"] = json!("all");
    all["event"] = json!("purchase");
    assert_eq!(
        rows(&api.query(all).await),
        json!([["purchase", "2026-06-10T16:45:00Z"]])
    );
    let mut nobody = query;
    nobody["personId"] = json!("00000000-0000-0000-0000-000000000000");
    assert_server_error(&api.query(nobody).await);
}

#[tokio::test]
async fn persons_without_a_profile_pass_through_by_their_ids_only() {
    let api = api().await;
    let anonymous = json!({"$process_person_profile": false});
    api.capture("visitor-1", "$pageview", anonymous);
    let found = api.get("?distinct_id=visitor-1").await;
    assert_eq!(found.body["results"], json!([]));
    let day = json!({"day": "2026-11-02"});
    let mut ids = trends(day.clone());
    ids["select"] = json!(["id"]);
    assert_eq!(first_cells(&api.actors(ids).await).len(), 2);
    assert_eq!(names(&api.actors(trends(day)).await), ["Ada Lovelace"]);
    let events = "select count() from events where distinct_id = 'visitor-1'";
    assert_eq!(api.rows(events).await, json!([[1]]));
}
