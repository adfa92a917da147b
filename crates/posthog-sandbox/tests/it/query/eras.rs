//! What the versions of PostHog differ in.

use posthog_sandbox::{Era, SandboxOptions};
use serde_json::{Value, json};

use super::sending::names;
use crate::{ReferenceClient, assert_error, start};

async fn in_era(era: Era) -> ReferenceClient {
    let options = SandboxOptions {
        era,
        ..SandboxOptions::default()
    };
    start(options).await
}

#[tokio::test]
async fn later_fields_are_refused_by_earlier_versions() {
    let metadata = json!({
        "type": "person_metadata",
        "key": "created_at",
        "operator": "is_date_after",
        "value": "2026-10-28",
    });
    let later = [
        json!({"kind": "ActorsQuery", "select": ["properties.name"], "properties": [metadata]}),
        json!({
            "kind": "ActorsQuery",
            "select": ["id"],
            "source": {
                "kind": "FunnelsActorsQuery",
                "funnelStep": 1,
                "source": {
                    "kind": "FunnelsQuery",
                    "series": [
                        {"kind": "EventsNode", "event": "sign up", "optionalInFunnel": false},
                        {"kind": "EventsNode", "event": "purchase"},
                    ],
                },
            },
        }),
    ];
    for query in &later {
        let reply = in_era(Era::August2025).await.query(query.clone()).await;
        assert_error(&reply, 400, "invalid_request", "parse_error", Value::Null);
        for era in [Era::June2026, Era::September2026] {
            let api = in_era(era).await;
            let reply = api.query(query.clone()).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            api.assert_no_violations();
        }
    }
    let named = json!({"query": {"kind": "HogQLQuery", "query": "select 1"}, "name": "a"});
    assert_eq!(
        in_era(Era::August2025)
            .await
            .post_query(named.clone())
            .await
            .status,
        400
    );
    assert_eq!(
        in_era(Era::September2026)
            .await
            .post_query(named)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn ranges_of_creation_are_days() {
    let api = in_era(Era::September2026).await;
    let created = |operator: &str, value: &str| {
        json!({
            "select": ["properties.name"],
            "properties": [
                {"type": "person_metadata", "key": "created_at", "operator": operator, "value": value},
                {"type": "person", "key": "plan", "operator": "is_set"},
            ],
        })
    };
    let after = api.actors(created("is_date_after", "2026-10-27")).await;
    assert_eq!(names(&after), ["Alan Turing", "Radia Perlman"]);
    let before = api.actors(created("is_date_before", "2026-10-27")).await;
    assert_eq!(names(&before), ["Ada Lovelace", "Grace Hopper"]);
}

#[tokio::test]
async fn persons_of_events_are_present_ones_or_those_of_the_time() {
    let text = "select person.properties.plan, poe.properties.plan from events \
                where distinct_id = 'ada@example.com' order by timestamp limit 1";
    for (era, of_person) in [(Era::August2025, "pro"), (Era::September2026, "free")] {
        let found = in_era(era).await.rows(text).await;
        assert_eq!(found, json!([[of_person, "free"]]), "{era}");
    }
    let query = json!({
        "kind": "HogQLQuery",
        "query": text,
        "modifiers": {"personsOnEventsMode": "person_id_override_properties_joined"},
    });
    let reply = in_era(Era::September2026).await.query(query).await;
    assert_eq!(reply.body["results"], json!([["pro", "free"]]));
}

#[tokio::test]
async fn the_last_activity_is_known_since_2026() {
    let text = "select last_seen_at from persons where properties.name = 'Radia Perlman'";
    let found = in_era(Era::September2026).await.rows(text).await;
    assert_eq!(found, json!([["2026-11-01T10:00:00Z"]]));
    let select = json!({"kind": "ActorsQuery", "select": ["id", "last_seen"], "limit": 1});
    assert_eq!(
        in_era(Era::September2026)
            .await
            .query(select.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        in_era(Era::August2025).await.query(select).await.status,
        400
    );
}
