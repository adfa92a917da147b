use insta::assert_snapshot;
use posthog_sandbox::FaultKind;
use serde_json::{Value, json};

use crate::writing::{CHANGE_DELAY, inject_fault, properties, write_requests};
use crate::{ADA, NOBODY, Session, connect, text};

const TOOL: &str = "persons-property-delete";

fn request() -> String {
    format!("POST B/{ADA}/delete_property/")
}

/// The properties are read before one of them is removed.
fn read() -> String {
    format!("GET B/{ADA}/")
}

/// The keys in the requests, in order.
fn arguments_for(session: &Session) -> Vec<String> {
    write_requests(session)
        .into_iter()
        .map(|(line, body)| {
            assert_eq!(line, request());
            let key = body["$unset"].as_str().unwrap().to_owned();
            assert_eq!(body, json!({"$unset": key}));
            key
        })
        .collect()
}

#[tokio::test]
async fn sends_one_request_per_key() {
    let session = connect().await;
    let result = session
        .result(TOOL, json!({"id": ADA, "unset": "plan"}))
        .await;
    assert_eq!(session.bodies(), [json!(null), json!({"$unset": "plan"})]);
    assert_eq!(session.requests(), [read(), request()]);
    assert_snapshot!(text(&result), @r#"Queued, not done yet: remove plan of person ada0ada0-1815-4852-8000-000000000101. PostHog applies it asynchronously and reports no failure; verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan"]."#);
    assert_eq!(
        result.structured_content.unwrap(),
        json!({
            "status": "queued",
            "person_uuid": ADA,
            "queued": ["plan"],
            "check": "PostHog applies it asynchronously and reports no failure; verify with persons-retrieve, id \
                ada0ada0-1815-4852-8000-000000000101 and select [\"plan\"].",
        })
    );
}

#[tokio::test]
async fn keys_are_deleted_and_other_properties_stay() {
    let session = connect().await;
    let mut before = properties(&session, ADA).await;
    session.requests();
    let keys = json!(["plan", "seats", "plan", "no such property"]);
    let result = session.call(TOOL, json!({"id": ADA, "unset": keys})).await;
    assert_eq!(arguments_for(&session), ["plan", "seats"]);
    assert_eq!(result["queued"], json!(["plan", "seats"]));
    assert_eq!(result["not_on_person"], json!(["no such property"]));
    assert_eq!(properties(&session, ADA).await, before, "queued, not done");
    session.sandbox.advance(CHANGE_DELAY);
    for key in ["plan", "seats"] {
        before.as_object_mut().unwrap().remove(key).unwrap();
    }
    assert_eq!(properties(&session, ADA).await, before);
}

#[tokio::test]
async fn properties_that_the_person_does_not_have_are_not_sent() {
    let session = connect().await;
    let keys = json!(["no such property", "Plan"]);
    let error = session.error(TOOL, json!({"id": ADA, "unset": keys}));
    let error = error.await;
    assert!(
        error.starts_with(&format!(
            "Person {ADA} has none of these properties: no such property, Plan. Nothing was sent. It has "
        )),
        "{error}"
    );
    assert!(error.contains("plan, "), "{error}");
    assert_eq!(session.requests(), [read()]);
    let keys = json!(["no such property", "plan"]);
    let text = session.text(TOOL, json!({"id": ADA, "unset": keys})).await;
    assert!(
        text.contains("\nnot on this person, not sent: no such property\n"),
        "{text}"
    );
    assert_eq!(arguments_for(&session), ["plan"]);
}

#[tokio::test]
async fn failed_key_does_not_hide_the_others() {
    let session = connect().await;
    let reason = "You don't have write access to these properties: seats";
    let rejection = json!({"type": "validation_error", "code": "invalid_input", "detail": reason, "attr": null});
    inject_fault(&session, &request(), FaultKind::json(400, &rejection));
    let keys = json!(["seats", "plan", "company"]);
    let result = session
        .result(TOOL, json!({"id": ADA, "unset": keys}))
        .await;
    assert_eq!(arguments_for(&session), ["seats", "plan", "company"]);
    assert_snapshot!(text(&result), @r#"
    Only some properties of person ada0ada0-1815-4852-8000-000000000101 could be removed.
    queued, not done yet: plan, company
    failed: seats: You don't have write access to these properties: seats
    PostHog applies it asynchronously and reports no failure; verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan","company","seats"].
    "#);
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "partly");
    assert_eq!(facts["queued"], json!(["plan", "company"]));
    assert_eq!(facts["failed"], json!([{"key": "seats", "reason": reason}]));
    session.sandbox.advance(CHANGE_DELAY);
    let after = properties(&session, ADA).await;
    assert_eq!(
        (after.get("plan"), after.get("company"), &after["seats"]),
        (None, None, &json!(12))
    );
}

/// The outcome of the second key is unknown, so the third is not sent.
#[tokio::test]
async fn unknown_outcome_stops_the_remaining_keys() {
    let session = connect().await;
    inject_fault(
        &session,
        &request(),
        FaultKind::json(201, &json!({"success": true})),
    );
    inject_fault(&session, &request(), FaultKind::ServerError { status: 502 });
    let keys = json!(["plan", "seats", "company"]);
    let result = session
        .result(TOOL, json!({"id": ADA, "unset": keys}))
        .await;
    assert_eq!(arguments_for(&session), ["plan", "seats"]);
    assert_snapshot!(text(&result), @r#"
    Only some properties of person ada0ada0-1815-4852-8000-000000000101 could be removed.
    queued, not done yet: plan
    outcome unknown: seats: A server error occurred.
    not sent: company
    PostHog applies it asynchronously and reports no failure; verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan","seats"].
    "#);
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["failed"][0]["key"], "seats");
    assert_eq!(facts["failed"][0]["outcome_unknown"], true);
    assert_eq!(facts["not_sent"], json!(["company"]));
}

/// Unlike for other changes, PostHog reports an ingestion outage here.
#[tokio::test]
async fn ingestion_outage_is_reported() {
    let session = connect().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    let error = session
        .error(TOOL, json!({"id": ADA, "unset": "plan"}))
        .await;
    assert_snapshot!(error, @"Nothing was changed. PostHog did not perform the change: Unable to delete property. Try again later.");
    assert_eq!(arguments_for(&session), ["plan"]);
    session.sandbox.advance(CHANGE_DELAY);
    assert_eq!(properties(&session, ADA).await["plan"], "pro");
}

#[tokio::test]
async fn all_keys_failing_is_an_error() {
    let session = connect().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    let keys = json!(["plan", "seats"]);
    let result = session
        .result(TOOL, json!({"id": ADA, "unset": keys}))
        .await;
    assert_eq!(arguments_for(&session), ["plan", "seats"]);
    assert_eq!(result.is_error, Some(true), "{}", text(&result));
    assert!(!text(&result).contains("Only some"), "{}", text(&result));
}

#[tokio::test]
async fn unknown_person_is_reported_before_anything_is_sent() {
    let session = connect().await;
    let arguments = json!({"id": NOBODY, "unset": "plan"});
    let error = session.error(TOOL, arguments).await;
    assert!(
        error.starts_with(&format!("PostHog found no person `{NOBODY}`")),
        "{error}"
    );
    assert_eq!(session.requests(), [format!("GET B/{NOBODY}/")]);
    let arguments = json!({"distinct_id": "nobody", "unset": "plan"});
    session.error(TOOL, arguments).await;
    assert_eq!(write_requests(&session), []);
}

#[tokio::test]
async fn status_500_for_an_existing_person_is_an_unknown_outcome() {
    let session = connect().await;
    inject_fault(&session, &request(), FaultKind::ServerError { status: 500 });
    let error = session
        .error(TOOL, json!({"id": ADA, "unset": "plan"}))
        .await;
    assert!(error.starts_with("The outcome is unknown"), "{error}");
    assert_eq!(session.requests(), [read(), request()]);
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    let many: Vec<String> = (0..101).map(|number| format!("key {number}")).collect();
    for arguments in [
        json!({"unset": "plan"}),
        json!({"id": ADA, "distinct_id": "ada@example.com", "unset": "plan"}),
        json!({"id": "ada@example.com", "unset": "plan"}),
        json!({"id": ADA}),
        json!({"id": ADA, "unset": null}),
        json!({"id": ADA, "unset": ""}),
        json!({"id": ADA, "unset": []}),
        json!({"id": ADA, "unset": ["plan", " "]}),
        json!({"id": ADA, "unset": ["plan", true]}),
        json!({"id": ADA, "unset": {"key": "plan"}}),
        json!({"id": ADA, "unset": many}),
        json!({"id": ADA, "$unset": "plan"}),
    ] {
        session.error(TOOL, arguments.clone()).await;
        assert_eq!(session.requests(), Vec::<String>::new(), "{arguments}");
    }
    let too_many = session.error(TOOL, json!({"id": ADA, "unset": many})).await;
    assert!(too_many.contains("at most 100"), "{too_many}");
}

#[tokio::test]
async fn person_is_selected_by_uuid_id_or_distinct_id() {
    let session = connect().await;
    for (subject, lookups) in [
        (json!({"id": ADA}), vec![read()]),
        (json!({"id": 101}), vec!["GET B/101/".to_owned()]),
        (
            json!({"distinct_id": "ada@example.com"}),
            vec!["GET B/?distinct_id=ada@example.com".to_owned()],
        ),
    ] {
        let mut arguments: Value = subject;
        arguments["unset"] = json!(["plan"]);
        let result = session.call(TOOL, arguments).await;
        assert_eq!(result["person_uuid"], ADA);
        assert_eq!(session.requests(), [lookups, vec![request()]].concat());
    }
}
