use insta::assert_snapshot;
use posthog_sandbox::FaultKind;
use serde_json::{Value, json};

use crate::writing::{CHANGE_DELAY, inject_fault, properties, write_requests};
use crate::{ADA, NOBODY, connect, text};

const TOOL: &str = "persons-property-set";

#[tokio::test]
async fn sends_key_and_value_and_reports_it_queued() {
    let session = connect().await;
    let arguments = json!({"id": ADA, "key": "plan", "value": "team"});
    let result = session.result(TOOL, arguments).await;
    assert_eq!(session.bodies(), [json!({"key": "plan", "value": "team"})]);
    assert_eq!(
        session.requests(),
        [format!("POST B/{ADA}/update_property/")]
    );
    assert_snapshot!(text(&result), @r#"Queued, not done yet: set plan of person ada0ada0-1815-4852-8000-000000000101. PostHog applies it asynchronously and reports no failure; verify with persons-retrieve, id ada0ada0-1815-4852-8000-000000000101 and select ["plan"]."#);
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

/// Values are sent unchanged: text stays text even if it looks like a number, and null is a value.
#[tokio::test]
async fn value_of_any_type_is_stored_unchanged() {
    let session = connect().await;
    for value in [
        json!("team"),
        json!("20"),
        json!("true"),
        json!(""),
        json!(20),
        json!(0.5),
        json!(-12_345_678_901_234_i64),
        json!(false),
        json!(["a", {"b": null}]),
        json!({"nested": {"deep": [1, 2]}}),
        Value::Null,
    ] {
        let arguments = json!({"id": ADA, "key": "plan", "value": value});
        session.call(TOOL, arguments).await;
        let body = json!({"key": "plan", "value": value});
        assert_eq!(session.bodies(), [body]);
        session.sandbox.advance(CHANGE_DELAY);
        let properties = properties(&session, ADA).await;
        assert_eq!(properties["plan"], value);
        assert!(properties.as_object().unwrap().contains_key("plan"));
        assert_eq!(properties["company"], "Analytical Engines");
        session.requests();
    }
}

#[tokio::test]
async fn missing_value_is_rejected() {
    let session = connect().await;
    assert_snapshot!(session.error(TOOL, json!({"id": ADA, "key": "plan"})).await, @r#"Argument `value` is missing. An example: {"id": "ada0ada0-1815-4852-8000-000000000101", "key": "plan", "value": "team"}."#);
    assert_eq!(session.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for arguments in [
        json!({"key": "plan", "value": 1}),
        json!({"id": ADA, "distinct_id": "ada@example.com", "key": "plan", "value": 1}),
        json!({"id": "ada@example.com", "key": "plan", "value": 1}),
        json!({"distinct_id": "x".repeat(401), "key": "plan", "value": 1}),
        json!({"id": ADA, "value": 1}),
        json!({"id": ADA, "key": null, "value": 1}),
        json!({"id": ADA, "key": "", "value": 1}),
        json!({"id": ADA, "key": "\u{2003}", "value": 1}),
        json!({"id": ADA, "key": ["plan"], "value": 1}),
        json!({"id": ADA, "key": "plan", "value": 1, "values": 2}),
    ] {
        session.error(TOOL, arguments.clone()).await;
        assert_eq!(session.requests(), Vec::<String>::new(), "{arguments}");
    }
}

#[tokio::test]
async fn person_is_selected_by_uuid_id_or_distinct_id() {
    let session = connect().await;
    for (subject, lookup) in [
        (json!({"id": ADA}), None),
        (json!({"id": 101}), Some("GET B/101/")),
        (
            json!({"distinct_id": "0190f1aa-1111-4aaa-8bbb-00000000ada1"}),
            Some("GET B/?distinct_id=0190f1aa-1111-4aaa-8bbb-00000000ada1"),
        ),
    ] {
        let mut arguments = subject;
        arguments["key"] = json!("plan");
        arguments["value"] = json!("team");
        let result = session.call(TOOL, arguments).await;
        assert_eq!(result["person_uuid"], ADA);
        let mut expected: Vec<String> = lookup.map(str::to_owned).into_iter().collect();
        expected.push(format!("POST B/{ADA}/update_property/"));
        assert_eq!(session.requests(), expected);
    }
}

#[tokio::test]
async fn unknown_person_is_not_changed() {
    let session = connect().await;
    let arguments = json!({"id": NOBODY, "key": "plan", "value": "team"});
    let error = session.error(TOOL, arguments).await;
    assert!(
        error.starts_with(&format!(
            "Nothing was changed. PostHog found no person `{NOBODY}`"
        )),
        "{error}"
    );
    session.requests();
    let arguments = json!({"distinct_id": "nobody", "key": "plan", "value": "team"});
    session.error(TOOL, arguments).await;
    assert_eq!(write_requests(&session), []);
}

#[tokio::test]
async fn ingestion_outage_still_reports_queued() {
    let session = connect().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    let arguments = json!({"id": ADA, "key": "plan", "value": "team"});
    assert_eq!(session.call(TOOL, arguments).await["status"], "queued");
    session.sandbox.advance(CHANGE_DELAY);
    assert_eq!(properties(&session, ADA).await["plan"], "pro");
}

#[tokio::test]
async fn swapped_error_fields_are_read() {
    let session = connect().await;
    for (field, shown) in [("value", "`value`"), ("key", "`key`")] {
        let envelope = json!({
            "attr": field,
            "code": format!("You need to provide the {field}."),
            "detail": "required",
            "type": "validation_error",
        });
        let request = format!("POST B/{ADA}/update_property/");
        inject_fault(&session, &request, FaultKind::json(400, &envelope));
        let arguments = json!({"id": ADA, "key": "plan", "value": "team"});
        let error = session.error(TOOL, arguments).await;
        assert!(error.contains(shown), "{error}");
        assert!(
            error.contains(&format!("You need to provide the {field}")),
            "{error}"
        );
    }
}
