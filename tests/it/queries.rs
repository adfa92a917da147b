//! The query API for all tools: texts, errors, limits.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Map, Value, json};

use crate::result_invariants::example;
use crate::{ADA, Session, connect, connect_as};

/// Text that would end a literal, a placeholder or a comment, if it became part of a query.
const HOSTILE: &str = "q'\"`}{x} -- /* \\' or 1=1; */";

/// The tools that make queries, with the calls of their examples. persons-list makes one only for some arguments.
fn calls() -> Vec<(ToolDefinition, Value)> {
    let tools = catalog().into_iter();
    let tools = tools.filter(|tool| tool.access.0.contains(&"query:read"));
    let list = catalog()
        .into_iter()
        .find(|tool| tool.name == "persons-list")
        .map(|tool| (tool, json!({"created_after": "2026-01-01"})));
    tools
        .map(|tool| {
            let example = example(&tool);
            (tool, example)
        })
        .chain(list)
        .collect()
}

/// The calls of all tools, also those that make queries for some arguments alone.
fn all_calls() -> Vec<(ToolDefinition, Value)> {
    let filters = json!([
        {"key": "plan", "operator": "exact", "value": "pro"},
        {"key": "email", "operator": "icontains", "value": "@"},
    ]);
    let with_queries = [
        ("persons-list", json!({"created_after": "2026-01-01"})),
        (
            "persons-list",
            json!({"match": "any", "properties": filters}),
        ),
        (
            "persons-export",
            json!({"last_seen_after": "2026-01-01", "select": ["plan"]}),
        ),
        (
            "persons-export",
            json!({"distinct_id": "ada@example.com", "date_from": "2026-01-01"}),
        ),
        (
            "persons-values-retrieve",
            json!({"key": "plan", "exact": true}),
        ),
        ("persons-values-retrieve", json!({"search": "plan"})),
        (
            "persons-batch-retrieve",
            json!({"emails": ["ada@example.com"]}),
        ),
        ("persons-cohorts-retrieve", json!({"person_id": ADA})),
        (
            "persons-deletion-status-list",
            json!({"person_uuids": [ADA]}),
        ),
        (
            "persons-events-list",
            json!({"distinct_id": "ada@example.com", "summary": true}),
        ),
        (
            "persons-trends",
            json!({"entity_id": "sign up", "breakdown": "plan", "breakdown_value": "pro"}),
        ),
    ];
    let tool = |name: &str| catalog().into_iter().find(|tool| tool.name == name);
    let with_queries = with_queries.map(|(name, call)| (tool(name).unwrap(), call));
    let examples = catalog().into_iter().map(|tool| {
        let example = example(&tool);
        (tool, example)
    });
    examples.chain(with_queries).collect()
}

/// The arguments of an example with hostile text wherever the schema takes text.
fn hostile(schema: &Map<String, Value>, example: &Value) -> Vec<Value> {
    let filter = json!([{"key": HOSTILE, "operator": "exact", "value": [HOSTILE]}]);
    let event = json!({"id": HOSTILE, "properties": [{"key": HOSTILE, "value": HOSTILE}]});
    let values = |name: &str, schema: &Value| match (name, schema["type"].as_str()) {
        ("properties", _) => Some(filter.clone()),
        ("events", Some("array")) if schema["items"]["type"] == "object" => {
            Some(json!([event, event]))
        }
        ("id" | "cursor" | "person_id", _) => None,
        (_, Some("string")) if schema.get("enum").is_none() => Some(json!(HOSTILE)),
        (_, Some("array")) if schema["items"]["type"] == "string" => Some(json!([HOSTILE, "plan"])),
        _ => None,
    };
    let fields = schema["properties"].as_object().unwrap();
    let each = fields.iter().filter_map(|(name, schema)| {
        let mut arguments = example.clone();
        arguments[name] = values(name, schema)?;
        if name == "distinct_id" {
            arguments.as_object_mut().unwrap().remove("id");
        }
        if name == "breakdown" || name.ends_with("breakdown") || name == "breakdown_value" {
            arguments["breakdown"] = json!(HOSTILE);
        }
        Some(arguments)
    });
    each.collect()
}

/// Every text that PostHog parses as HogQL within a node: queries, columns, orders, conditions.
fn hogql(node: &Value, found: &mut Vec<String>) {
    match node {
        Value::Object(fields) => {
            for (name, value) in fields {
                let parsed = matches!(name.as_str(), "query" | "select" | "orderBy" | "where")
                    || fields.get("type") == Some(&json!("hogql"));
                match value {
                    Value::String(text) if parsed => found.push(text.clone()),
                    Value::Array(texts) if parsed => {
                        found.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    value if name != "values" => hogql(value, found),
                    _ => {}
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| hogql(item, found)),
        _ => {}
    }
}

fn texts(session: &Session) -> BTreeSet<String> {
    let mut found = Vec::new();
    session
        .queries()
        .iter()
        .for_each(|node| hogql(node, &mut found));
    session.sandbox.clear_requests();
    found.into_iter().collect()
}

#[tokio::test]
async fn no_text_of_a_caller_is_part_of_a_query() {
    let session = connect().await;
    let mut sent = 0;
    let mut asking = BTreeSet::new();
    for (tool, example) in all_calls() {
        for arguments in hostile(&tool.input_schema, &example) {
            // Some texts are refused as arguments; none may reach a query.
            session.result(tool.name, arguments.clone()).await;
            let texts = texts(&session);
            sent += texts.len();
            if !texts.is_empty() {
                asking.insert(tool.name);
            }
            for text in texts {
                assert!(
                    !text.contains('`') && !text.contains("1=1") && !text.contains("--"),
                    "{} {arguments}: {text}",
                    tool.name
                );
                assert!(!text.to_lowercase().contains("offset"), "{text}");
            }
        }
    }
    assert!(sent > 80, "only {sent} texts were sent");
    assert!(asking.len() >= 12, "only {asking:?} made queries");
}

#[tokio::test]
async fn two_queries_run_at_once_and_other_requests_meanwhile() {
    let session = connect().await;
    session
        .sandbox
        .inject(Fault::always("/query/", FaultKind::Stall));
    let query = || session.result("persons-trends", json!({"entity_id": "sign up"}));
    let others = async {
        while session.queries().len() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            session.call("persons-retrieve", json!({"id": ADA})).await;
        }
        session.queries().len()
    };
    tokio::select! {
        _ = async { tokio::join!(query(), query(), query(), query()) } => panic!("a query has a response"),
        running = others => assert_eq!(running, 2),
    }
}

#[tokio::test]
async fn missing_scope_names_query_read_and_where_to_add_it() {
    let session = connect_as(Sandbox::READ_KEY).await;
    for (tool, arguments) in calls() {
        let error = session.error(tool.name, arguments).await;
        assert_eq!(
            error,
            "The API key lacks the scope query:read. The user can add it at http://sandbox/settings/user-api-keys, or use a key that has it.",
            "{}",
            tool.name
        );
    }
}

#[tokio::test]
async fn endpoints_of_their_own_are_used_only_where_queries_are_closed() {
    let session = connect_as(Sandbox::LEGACY_KEY).await;
    let mut fallbacks = Vec::new();
    for (status, code, detail) in [
        (
            403,
            "permission_denied",
            "API key missing required scope 'query:read'",
        ),
        (
            403,
            "permission_denied",
            "This action does not support Personal API Key access",
        ),
        (404, "not_found", "Endpoint not found."),
        (404, "not_found", "Not found."),
        (405, "method_not_allowed", "Method \"POST\" not allowed."),
        (400, "parse_error", "JSON parse error"),
        (
            403,
            "permission_denied",
            "You don't have access to the project.",
        ),
        (429, "throttled", "Request was throttled."),
        (500, "error", "A server error occurred."),
        (504, "error", "Query timed out."),
        (512, "error", "Estimated time too long."),
    ] {
        let body = json!({"type": "x", "code": code, "detail": detail, "attr": null});
        session
            .sandbox
            .inject(Fault::always("/query/", FaultKind::json(status, &body)));
        for (tool, arguments) in calls() {
            let result = session.result(tool.name, arguments).await;
            let requests = session.requests();
            let own = requests.iter().any(|request| request.contains("B/"));
            assert_eq!(
                own,
                result.is_error == Some(false),
                "{} {status} {detail}",
                tool.name
            );
            if own {
                fallbacks.push(format!("{status} {detail}: {}", tool.name));
            }
        }
        session.sandbox.clear_faults();
    }
    assert_snapshot!(fallbacks.join("\n"), @r#"
    403 API key missing required scope 'query:read': persons-properties-timeline-retrieve
    403 API key missing required scope 'query:read': persons-funnel
    403 API key missing required scope 'query:read': persons-trends
    403 API key missing required scope 'query:read': persons-lifecycle
    403 This action does not support Personal API Key access: persons-properties-timeline-retrieve
    403 This action does not support Personal API Key access: persons-funnel
    403 This action does not support Personal API Key access: persons-trends
    403 This action does not support Personal API Key access: persons-lifecycle
    404 Endpoint not found.: persons-properties-timeline-retrieve
    404 Endpoint not found.: persons-funnel
    404 Endpoint not found.: persons-trends
    404 Endpoint not found.: persons-lifecycle
    404 Not found.: persons-properties-timeline-retrieve
    404 Not found.: persons-funnel
    404 Not found.: persons-trends
    404 Not found.: persons-lifecycle
    405 Method "POST" not allowed.: persons-properties-timeline-retrieve
    405 Method "POST" not allowed.: persons-funnel
    405 Method "POST" not allowed.: persons-trends
    405 Method "POST" not allowed.: persons-lifecycle
    "#);
}

#[tokio::test]
async fn rate_limit_of_an_hour_is_reported_and_not_waited_for() {
    let session = connect().await;
    session.sandbox.inject(Fault::always(
        "/query/",
        FaultKind::Throttle { retry_after: 3594 },
    ));
    for (tool, arguments) in calls() {
        let error = session.error(tool.name, arguments).await;
        assert_eq!(session.requests(), ["POST Q/"], "{}", tool.name);
        assert_eq!(
            error,
            "PostHog's rate limit for queries is reached. Wait 60 minutes, then call again. Tools that make no query still work: \
             persons-list without ranges and `match`, persons-retrieve, persons-properties-at-time-retrieve."
        );
    }
    session.call("persons-retrieve", json!({"id": ADA})).await;
}

#[tokio::test]
async fn concurrency_limit_is_retried() {
    let session = connect().await;
    let body = json!({"type": "throttled_error", "code": "throttled", "detail": "Exceeded maximum concurrency limit: 3", "attr": null});
    for (tool, arguments) in calls() {
        session
            .sandbox
            .inject(Fault::once("/query/", FaultKind::json(429, &body)));
        session.call(tool.name, arguments).await;
        assert_eq!(session.requests(), ["POST Q/", "POST Q/"], "{}", tool.name);
    }
}

#[tokio::test]
async fn query_that_takes_too_long_is_not_repeated() {
    for status in [504, 512, 500] {
        let session = connect().await;
        session
            .sandbox
            .inject(Fault::always("/query/", FaultKind::ServerError { status }));
        for (tool, arguments) in calls() {
            let error = session.error(tool.name, arguments).await;
            assert_eq!(session.requests(), ["POST Q/"], "{}", tool.name);
            assert!(
                error.ends_with("narrow the query: a shorter range, fewer steps, events or keys."),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn reason_of_clickhouse_ends_before_its_query() {
    let session = connect().await;
    let detail = "Cannot parse date: value is too short. In scope SELECT person_id FROM events";
    let body = json!({"type": "validation_error", "code": "cannot_parse_date", "detail": detail, "attr": null});
    session
        .sandbox
        .inject(Fault::always("/query/", FaultKind::json(400, &body)));
    let error = session
        .error("persons-trends", json!({"entity_id": "sign up"}))
        .await;
    assert_snapshot!(error, @"PostHog rejected the request: Cannot parse date: value is too short. Change it and call again.");
}

#[tokio::test]
async fn fields_of_newer_versions_are_ignored() {
    let session = connect().await;
    let body = json!({
        "results": [], "hasMore": false, "is_cached": true, "last_refresh": "2026-11-02T08:55:00Z", "hogql": "select 1",
        "timings": [{"k": "./build", "t": 0.1}], "modifiers": {}, "from_the_future": [{"x": 1}],
    });
    session
        .sandbox
        .inject(Fault::always("/query/", FaultKind::json(200, &body)));
    for (tool, arguments) in calls() {
        session.call(tool.name, arguments).await;
    }
}

#[test]
fn queries_only_read() {
    for (tool, _) in calls() {
        assert_eq!(tool.effect, Effect::Read, "{}", tool.name);
    }
}
