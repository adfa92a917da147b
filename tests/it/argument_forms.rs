//! Arguments in the forms in which clients, frameworks and models send them: every argument of every tool, in every form.

use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::Sandbox;
use serde_json::{Map, Value, json};

use crate::{ADA, Session, connect, connect_as, result_invariants, text};

/// A value of each argument that has none in its tool's example.
fn sample(tool: &ToolDefinition, name: &str) -> Value {
    let schema = &tool.input_schema["properties"][name];
    match name {
        "id" | "person_id" | "person_uuid" => json!(ADA),
        "uuids" | "ids" | "person_uuids" => json!([ADA]),
        "distinct_id" | "distinct_ids_after" => json!("ada@example.com"),
        "distinct_ids" => json!(["101"]),
        "email" => json!("ada@example.com"),
        "properties" if schema["type"] == "array" => json!([{"key": "plan", "value": "pro"}]),
        "select" => json!(["plan"]),
        "created_after" | "last_seen_after" => json!("2020-01-01"),
        "created_before" | "last_seen_before" => json!("2030-01-01"),
        "date_from" | "date_to" | "entrance_period_start" => json!("2026-10-28"),
        "events" if schema["items"]["type"] == "string" => json!(["sign up"]),
        "compare_to" => json!("now"),
        "emails" => json!(["ada@example.com"]),
        "events" => json!([{"id": "sign up"}]),
        "actions" => json!([{"id": 1}]),
        "distinct_ids_to_split" => json!(["katherine@example.com"]),
        "main_distinct_id" => json!("grace@example.com"),
        "breakdown" => json!("plan"),
        "funnel_custom_steps" => json!([1]),
        // One that no result carries, as the first call of a confirmation.
        "confirmation" => json!(null),
        // Nothing else would be deleted.
        "keep_person" => json!(false),
        "distinct_ids_prefix" if tool.name == "persons-split" => json!("katherine-"),
        "cursor" if tool.name == "persons-duplicates-list" => {
            json!("2_01910000-0000-7000-8000-000000000007")
        }
        "cursor" => json!("2026-11-01T09:00:00Z_01910000-0000-7000-8000-000000000007"),
        _ => match (schema["enum"].as_array(), schema["type"].as_str()) {
            (Some(values), _) => values[0].clone(),
            (_, Some("integer")) => schema["minimum"].as_i64().unwrap_or(1).max(1).into(),
            (_, Some("boolean")) => json!(true),
            _ => json!("ada"),
        },
    }
}

/// The arguments of a call that succeeds with a value for this argument: those of the example, without one that excludes it.
async fn working(session: &Session, tool: &ToolDefinition, name: &str) -> Map<String, Value> {
    let mut example = result_invariants::example(tool)
        .as_object()
        .unwrap()
        .clone();
    if tool.confirmable {
        example.insert("dry_run".to_owned(), json!(true));
    }
    if tool.name == "persons-export" {
        // One person and a list exclude each other.
        match name {
            "id" | "distinct_id" | "all" => example.clear(),
            "date_from" | "date_to" => {
                example.clear();
                example.insert("id".to_owned(), json!(ADA));
            }
            _ => {}
        }
    }
    // What an argument needs beside it.
    match name {
        "breakdown_value" | "funnel_step_breakdown" => {
            example.insert("breakdown".to_owned(), json!("plan"));
        }
        "position" => {
            example.insert("step".to_owned(), json!(2));
        }
        _ => {}
    }
    let value = example
        .get(name)
        .cloned()
        .unwrap_or_else(|| sample(tool, name));
    let others: Vec<String> = example
        .keys()
        .filter(|other| *other != name)
        .cloned()
        .collect();
    let excluded = others.iter().map(Some).chain([None]);
    let mut last = String::new();
    for excluded in [None].into_iter().chain(excluded) {
        let mut arguments = example.clone();
        excluded.map(|excluded| arguments.remove(excluded));
        arguments.insert(name.to_owned(), value.clone());
        match outcome(session, tool, arguments.clone()).await {
            Ok(_) => return arguments,
            Err(text) => last = text,
        }
    }
    panic!("{}.{name}: {last}", tool.name);
}

async fn outcome(
    session: &Session,
    tool: &ToolDefinition,
    arguments: Map<String, Value>,
) -> Result<String, String> {
    let result = session.result(tool.name, arguments.into()).await;
    // Each confirmation has a token of its own.
    let text = result_invariants::without_file(&text(&result));
    let text = text
        .split("confirmation \"")
        .next()
        .unwrap_or_default()
        .to_owned();
    if result.is_error == Some(false) {
        Ok(text)
    } else {
        Err(text)
    }
}

/// Other forms of a value that mean the same.
fn forms(schema: &Value, value: &Value) -> Vec<Value> {
    let takes = |name: &str| {
        schema["type"] == name
            || schema["type"]
                .as_array()
                .is_some_and(|types| types.iter().any(|kind| kind == name))
    };
    let mut forms = Vec::new();
    match value {
        // A value to store is what was sent.
        _ if takes("boolean") && takes("string") => {}
        Value::Number(_) | Value::Bool(_) | Value::Object(_) => {
            forms.push(value.to_string().into())
        }
        Value::String(text) if takes("string") => {
            forms.extend(text.parse::<i64>().ok().map(Value::from));
        }
        Value::Array(items) => {
            forms.push(value.to_string().into());
            let number = |item: &Value| item.as_str()?.parse::<i64>().ok().map(Value::from);
            forms.extend(
                items
                    .iter()
                    .map(number)
                    .collect::<Option<Vec<_>>>()
                    .map(Value::from),
            );
            if let [only] = items.as_slice() {
                forms.push(only.clone());
                forms.extend(only.is_object().then(|| only.to_string().into()));
            }
        }
        _ => {}
    }
    forms
}

#[tokio::test]
async fn every_argument_is_accepted_in_every_form() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let mut compared = 0;
    for tool in catalog() {
        let schema = tool.input_schema["properties"].as_object().unwrap().clone();
        let required = tool
            .input_schema
            .get("required")
            .cloned()
            .unwrap_or_default();
        for (name, schema) in &schema {
            let arguments = working(&session, &tool, name).await;
            let expected = outcome(&session, &tool, arguments.clone()).await;
            for form in forms(schema, &arguments[name]) {
                let mut arguments = arguments.clone();
                arguments.insert(name.clone(), form.clone());
                let read = outcome(&session, &tool, arguments).await;
                assert_eq!(read, expected, "{}.{name}: {form}", tool.name);
                compared += 1;
            }
            let optional = !required
                .as_array()
                .is_some_and(|names| names.iter().any(|r| r == name));
            if !optional {
                continue;
            }
            let mut without = result_invariants::example(&tool)
                .as_object()
                .unwrap()
                .clone();
            if tool.confirmable {
                without.insert("dry_run".to_owned(), json!(true));
            }
            without.remove(name);
            let expected = outcome(&session, &tool, without.clone()).await;
            for blank in [json!(""), json!([]), json!(null)] {
                let mut arguments = without.clone();
                arguments.insert(name.clone(), blank.clone());
                let read = outcome(&session, &tool, arguments).await;
                if tool.blank_is_absent {
                    assert_eq!(read, expected, "{}.{name}: {blank}", tool.name);
                } else {
                    let error = read.unwrap_err();
                    assert!(error.contains("is blank"), "{}.{name}: {error}", tool.name);
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "only {compared} forms were compared");
}

#[tokio::test]
async fn a_value_is_stored_as_given() {
    let session = connect().await;
    for value in [
        json!(""),
        json!([]),
        json!(null),
        json!("[1]"),
        json!("12"),
        json!("true"),
    ] {
        let arguments = json!({"id": ADA, "key": "plan", "value": value});
        session.call("persons-property-set", arguments).await;
        assert_eq!(session.bodies(), [json!({"key": "plan", "value": value})]);
        session.requests();
    }
    // Also in a filter, where it would match everyone if it were absent.
    for blank in [json!([]), json!(null)] {
        let filters = json!([{"key": "plan", "value": blank}]);
        let error = session
            .error("persons-list", json!({ "properties": filters }))
            .await;
        assert!(error.contains("a filter needs a `value`"), "{error}");
    }
}

/// What frameworks that require every argument make of calls: blank arguments are absent.
#[tokio::test]
async fn calls_of_frameworks_that_fill_in_every_argument_work() {
    let session = connect().await;
    for (tool, arguments) in [
        (
            "persons-retrieve",
            json!({"id": ADA, "distinct_id": "", "select": []}),
        ),
        (
            "persons-bulk-delete",
            json!({"ids": [ADA], "distinct_ids": [], "confirmation": "", "dry_run": true}),
        ),
        (
            "persons-list",
            json!({"search": "", "email": "ada@example.com", "distinct_id": "", "properties": [], "select": []}),
        ),
        (
            "persons-batch-retrieve",
            json!({"distinct_ids": ["ada@example.com"], "uuids": []}),
        ),
        ("persons-activity-retrieve", json!({"id": ""})),
        (
            "persons-property-delete",
            json!({"id": ADA, "unset": "[\"plan\"]"}),
        ),
        (
            "persons-update",
            json!({"id": ADA, "properties": "{\"plan\":\"x\"}"}),
        ),
        (
            "persons-list",
            json!({"properties": "[{\"key\":\"plan\",\"value\":\"pro\"}]"}),
        ),
        ("persons-batch-retrieve", json!({"distinct_ids": [101]})),
        ("persons-batch-retrieve", json!({"uuids": ADA})),
    ] {
        session.call(tool, arguments).await;
    }
}

#[tokio::test]
async fn blanks_are_trimmed_from_emails_and_searches_and_never_from_ids() {
    let session = connect().await;
    session
        .call(
            "persons-list",
            json!({"email": " ada@example.com ", "search": "\tada@ "}),
        )
        .await;
    session
        .call("persons-list", json!({"distinct_id": " ada@example.com"}))
        .await;
    assert_eq!(
        session.requests(),
        [
            "GET B/?search=ada@&email=ada@example.com&limit=20&offset=0",
            "GET B/?distinct_id= ada@example.com&limit=20&offset=0",
        ]
    );
    let blanks = "blanks around it";
    for arguments in [
        json!({"distinct_id": "ada@example.com "}),
        json!({"id": format!(" {ADA}")}),
    ] {
        let error = session.error("persons-retrieve", arguments).await;
        assert!(error.contains(blanks), "{error}");
    }
    let error = session
        .error("persons-retrieve", json!({"distinct_id": "nobody"}))
        .await;
    assert!(!error.contains(blanks), "{error}");
}

#[tokio::test]
async fn an_unknown_argument_is_refused_with_the_nearest_known_one() {
    let session = connect().await;
    for (tool, arguments, message) in [
        (
            "persons-list",
            json!({"serch": "ada"}),
            "Unknown argument `serch`. Did you mean `search`?",
        ),
        (
            "persons-retrieve",
            json!({"distinctId": "a"}),
            "Unknown argument `distinctId`. Did you mean `distinct_id`?",
        ),
        (
            "persons-retrieve",
            json!({"q": "a"}),
            "Unknown argument `q`. Expected one of `distinct_id`",
        ),
        (
            "persons-list",
            json!({"properties": [{"key": "plan", "val": "pro"}]}),
            "Unknown argument `properties[0].val`. Did you mean `value`?",
        ),
        (
            "persons-retention",
            json!({"event": "sign up"}),
            "Unknown argument `event`. Did you mean `start_event`?",
        ),
        (
            "persons-bulk-delete",
            json!({"ids": [ADA], "dryrun": true}),
            "Unknown argument `dryrun`. Did you mean `dry_run`?",
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(error.starts_with(message), "{error}");
    }
    // Names within a value are data.
    let properties = json!({"id": ADA, "properties": {"anything": {"at": "all"}}});
    session.call("persons-update", properties).await;
    assert_eq!(session.requests().len(), 1);
}
