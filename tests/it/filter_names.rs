//! Filters that name a cohort by its name, or a property as results show it, in every tool that takes filters.

use insta::assert_snapshot;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::{Era, Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::result_invariants::example;
use crate::{Session, Setup, connect, connect_as, connect_with};

/// The calls of every tool that takes filters, with this one in each place where they can stand.
fn calls(filter: &Value) -> Vec<(ToolDefinition, Value)> {
    let mut calls = Vec::new();
    for tool in catalog() {
        let schema = |name: &str| {
            let argument = &tool.input_schema["properties"][name];
            (argument["type"] == "array").then(|| argument["items"].clone())
        };
        if schema("properties").is_some() {
            // The example of an export is that of one person.
            let mut arguments = match tool.name {
                "persons-export" => json!({}),
                _ => example(&tool),
            };
            arguments["properties"] = json!([filter, filter]);
            calls.push((tool.clone(), arguments));
        }
        let Some(event) = schema("events") else {
            continue;
        };
        if event["properties"]["properties"].is_object() {
            let mut arguments = example(&tool);
            if arguments["events"].is_null() {
                arguments["events"] = json!([{"id": "sign up"}]);
            }
            arguments["events"][0]["properties"] = json!([filter]);
            calls.push((tool.clone(), arguments));
        }
    }
    assert!(calls.len() >= 9, "{}", calls.len());
    calls
}

fn look_ups(session: &Session) -> usize {
    let requests = session.sandbox.requests();
    let cohorts = requests
        .iter()
        .filter(|request| request.path.ends_with("/cohorts/") && request.query.contains("search="));
    cohorts.count()
}

fn named(name: &str) -> Value {
    json!({"type": "cohort", "key": "id", "value": name})
}

#[tokio::test]
async fn every_filter_takes_the_name_of_a_cohort_and_looks_it_up_once() {
    for era in Era::ALL {
        let mut setup = Setup::default();
        setup.sandbox.era = era;
        setup.assume_current = false;
        let session = connect_with(setup).await;
        for (tool, arguments) in calls(&named("Paying customers")) {
            session.call(tool.name, arguments.clone()).await;
            assert_eq!(look_ups(&session), 1, "{} {arguments}", tool.name);
            for request in session.sandbox.requests() {
                let sent = format!("{} {}", request.query, request.body);
                let is_look_up = request.path.ends_with("/cohorts/");
                assert_eq!(sent.contains("Paying"), is_look_up, "{} {sent}", tool.name);
            }
            session.sandbox.clear_requests();
        }
    }
}

#[tokio::test]
async fn every_filter_takes_the_name_of_a_property_as_results_show_it() {
    let session = connect().await;
    let filter = json!({"key": r#""pl\u200ban""#, "value": "odd"});
    for (tool, arguments) in calls(&filter) {
        session.call(tool.name, arguments.clone()).await;
        let requests = session.sandbox.requests();
        let sent = requests
            .iter()
            .map(|request| format!("{} {}", request.query, request.body));
        let sent: Vec<String> = sent.collect();
        let has = |name: &str| sent.iter().any(|sent| sent.contains(name));
        let stored = has("pl\u{200b}an") || has("pl%E2%80%8Ban");
        assert!(stored, "{} {arguments}: {sent:?}", tool.name);
        assert!(!has("u200b"), "{} {arguments}: {sent:?}", tool.name);
        session.sandbox.clear_requests();
    }
}

#[tokio::test]
async fn filter_by_a_cohort_by_name_is_one_call() {
    let session = connect().await;
    // PostHog has one field of a cohort, and the operator follows from the type.
    for filter in [
        json!({"type": "cohort", "value": "Paying customers"}),
        json!({"type": "cohort", "key": "name", "value": " paying CUSTOMERS "}),
    ] {
        let result = session
            .call("persons-list", json!({"properties": [filter]}))
            .await;
        assert_eq!(result["results"].as_array().unwrap().len(), 3);
        assert_eq!(
            session.requests()[1],
            r#"GET B/?properties=[{"key":"id","operator":"in","type":"cohort","value":11}]&limit=20&offset=0"#
        );
    }
}

#[tokio::test]
async fn unknown_name_requests_nothing_else() {
    let session = connect().await;
    for (tool, arguments) in calls(&named("customers")) {
        let error = session.error(tool.name, arguments).await;
        assert_eq!(
            error,
            "No cohort is named \"customers\", so nothing else was requested. Similar: 11 \"Paying customers\" (3 persons). \
             persons-cohorts-retrieve without person_id lists all cohorts.",
            "{}",
            tool.name
        );
        assert_eq!(session.requests().len(), 1, "{}", tool.name);
    }
}

#[tokio::test]
async fn ambiguous_name_is_refused_with_the_candidates() {
    let session = connect().await;
    let cohort = |id: u64, name: &str, count: Value| json!({"id": id, "name": name, "count": count, "is_static": false});
    let page = json!({"count": 3, "next": null, "previous": null, "results": [
        cohort(21, "Beta", json!(5)), cohort(22, "Beta", json!(1)), cohort(23, "beta", json!(null)),
    ]});
    session
        .sandbox
        .inject(Fault::always("/cohorts/", FaultKind::json(200, &page)));
    let filter = |name: &str| json!({"properties": [named(name)]});
    assert_snapshot!(session.error("persons-list", filter("Beta")).await, @r#"2 cohorts are named "Beta", so nothing else was requested: 21 "Beta" (5 persons), 22 "Beta" (1 person). Call again with the number of the one you mean as `value`."#);
    assert_snapshot!(session.error("persons-list", filter("BETA")).await, @r#"3 cohorts are named "BETA", so nothing else was requested: 21 "Beta" (5 persons), 22 "Beta" (1 person), 23 "beta". Call again with the number of the one you mean as `value`."#);
    session.requests();
    // One in this letter case, which the sandbox does not have.
    session.error("persons-list", filter("beta")).await;
    assert!(session.requests()[1].contains(r#""value":23"#));
}

#[tokio::test]
async fn names_need_the_scope_of_cohorts() {
    let session = connect_as(Sandbox::READ_KEY).await;
    let arguments = json!({"properties": [named("Paying customers")]});
    let error = session.error("persons-list", arguments).await;
    assert!(error.contains("lacks the scope cohort:read"), "{error}");
    assert_eq!(session.requests().len(), 1);
}
