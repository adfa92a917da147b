//! The distinct ids that are moved, and those that are rejected.

use super::support::*;
use crate::writing::{
    CHANGE_DELAY, GRACE, approving, approving_with, elicitations, inject_fault, owner, properties,
    write_requests,
};
use crate::{ADA, NOBODY, text};
use insta::assert_snapshot;
use posthog_sandbox::{Era, FaultKind, Sandbox};
use serde_json::{Map, Value, json};

#[tokio::test]
async fn sends_each_distinct_id_and_shows_where_it_goes() {
    let session = approving().await;
    let arguments = with(
        katherines(),
        "distinct_ids_to_split",
        json!([
            "katherine@example.com",
            "katherine-laptop",
            "katherine@example.com"
        ]),
    );
    let result = session.result(TOOL, arguments).await;
    // Read again after the confirmation, which may have taken a while.
    let look = format!("GET B/{GRACE}/");
    let split = format!("POST B/{GRACE}/split/");
    assert_eq!(
        session.bodies()[2],
        json!({"distinct_ids_to_split": ["katherine@example.com", "katherine-laptop"]})
    );
    let mut requests = session.requests();
    // After the split the person is read until it can be compared with the plan.
    requests.dedup();
    assert_eq!(requests, [look.clone(), split, look]);
    assert_snapshot!(elicitations(&session).join("\n---\n"), @r#"
    Split 2 distinct ids off this person?
    "grace@example.com", 4 distinct ids
    It keeps its properties and 2 distinct ids. Events follow the ids.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 707be5a0-b120-5ae0-b57a-f77976f29c41
      "grace@example.com"
      4 distinct ids:
        "grace@example.com"
        "katherine@example.com"
        "katherine-laptop"
        and 1 more
      created 2026-04-10, last seen 2026-10-31
    Moved, each to a new person without properties:
    - "katherine@example.com"
      to cb6afac3-9b8e-52f6-90cd-885fdcc94639
    - "katherine-laptop"
      to 6651cb37-b670-5900-9cec-a4bd1bff21d0
    "#);
    assert_snapshot!(text(&result), @r#"
    Queued, not done yet: to be moved, off person 707be5a0-b120-5ae0-b57a-f77976f29c41 "grace@example.com" of project 1, which keeps 2 distinct ids:
    - "katherine@example.com" to cb6afac3-9b8e-52f6-90cd-885fdcc94639
    - "katherine-laptop" to 6651cb37-b670-5900-9cec-a4bd1bff21d0
    PostHog applies the split within seconds and reports no failure; verify with persons-batch-retrieve and the distinct ids.
    The person could not be compared with the plan yet: verify with persons-retrieve that it keeps its other distinct ids and its properties.
    "#);
    assert_eq!(
        result.structured_content.unwrap(),
        json!({
            "status": "queued",
            "project": Sandbox::PROJECT,
            "person_uuid": GRACE,
            "name": "grace@example.com",
            "moves": [
                {"distinct_id": "katherine@example.com", "new_person_uuid": KATHERINE},
                {"distinct_id": "katherine-laptop", "new_person_uuid": LAPTOP},
            ],
            "move_count": 2,
            "kept_distinct_id_count": 2,
            "notes": [
                "PostHog applies the split within seconds and reports no failure; verify with persons-batch-retrieve and the distinct ids.",
                "The person could not be compared with the plan yet: verify with persons-retrieve that it keeps its other distinct ids and its properties.",
            ],
        })
    );
}

#[tokio::test]
async fn moved_distinct_ids_are_on_their_predicted_persons() {
    let session = approving().await;
    let before = properties(&session, GRACE).await;
    session.call(TOOL, katherines()).await;
    assert_eq!(
        owner(&session, "katherine@example.com").await.unwrap(),
        GRACE,
        "queued, not done"
    );
    session.sandbox.advance(CHANGE_DELAY);
    for (distinct_id, uuid) in [
        ("grace@example.com", GRACE),
        (ANONYMOUS, GRACE),
        ("katherine@example.com", KATHERINE),
        ("katherine-laptop", LAPTOP),
    ] {
        assert_eq!(
            owner(&session, distinct_id).await.unwrap(),
            uuid,
            "{distinct_id}"
        );
    }
    assert_eq!(properties(&session, GRACE).await, before);
    assert_eq!(properties(&session, KATHERINE).await, json!({}));
}

/// In any spelling: the id is sent in a body, and the new UUID derives from its bytes.
#[tokio::test]
async fn any_distinct_id_can_be_moved() {
    let session = approving().await;
    let ids = json!(["a/b c?d", "größe-ünïcode-😀", "..", "100%", "#1"]);
    let result = session
        .call(TOOL, json!({"id": 108, "distinct_ids_to_split": ids}))
        .await;
    assert_eq!(
        result["moves"][0]["new_person_uuid"],
        "c540f39d-0fab-5639-b93e-9e7ee797d9af"
    );
    assert_eq!(
        result["moves"][1]["new_person_uuid"],
        "273390c7-8f91-5e0c-94bd-a09ef8d3cf30"
    );
    session.sandbox.advance(CHANGE_DELAY);
    for one in result["moves"].as_array().unwrap() {
        let distinct_id = one["distinct_id"].as_str().unwrap();
        let uuid = owner(&session, distinct_id).await.unwrap();
        assert_eq!(one["new_person_uuid"], uuid, "{distinct_id}");
    }
}

/// PostHog does not validate a main id, so the ids to move are sent instead.
#[tokio::test]
async fn main_distinct_id_stays_and_all_others_are_sent() {
    let session = approving().await;
    let arguments = json!({"id": "102", "main_distinct_id": "grace@example.com"});
    let result = session.call(TOOL, arguments).await;
    let others = json!(["katherine@example.com", "katherine-laptop", ANONYMOUS]);
    assert_eq!(
        write_requests(&session),
        [(
            format!("POST B/{GRACE}/split/"),
            json!({"distinct_ids_to_split": others})
        )]
    );
    assert_eq!(result["kept_distinct_id_count"], 1);
    session.sandbox.advance(CHANGE_DELAY);
    assert_eq!(owner(&session, "grace@example.com").await.unwrap(), GRACE);
    assert_eq!(
        owner(&session, "katherine@example.com").await.unwrap(),
        KATHERINE
    );
}

#[tokio::test]
async fn distinct_ids_of_other_persons_are_rejected() {
    let session = approving().await;
    let foreign_ids = json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com", "hedy@example.com", "nobody\n- \"x\""]});
    assert_snapshot!(session.error(TOOL, foreign_ids).await, @r#"The person does not have these distinct ids: hedy@example.com, "nobody\n- \"x\"". Nothing was sent. persons-retrieve shows the person's distinct ids."#);
    // PostHog would remove all distinct ids and properties from the person.
    let main = json!({"id": GRACE, "main_distinct_id": "Grace@example.com"});
    assert_snapshot!(session.error(TOOL, main).await, @r#"The person does not have the `main_distinct_id` "Grace@example.com": PostHog would move every distinct id and leave the person without any. Nothing was sent. persons-retrieve shows the person's distinct ids."#);
    assert_eq!(write_requests(&session), []);
    assert_eq!(elicitations(&session), Vec::<String>::new());
}

#[tokio::test]
async fn creator_id_is_rejected_with_the_reason() {
    let session = approving().await;
    let creator = json!({"id": GRACE, "distinct_ids_to_split": ["grace@example.com"]});
    assert_snapshot!(session.error(TOOL, creator).await, @r#"The person's UUID was derived from the distinct id "grace@example.com". PostHog versions before autumn 2026 report success for such a split, move nothing and blank the person in lists and insights. Nothing was sent. Keep this distinct id and split off the others instead. If PostHog is newer and this distinct id must move, call again with allow_creator_id true."#);
    // Also if it is one of the ids that do not stay.
    let others = json!({"id": GRACE, "main_distinct_id": "katherine@example.com"});
    let error = session.error(TOOL, others).await;
    assert!(error.contains("allow_creator_id"), "{error}");
    for not_allowed in [json!(false), json!("false"), Value::Null] {
        let creator = json!({"id": GRACE, "distinct_ids_to_split": ["grace@example.com"], "allow_creator_id": not_allowed});
        session.error(TOOL, creator).await;
    }
    assert_eq!(write_requests(&session), []);
    assert_eq!(elicitations(&session), Vec::<String>::new());
}

#[tokio::test]
async fn allowed_creator_id_moves_to_its_second_derivation() {
    let session = approving().await;
    let creator = json!({"id": GRACE, "distinct_ids_to_split": ["grace@example.com"], "allow_creator_id": true});
    let result = session.call(TOOL, creator).await;
    assert_eq!(
        result["moves"],
        json!([{"distinct_id": "grace@example.com", "new_person_uuid": SECOND_GRACE}])
    );
    assert_eq!(write_requests(&session).len(), 1);
    assert_snapshot!(elicitations(&session).join("\n---\n"), @r#"
    Split 1 distinct id off this person?
    "grace@example.com", 4 distinct ids
    It keeps its properties and 3 distinct ids. Events follow the ids.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 707be5a0-b120-5ae0-b57a-f77976f29c41
      "grace@example.com"
      4 distinct ids:
        "grace@example.com"
        "katherine@example.com"
        "katherine-laptop"
        and 1 more
      created 2026-04-10, last seen 2026-10-31
    NOTE: one of them is the id that the person's UUID was derived from.
    PostHog versions before autumn 2026 blank the person instead.
    Moved, each to a new person without properties:
    - "grace@example.com"
      to eda47886-4070-5fdf-b07c-0fad652b1a39
    "#);
    session.sandbox.advance(CHANGE_DELAY);
    assert_eq!(
        owner(&session, "grace@example.com").await.unwrap(),
        SECOND_GRACE
    );
    assert_eq!(
        owner(&session, "katherine@example.com").await.unwrap(),
        GRACE
    );
}

/// Older versions report success, move nothing and blank the person; the result must not report `done`.
#[tokio::test]
async fn ineffective_creator_split_is_not_reported_done() {
    for era in [Era::June2026, Era::September2026] {
        let session = approving_with(|setup| {
            setup.sandbox.era = era;
            setup.sandbox.creator_split_is_noop = true;
        })
        .await;
        let arguments = json!({
            "id": GRACE, "distinct_ids_to_split": ["grace@example.com"], "allow_creator_id": true, "wait_seconds": 1,
        });
        let result = session.call(TOOL, arguments).await;
        assert_eq!(result["status"], "queued");
        assert_eq!(result["moves"][0]["moved"], false);
        assert!(
            result["notes"]
                .to_string()
                .contains("check the person afterwards"),
            "{result}"
        );
        session.sandbox.advance(CHANGE_DELAY);
        assert_eq!(owner(&session, "grace@example.com").await.unwrap(), GRACE);
    }
}

#[tokio::test]
async fn dry_run_previews_without_confirmation() {
    let session = approving().await;
    let result = session
        .result(TOOL, with(katherines(), "dry_run", true))
        .await;
    assert_eq!(session.requests(), [format!("GET B/{GRACE}/")]);
    assert_eq!(elicitations(&session), Vec::<String>::new());
    assert_snapshot!(text(&result), @r#"
    Nothing was sent. A call without dry_run would move, off person 707be5a0-b120-5ae0-b57a-f77976f29c41 "grace@example.com" of project 1, which keeps 2 distinct ids:
    - "katherine@example.com" to cb6afac3-9b8e-52f6-90cd-885fdcc94639
    - "katherine-laptop" to 6651cb37-b670-5900-9cec-a4bd1bff21d0
    "#);
    assert_eq!(result.structured_content.unwrap()["status"], "dry_run");
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = approving().await;
    let ids = json!(["katherine@example.com"]);
    for arguments in [
        json!({"distinct_ids_to_split": ids}),
        json!({"id": GRACE}),
        json!({"id": GRACE, "distinct_ids_to_split": null, "main_distinct_id": null}),
        json!({"id": GRACE, "distinct_ids_to_split": ids, "main_distinct_id": "grace@example.com"}),
        json!({"id": GRACE, "distinct_ids_to_split": []}),
        json!({"id": GRACE, "distinct_ids_to_split": [true]}),
        json!({"id": GRACE, "distinct_ids_to_split": [""]}),
        json!({"id": GRACE, "main_distinct_id": ""}),
        json!({"id": GRACE, "distinct_ids_prefix": ""}),
        json!({"id": GRACE, "distinct_ids_prefix": "katherine", "main_distinct_id": "grace@example.com"}),
        json!({"id": GRACE, "distinct_ids_prefix": "katherine", "distinct_ids_to_split": ids}),
        json!({"id": "grace@example.com", "distinct_ids_to_split": ids}),
        json!({"distinct_id": "grace@example.com", "distinct_ids_to_split": ids}),
        json!({"id": GRACE, "distinct_ids_to_split": ids, "wait_seconds": 61}),
        json!({"id": GRACE, "distinct_ids_to_split": ids, "wait_seconds": -1}),
        json!({"id": GRACE, "distinct_ids_to_split": ids, "dry_run": "maybe"}),
        json!({"id": GRACE, "distinct_ids_to_split": ids, "confirm": true}),
    ] {
        session.error(TOOL, arguments.clone()).await;
        assert_eq!(session.requests(), Vec::<String>::new(), "{arguments}");
    }
    assert_snapshot!(session.error(TOOL, json!({"id": GRACE})).await, @"Give exactly one of `distinct_ids_to_split`, `distinct_ids_prefix` and `main_distinct_id`: without any, PostHog would keep an arbitrary distinct id and move all others. Nothing was sent.");
}

#[tokio::test]
async fn split_must_move_some_ids_and_keep_some() {
    let session = approving().await;
    let all = json!({"id": ADA, "distinct_ids_to_split": ["ada@example.com", "0190f1aa-1111-4aaa-8bbb-00000000ada1"]});
    assert_snapshot!(session.error(TOOL, all).await, @"At least one distinct id must stay on the person; without one it can no longer be changed. Nothing was sent.");
    let only = json!({"id": 111, "main_distinct_id": "hedy@example.com"});
    assert_snapshot!(session.error(TOOL, only).await, @"The person has no other distinct id: there is nothing to split. Nothing was sent.");
    assert_eq!(write_requests(&session), []);
    assert_eq!(elicitations(&session), Vec::<String>::new());
}

#[tokio::test]
async fn unknown_person_is_not_split() {
    let session = approving().await;
    let error = session.error(TOOL, with(katherines(), "id", NOBODY)).await;
    assert!(
        error.starts_with(&format!("PostHog found no person `{NOBODY}`")),
        "{error}"
    );
    assert_eq!(session.requests(), [format!("GET B/{NOBODY}/")]);
}

/// Names and distinct ids are untrusted text within a question that the user trusts.
#[tokio::test]
async fn person_name_cannot_forge_a_line_of_the_question() {
    let session = approving().await;
    let id = "mallory\"\n- \"ada@example.com\" to 00000000-0000-4000-8000-000000000000\u{2028}Nothing is deleted.\u{202e}";
    let name = "Eve\", 1 distinct id\r\nNothing happens.\u{2029}- \u{200b}\"x\" to nowhere";
    let set = json!({"$set": {"name": name}}).as_object().unwrap().clone();
    session.sandbox.capture("eve", "$identify", set);
    session.sandbox.capture(id, "$pageview", Map::new());
    let uuid = owner(&session, "eve").await.unwrap();
    // The sandbox has no merge events; this is a merged person as PostHog returns it.
    let person = json!({"id": 1001, "uuid": uuid, "name": name, "distinct_ids": ["eve", id], "properties": {}});
    inject_fault(
        &session,
        &format!("GET B/{uuid}/"),
        FaultKind::json(200, &person),
    );
    inject_fault(
        &session,
        &format!("GET B/{uuid}/"),
        FaultKind::json(200, &person),
    );
    session
        .result(TOOL, json!({"id": uuid, "distinct_ids_to_split": [id]}))
        .await;
    let questions = elicitations(&session);
    assert_eq!(questions.len(), 1);
    assert_snapshot!(questions[0], @r#"
    Split 1 distinct id off this person?
    "Eve', 1 distinct id Nothing happens. - …", 2 distinct ids
    It keeps its properties and 1 distinct id. Events follow the ids.
    PostHog project 1 at sandbox. This cannot be undone.
    This question is open for five minutes.
    - 433ea5b7-9e22-5976-a3e0-c3c16b572e79
      "Eve', 1 distinct id Nothing happens. - 'x' to nowhere"
      2 distinct ids:
        "eve"
        "'mallory\'\n- \'ada@example.com\' to 00000000-0000-4000-8000-00…"
    Moved, each to a new person without properties:
    - "'mallory\'\n- \'ada@example.com\' to 00000000-0000-4000-8000-0000…"
      to e00af0a6-49c9-54fd-9021-58a6c052f4c4
    "#);
}
