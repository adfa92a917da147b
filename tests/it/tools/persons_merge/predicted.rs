//! The person that a preview predicts is the one that results.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Client;
use serde_json::{Map, Value, json};

use super::support::*;
use crate::Session;
use crate::http_client::client;

const MERGES: u32 = 500;

/// A person: its properties, the number of its distinct ids, and the seconds that pass before it is created.
type RandomPerson = (Map<String, Value>, usize, u64);

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        select(vec!["", "pro", "free", "Ünï", "a\tb", "[1]"]).prop_map(Value::from),
        select(vec![
            json!([]),
            json!([1, "x"]),
            json!({"a": {"b": null}}),
            json!(0.5)
        ]),
    ]
}

fn person() -> impl Strategy<Value = RandomPerson> {
    let names = select(vec![
        "plan", "email", "name", "seats", "$os", "odd name", "größe", "x",
    ]);
    let names = names.prop_map(str::to_owned);
    let properties = btree_map(names, value(), 0..6);
    let properties = properties.prop_map(|properties| properties.into_iter().collect());
    (properties, 1..4_usize, 0..100_u64)
}

#[test]
fn the_predicted_person_results_from_500_random_merges() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = runtime.block_on(unconfirmed());
    let http = client();
    let config = Config {
        cases: MERGES,
        failure_persistence: None,
        ..Config::default()
    };
    let number = std::cell::Cell::new(0);
    // Mostly two persons, sometimes as many as are allowed; the one that stays can be any of them.
    let several = prop_oneof![6 => vec(person(), 2..4), 1 => vec(person(), 4..=10)];
    let merges = (several, any::<prop::sample::Index>());
    let outcome = TestRunner::new(config).run(&merges, |(persons, stays)| {
        number.set(number.get() + 1);
        runtime.block_on(check(
            &session,
            &http,
            number.get(),
            &persons,
            stays.index(persons.len()),
        ));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(session.sandbox.ingestion_warnings().is_empty());
    assert_eq!(session.sandbox.violations(), Vec::<String>::new());
}

async fn check(
    session: &Session,
    http: &Client,
    number: u32,
    persons: &[RandomPerson],
    stays: usize,
) {
    let first = |place: usize| format!("{number}/{place}/0");
    for (place, (properties, ids, seconds)) in persons.iter().enumerate() {
        session.sandbox.advance(Duration::from_secs(*seconds));
        create(session, &first(place), &Value::Object(properties.clone()));
        for more in 1..*ids {
            let alias = json!({"alias": format!("{number}/{place}/{more}")});
            let alias = alias.as_object().unwrap().clone();
            session
                .sandbox
                .capture(&first(place), "$create_alias", alias);
        }
    }
    let ids: Vec<String> = (0..persons.len()).map(first).collect();
    let found = session
        .call("persons-batch-retrieve", json!({"distinct_ids": ids}))
        .await;
    let mut before = Vec::new();
    for row in found["results"].as_array().unwrap() {
        before.push(raw(session, http, row["uuid"].as_str().unwrap()).await);
    }
    assert_eq!(before.len(), persons.len());
    before.swap(0, stays);
    let uuids: Vec<&str> = before
        .iter()
        .map(|one| one["uuid"].as_str().unwrap())
        .collect();
    let arguments = merge(uuids[0], &uuids[1..]);
    let preview = session
        .call(TOOL, with(arguments.clone(), "dry_run", true))
        .await;
    session.call(TOOL, arguments).await;
    session.sandbox.advance(Duration::from_secs(10));
    let after = raw(session, http, preview["person_uuid"].as_str().unwrap()).await;

    // The kept person with what the preview says that it gets.
    let mut predicted = before[0]["properties"].clone();
    let none = Vec::new();
    let changed = preview["properties"].as_array().unwrap_or(&none);
    for row in changed {
        // Results have no control characters.
        let stays = match row["stays"].as_str() {
            Some("a b") => json!("a\tb"),
            _ => row["stays"].clone(),
        };
        predicted[row["property"].as_str().unwrap()] = stays;
    }
    assert_eq!(after["uuid"], before[0]["uuid"]);
    assert_eq!(after["properties"], predicted);
    let property_count = after["properties"].as_object().unwrap().len();
    assert_eq!(preview["property_count"], property_count);
    let conflicts = changed.iter().filter(|row| row["lost"].is_array()).count();
    assert_eq!(preview["conflict_count"], conflicts);
    assert_eq!(preview["created_at"], after["created_at"]);
    let ids = |persons: &[Value]| -> BTreeSet<String> {
        let ids = persons
            .iter()
            .flat_map(|one| one["distinct_ids"].as_array().unwrap());
        ids.map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(std::slice::from_ref(&after)), ids(&before));
    assert_eq!(preview["distinct_id_count"], ids(&before).len());
    // Nobody else is left.
    for uuid in &uuids[1..] {
        assert_eq!(raw(session, http, uuid).await["code"], "not_found");
    }
}
