//! What a merge says and does.

use std::time::Duration;

use futures::future::join;
use insta::assert_snapshot;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::support::*;
use crate::text;
use crate::writing::{CHANGE_DELAY, elicitations, owner, writes};

#[tokio::test]
async fn preview_shows_who_stays_and_which_values_are_lost() {
    let session = approving().await;
    create(
        &session,
        "alan@example.com",
        &json!({"plan": "pro", "seats": null, "$browser": "Safari"}),
    );
    let arguments = with(merge(ALAN, &[VISITOR, HEDY]), "dry_run", true);
    let result = session.result(TOOL, arguments).await;
    let shown = text(&result).replace(&session.sandbox.url(), "http://sandbox");
    assert_snapshot!(shown, @r#"
    Nothing was sent. A call without dry_run would merge these persons into the first, in project 1 at http://sandbox:
    uuid	name	distinct_ids	created_at	last_seen_at
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	alan@example.com	alan@example.com	2026-10-28T10:00:00Z	2026-11-02T09:00:00Z
    d702f803-2395-5491-ae8d-fe53d69229d6	0190f1aa-5555-4eee-8fff-00000000000a	0190f1aa-5555-4eee-8fff-00000000000a	2026-08-20T07:15:00.250000Z	
    2703d90f-e94c-5e97-ab64-5c56184dc852	hedy@example.com	hedy@example.com	2026-10-27T09:00:00Z	2026-10-29T15:00:00Z
    25ff7608-828e-5b6c-a20f-f615d76f4b4a stays, with 3 distinct ids and 8 properties in all, created 2026-08-20T07:15:00.250000Z. The others are deleted; their distinct ids, events and places in static cohorts move to it.
    4 properties differ between the persons, 2 it does not have yet. The value of the first person that has a property stays:
    property	stays	lost
    $browser	Safari	Firefox
    $geoip_country_code	GB	AT
    email	alan@example.com	hedy@example.com
    name	Alan Turing	Hedy Lamarr
    $initial_referring_domain	$direct	
    $os	Linux	
    The merge uses the distinct id "alan@example.com" of the first, and 0190f1aa-5555-4eee-8fff-00000000000a, hedy@example.com of the others, in events to http://sandbox.
    This cannot be undone: persons-split can move distinct ids to new persons again, but without properties, and the properties of both stay together on the person.
    "#);
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "dry_run");
    assert_eq!(facts["person_uuid"], ALAN);
    assert_eq!(facts["distinct_id_count"], 3);
    assert!(writes(&session).is_empty());
}

#[tokio::test]
async fn question_says_everything_in_four_lines() {
    let session = approving().await;
    create(
        &session,
        "alan@example.com",
        &json!({"plan": "pro", "$browser": "Safari"}),
    );
    session.call(TOOL, merge(ALAN, &[VISITOR, HEDY])).await;
    assert_snapshot!(elicitations(&session)[0], @r#"
    Merge 3 persons, so that only "alan@example.com" stays?
    Deleted after the merge: "0190f1aa-5555-4eee-8fff-0000000…" and 1 more
    Other values of 4 properties are lost. Ids and events move.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    This person stays:
    - 25ff7608-828e-5b6c-a20f-f615d76f4b4a
      "alan@example.com"
      1 distinct id: "alan@example.com"
      created 2026-10-28, last seen 2026-11-02
    Merged into it and deleted:
    - d702f803-2395-5491-ae8d-fe53d69229d6
      "0190f1aa-5555-4eee-8fff-00000000000a"
      1 distinct id: "0190f1aa-5555-4eee-8fff-00000000000a"
      created 2026-08-20
    - 2703d90f-e94c-5e97-ab64-5c56184dc852
      "hedy@example.com"
      1 distinct id: "hedy@example.com"
      created 2026-10-27, last seen 2026-10-29
    Properties with different values:
    - "$browser"
      stays "Safari"
      lost "Firefox"
    - "$geoip_country_code"
      stays "GB"
      lost "AT"
    - "email"
      stays "alan@example.com"
      lost "hedy@example.com"
    - "name"
      stays "Alan Turing"
      lost "Hedy Lamarr"
    It also gets: "$initial_referring_domain", "$os"
    A split can move distinct ids to new persons later. It does not bring
    properties back.
    The merge is sent to "http://sandbox".
    "#);
}

#[tokio::test]
async fn each_person_is_one_event_and_the_wait_ends_when_all_ids_have_moved() {
    let session = approving().await;
    let arguments = with(merge(ALAN, &[VISITOR, HEDY]), "wait_seconds", 30);
    let applied = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.sandbox.advance(CHANGE_DELAY);
    };
    let (result, ()) = join(session.result(TOOL, arguments), applied).await;
    assert_snapshot!(text(&result), @r#"
    Done: merge 2 persons into the person 25ff7608-828e-5b6c-a20f-f615d76f4b4a "alan@example.com" of project 1, with 3 distinct ids in all.
    done: d702f803-2395-5491-ae8d-fe53d69229d6 by "0190f1aa-5555-4eee-8fff-00000000000a"
    done: 2703d90f-e94c-5e97-ab64-5c56184dc852 by "hedy@example.com"
    This cannot be undone: persons-split can move distinct ids to new persons again, but without properties, and the properties of both stay together on the person.
    "#);
    assert_eq!(result.structured_content.unwrap()["status"], "done");
    let event = |alias: &str| {
        json!({
            "event": "$merge_dangerously",
            "distinct_id": "alan@example.com",
            "properties": {"alias": alias, "$geoip_disable": true, "$lib": "posthog-persons-mcp"},
        })
    };
    assert_eq!(
        events(&session),
        [
            event("0190f1aa-5555-4eee-8fff-00000000000a"),
            event("hedy@example.com")
        ]
    );
    for request in session.sandbox.requests() {
        // Each host has its own secret.
        let is_event = request.path == "/i/v0/e/";
        assert_eq!(
            request.header("authorization").is_none(),
            is_event,
            "{}",
            request.path
        );
        assert_eq!(request.body["api_key"] == Sandbox::PROJECT_TOKEN, is_event);
    }
    assert_eq!(owner(&session, "hedy@example.com").await.unwrap(), ALAN);
    assert!(session.sandbox.ingestion_warnings().is_empty());
}

#[tokio::test]
async fn token_is_shown_nowhere() {
    let session = approving().await;
    for arguments in [
        merge(ALAN, &[VISITOR]),
        with(merge(ALAN, &[HEDY]), "dry_run", true),
    ] {
        let result = session.result(TOOL, arguments).await;
        let shown = format!("{result:?} {:?}", elicitations(&session));
        assert!(!shown.contains("phc_"), "{shown}");
    }
}

/// PostHog refuses some distinct ids of a person, and cuts others.
#[tokio::test]
async fn distinct_ids_that_posthog_refuses_are_not_used() {
    let session = approving().await;
    let long = "l".repeat(300);
    create(&session, "undefined", &json!({}));
    create(&session, &long, &json!({}));
    let alias = json!({"alias": "a short id"});
    let alias = alias.as_object().unwrap().clone();
    session.sandbox.capture(&long, "$create_alias", alias);
    let placeholder = owner(&session, "undefined").await.unwrap();
    let long_one = owner(&session, &long).await.unwrap();
    session.call(TOOL, merge(&long_one, &[ALAN])).await;
    assert_eq!(events(&session)[0]["distinct_id"], "a short id");
    let error = session.error(TOOL, merge(ALAN, &[&placeholder])).await;
    assert_snapshot!(error.replace(&placeholder, "UUID"), @"PostHog merges by none of the distinct ids of the person UUID (undefined): it refuses placeholders of faulty code, such as undefined, and ids that are too long. Nothing was sent. Leave it out: only an event with another distinct id can link it.");
}

#[tokio::test]
async fn a_merge_is_not_confirmed_for_other_persons() {
    let session = crate::connect().await;
    let preview = session.call(TOOL, merge(ALAN, &[HEDY])).await;
    let token = preview["confirmation"].clone();
    let other = with(merge(HEDY, &[ALAN]), "confirmation", token.clone());
    let error = session.error(TOOL, other).await;
    assert!(error.contains("into"), "{error}");
    // Another distinct id of one of them.
    let alias = json!({"alias": "another"});
    let alias = alias.as_object().unwrap().clone();
    session
        .sandbox
        .capture("hedy@example.com", "$create_alias", alias);
    let same = with(merge(ALAN, &[HEDY]), "confirmation", token);
    let error = session.error(TOOL, same).await;
    assert!(error.contains("changed"), "{error}");
    assert!(events(&session).is_empty());
}

#[tokio::test]
async fn long_lists_are_cut_and_say_so() {
    let mut setup = crate::Setup {
        human: crate::human::Human::answering_with(crate::human::Reaction::Tick),
        ..crate::Setup::default()
    };
    setup.limits.bytes = 6000;
    let session = crate::connect_with(setup).await;
    let many: serde_json::Map<String, Value> = (0..300)
        .map(|number| (format!("property {number}"), json!("x".repeat(50))))
        .collect();
    create(&session, "hedy@example.com", &Value::Object(many));
    let arguments = with(merge(ALAN, &[HEDY]), "dry_run", true);
    let shown = session.text(TOOL, arguments).await;
    assert!(
        shown.contains("of these properties are listed here"),
        "{shown}"
    );
    session.call(TOOL, merge(ALAN, &[HEDY])).await;
    let question = &elicitations(&session)[0];
    assert!(question.contains("It also gets: "), "{question}");
}
