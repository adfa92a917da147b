//! Random arguments: no tool panics, and no request violates the API.

use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::Sandbox;
use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::{ADA, NOBODY, cases, connect_as};

/// Violations that the tools permit, because PostHog's response to them is not documented.
const KNOWN: [&str; 3] = [
    "unknown entity_math",
    "funnel without funnel_step or funnel_custom_steps",
    "trends funnel without",
];

#[test]
fn random_arguments_cause_neither_panics_nor_invalid_requests() {
    let tools = catalog();
    let names: Vec<&'static str> = tools.iter().map(|tool| tool.name).collect();
    let arguments = tools.iter().map(|tool| {
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        (
            Just(tool.name),
            prop_oneof![8 => like("", &schema), 1 => anything()],
        )
    });
    let calls = proptest::strategy::Union::new(arguments.collect::<Vec<_>>());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Supported by every endpoint, so that no call is rejected because of its key.
    let session = runtime.block_on(connect_as(Sandbox::LEGACY_KEY));
    let config = Config {
        cases: cases(64 * u32::try_from(names.len()).unwrap()),
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&calls, |(tool, arguments)| {
        let arguments = match arguments {
            Value::Object(fields) => Value::Object(fields),
            other => json!({"limit": other}),
        };
        runtime.block_on(session.result(tool, arguments));
        let mut violations = session.sandbox.violations();
        violations.retain(|violation| !KNOWN.iter().any(|known| violation.contains(known)));
        session.sandbox.clear_violations();
        prop_assert_eq!(violations, Vec::<String>::new());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Mostly values that match a schema, sometimes others.
fn like(name: &str, schema: &Value) -> BoxedStrategy<Value> {
    let of_type: BoxedStrategy<Value> = match (schema.get("enum"), schema["type"].as_str()) {
        (Some(values), _) => select(values.as_array().unwrap().clone()).boxed(),
        (_, Some("object")) if schema.get("properties").is_none() => filter(),
        (_, Some("object")) => object(schema),
        (_, Some("array")) => vec(like(name, &schema["items"]), 0..3)
            .prop_map(Value::from)
            .boxed(),
        // Nothing happens at the sandbox meanwhile.
        _ if name == "wait_seconds" => prop_oneof![9 => (0_i64..2).prop_map(Value::from), 1 => anything()].boxed(),
        (_, Some("integer")) => integer(),
        (_, Some("boolean")) => any::<bool>().prop_map(Value::from).boxed(),
        (_, Some("string")) => text(name),
        _ => prop_oneof![4 => text(name), 2 => integer(), 2 => vec(text(name), 0..3).prop_map(Value::from), 1 => anything()].boxed(),
    };
    prop_oneof![60 => of_type, 1 => anything()].boxed()
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .map(|names| names.iter().map(|name| name.as_str().unwrap()).collect())
        .unwrap_or_default();
    let no_fields = Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&no_fields);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, schema)| {
            let likely = if required.contains(&name.as_str()) {
                0.99
            } else {
                0.3
            };
            (
                Just(name.clone()),
                option::weighted(likely, like(name, schema)),
            )
        })
        .collect();
    fields
        .prop_map(|fields| {
            let given = fields
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)));
            Value::Object(given.collect())
        })
        .boxed()
}

/// A filter: the schema says only that it is an object.
fn filter() -> BoxedStrategy<Value> {
    let operators = [
        "exact",
        "is_not",
        "icontains",
        "regex",
        "gt",
        "is_set",
        "is_date_after",
        "in",
        "equals",
    ];
    let kinds = ["person", "event", "cohort", "element", "hogql"];
    (
        option::weighted(0.95, text("key")),
        option::weighted(0.9, like("value", &json!({}))),
        option::weighted(0.5, select(operators.to_vec())),
        option::weighted(0.5, select(kinds.to_vec())),
    )
        .prop_map(|(key, value, operator, kind)| {
            let fields = [
                ("key", key),
                ("value", value),
                ("operator", operator.map(Value::from)),
                ("type", kind.map(Value::from)),
            ];
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect::<Map<_, _>>()
                .into()
        })
        .boxed()
}

fn integer() -> BoxedStrategy<Value> {
    prop_oneof![
        20 => (1_i64..30).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (0_i64..30).prop_map(|number| number.to_string().into()),
    ]
    .boxed()
}

fn text(name: &str) -> BoxedStrategy<Value> {
    let known: &[&str] = match name {
        "id" | "person_id" | "person_uuid" | "uuids" => &[ADA, "101", NOBODY, "$pageview", "1"],
        "date_from" | "date_to" | "target_date" | "entrance_period_start" | "timestamp" => &[
            "2026-10-28",
            "2026-06-01T12:00:00+02:00",
            "2026-10-28T12:00",
            "-7d",
            "dStart",
            "-999999y",
            "all",
        ],
        _ => &[
            "ada@example.com",
            "mallory",
            "sign up",
            "plan",
            "email",
            "total",
            "dau",
            "*",
            "..",
            "a/b",
            "%",
            "null",
            "7",
        ],
    };
    let known = select(known.to_vec()).prop_map(Value::from);
    prop_oneof![12 => known, 1 => ".{0,20}".prop_map(Value::from)].boxed()
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            hash_map(".{0,5}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
