//! Lists that only a query can answer: by times, and by one of several filters.

use std::time::Duration;

use insta::assert_snapshot;
use posthog_sandbox::{Clock, Era, Fault, FaultKind, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::{Session, Setup, column, connect, connect_as, connect_with};

const TOOL: &str = "persons-list";

async fn on(era: Era) -> Session {
    connect_with(Setup {
        assume_current: false,
        sandbox: SandboxOptions {
            era,
            clock: Clock::Manual,
            ..SandboxOptions::default()
        },
        ..Setup::default()
    })
    .await
}

fn names(page: &Value) -> Vec<&str> {
    let rows = page["results"].as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap_or("-"))
        .collect()
}

#[tokio::test]
async fn who_signed_up_in_a_range_is_one_query() {
    let session = connect().await;
    let arguments = json!({"created_after": "2026-10-25", "created_before": "2026-10-31", "include_total": true});
    let text = session.text(TOOL, arguments).await;
    let queries = session.queries();
    assert_eq!(session.requests(), ["POST Q/", "POST Q/"]);
    assert_eq!(
        queries[0],
        json!({
            "kind": "ActorsQuery", "select": ["person", "last_seen_at"], "orderBy": ["created_at DESC", "id DESC"],
            "limit": 20, "offset": 0,
            "fixedProperties": [{"type": "hogql", "key": "created_at >= toDateTime('2026-10-25T00:00:00Z') and created_at < toDateTime('2026-10-31T00:00:00Z')"}],
        })
    );
    assert_eq!(queries[1]["select"], json!(["count()"]));
    assert_snapshot!(text, @r"
    4 of 5 persons
    uuid	name	email	country	distinct_ids	created	last_seen
    a2eaf793-9e0e-5398-b559-030e0dcc6488	Radia Perlman	radia@example.com	US	radia@example.com	2026-10-30	2026-11-01
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	Alan Turing	alan@example.com	GB	alan@example.com	2026-10-28	2026-10-29
    2fed0c67-44a2-548d-90b5-f9d99dc2392c	Margaret Hamilton	margaret@example.com	US	margaret@example.com	2026-10-27	2026-10-31
    2703d90f-e94c-5e97-ab64-5c56184dc852	Hedy Lamarr	hedy@example.com	AT	hedy@example.com	2026-10-27	2026-10-29
    ");
}

#[tokio::test]
async fn every_version_knows_when_persons_were_created_and_seen() {
    for era in Era::ALL {
        let session = on(era).await;
        let created = json!({
            "created_after": "2026-10-28", "created_before": "2026-10-30T05:00:00+05:00", "search": "example",
            "properties": [{"key": "email", "operator": "is_set"}],
        });
        let page = session.call(TOOL, created).await;
        assert_eq!(names(&page), ["Alan Turing"], "{era}");
        let seen =
            json!({"last_seen_after": "2026-11-01", "last_seen_before": "2026-11-01T12:00:00Z"});
        let page = session.call(TOOL, seen).await;
        assert!(names(&page).contains(&"Radia Perlman"), "{era}: {page}");
        for day in column(&page, "last_seen") {
            assert_eq!(day, "2026-11-01", "{era}");
        }
        let before = json!({"last_seen_before": "2026-11-01", "email": "radia@example.com"});
        let page = session.call(TOOL, before).await;
        assert_eq!(names(&page), Vec::<&str>::new(), "{era}");
        let of_ada = json!({"distinct_id": "ada@example.com", "last_seen_after": "2026-01-01"});
        assert_eq!(
            names(&session.call(TOOL, of_ada).await),
            ["Ada Lovelace"],
            "{era}"
        );
        session.requests();
    }
}

#[tokio::test]
async fn an_older_posthog_is_asked_for_the_column_once() {
    let session = on(Era::August2025).await;
    for queries in [2, 1] {
        session.call(TOOL, json!({"created_after": "-90d"})).await;
        assert_eq!(session.requests().len(), queries);
    }
}

#[tokio::test]
async fn first_calls_at_once_to_an_older_posthog_all_succeed() {
    let session = on(Era::August2025).await;
    // One is refused when the other already knows why.
    let late = FaultKind::Delay(Duration::from_millis(200));
    session.sandbox.inject(Fault::once("/query/", late));
    let call = || session.call(TOOL, json!({"created_after": "-90d"}));
    tokio::join!(call(), call());
    assert_eq!(session.requests().len(), 4);
}

#[tokio::test]
async fn one_of_several_filters_suffices() {
    let session = connect().await;
    let filters = json!([
        {"key": "plan", "value": "trial"},
        {"key": "email", "operator": "not_icontains", "value": ["a", "e", "o"]},
    ]);
    let both = session
        .call(TOOL, json!({"properties": filters, "limit": 100}))
        .await;
    assert!(session.requests()[0].starts_with("GET B/"));
    let any = json!({"properties": filters, "match": "any", "limit": 100});
    let any = session.call(TOOL, any).await;
    let query = session.queries().remove(0);
    assert_eq!(query["properties"]["type"], "OR");
    assert_eq!(query["properties"]["values"][1]["type"], "AND");
    assert!(column(&any, "uuid").len() > column(&both, "uuid").len());
    session.requests();
    // Of one filter there is no other.
    let one = json!({"properties": [{"key": "plan", "value": "trial"}], "match": "any"});
    session.call(TOOL, one).await;
    assert!(session.requests()[0].starts_with("GET B/"));
}

#[tokio::test]
async fn pages_and_csv_have_every_person_once() {
    let session = connect_with(Setup::persons(60).budget(9_000)).await;
    let range = json!({"created_after": "2020-01-01", "search": "@example.net", "limit": 25});
    let mut seen = Vec::new();
    let mut arguments = range.clone();
    loop {
        let page = session.call(TOOL, arguments.clone()).await;
        seen.extend(column(&page, "uuid").into_iter().map(str::to_owned));
        match &page["next_offset"] {
            Value::Null => break,
            next => arguments["offset"] = next.clone(),
        }
    }
    assert_eq!(seen.len(), 60);
    let mut arguments = range;
    arguments["format"] = json!("csv");
    arguments["select"] = json!(["email"]);
    let csv = session.call(TOOL, arguments.clone()).await;
    let lines: Vec<&str> = csv["csv"].as_str().unwrap().lines().skip(1).collect();
    assert_eq!(lines.len(), 60);
    assert!(
        seen.iter()
            .zip(&lines)
            .all(|(uuid, line)| line.starts_with(uuid))
    );
    // In the columns of the file that PostHog sends.
    let everything =
        |range: Value| json!({"format": "csv", "email": "ada@example.com", "created_after": range});
    let ours = session.call(TOOL, everything(json!("2020-01-01"))).await;
    let theirs = session.call(TOOL, everything(Value::Null)).await;
    let header = |csv: &Value| -> Vec<String> {
        let header = csv["csv"].as_str().unwrap().lines().next().unwrap();
        header.split(',').map(str::to_owned).collect()
    };
    let theirs = header(&theirs);
    for column in header(&ours) {
        assert!(theirs.contains(&column), "{column}");
    }
}

#[tokio::test]
async fn wrong_and_empty_ranges_are_explained() {
    let session = connect().await;
    for arguments in [
        json!({"created_after": "2026-02-01", "created_before": "2026-01-01"}),
        json!({"last_seen_after": "all"}),
        json!({"created_after": "soon"}),
    ] {
        let error = session.error(TOOL, arguments).await;
        assert!(error.contains("2026-01-31T12:00:00Z"), "{error}");
    }
    assert_eq!(session.requests(), Vec::<String>::new());
    let text = session
        .text(
            TOOL,
            json!({"created_after": "2020-01-01", "created_before": "2020-02-01"}),
        )
        .await;
    assert_snapshot!(text, @r"
    No person matches
    Only persons created from 2020-01-01T00:00:00Z on and before 2020-02-01T00:00:00Z were searched: widen it with `created_after` and `created_before`.
    ");
}

#[tokio::test]
async fn missing_scope_and_a_cached_list_are_stated() {
    let range = json!({"created_after": "2026-10-01"});
    let session = connect_as(Sandbox::READ_KEY).await;
    let error = session.error(TOOL, range.clone()).await;
    assert!(
        error.starts_with("The API key lacks the scope query:read."),
        "{error}"
    );
    let session = connect().await;
    let fresh = session.text(TOOL, range.clone()).await;
    assert!(!fresh.contains("calculated"), "{fresh}");
    let body = json!({"results": [], "hasMore": false, "is_cached": true, "last_refresh": "2026-11-02T08:55:00.123Z"});
    session
        .sandbox
        .inject(Fault::always("/query/", FaultKind::json(200, &body)));
    let text = session.text(TOOL, range).await;
    assert!(
        text.contains("PostHog calculated this list at 2026-11-02T08:55:00Z"),
        "{text}"
    );
}

#[tokio::test]
async fn filter_on_a_name_as_results_show_it() {
    let session = connect().await;
    let set = json!({"$set": {"pl\u{200b}an": "odd"}});
    session
        .sandbox
        .capture("odd", "sign up", set.as_object().unwrap().clone());
    let filter = json!({"properties": [{"key": "\"pl\\u200ban\"", "value": "odd"}]});
    let page = session.call(TOOL, filter).await;
    assert_eq!(column(&page, "uuid").len(), 1);
}

#[tokio::test]
async fn filter_that_does_not_suit_the_type_is_refused_before_the_list() {
    let session = connect().await;
    let filter = json!({"properties": [{"key": "unknown_number", "operator": "gt", "value": 3}]});
    let error = session.error(TOOL, filter).await;
    assert_snapshot!(error, @"A filter does not suit the type of its property (`unknown_number` gt: PostHog does not know the property as Numeric, and cannot compare it with a number), so nothing was requested. persons-values-retrieve shows the values of a property.");
    let requests = session.requests();
    assert!(
        requests.iter().all(|request| !request.contains(" B/")),
        "{requests:?}"
    );
}
