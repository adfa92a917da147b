//! The list of persons by `GET persons/` and by a query: the same persons in the same order, wherever both can do it.

use std::sync::Arc;

use posthog_client::{
    Client, Connection, ConnectionOptions, Filter, PersonPage, PersonsQuery, Project, Untrusted,
};
use posthog_sandbox::{Clock, Era, Sandbox, SandboxOptions};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::assert_compared;

/// Lists per version.
const CASES: u32 = 150;

/// A sandbox of this version with persons who share times of creation, names and plans.
async fn sandbox(era: Era) -> (Sandbox, Client) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        era,
        clock: Clock::Manual,
        persons: 40,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(listener, options).await.unwrap();
    for number in 0..30 {
        let plan = ["pro", "free", "trial"][number % 3];
        let set = json!({"$set": {
            "plan": plan, "seats": number % 4, "note": format!("note {}", number % 7),
        }});
        let set: Map<String, Value> = set.as_object().unwrap().clone();
        sandbox.capture(&format!("twin-{number}"), "sign up", set);
    }
    let options = ConnectionOptions::new(sandbox.url().parse().unwrap());
    let connection = Arc::new(Connection::new(&options).unwrap());
    let key = SecretString::from(Sandbox::KEY);
    let client = Client::new(connection, key, Project::Number(Sandbox::PROJECT));
    (sandbox, client)
}

fn filters() -> impl Strategy<Value = Vec<Value>> {
    let all = vec![
        json!({"key": "email", "operator": "is_set"}),
        json!({"key": "email", "operator": "is_not_set"}),
        json!({"key": "email", "operator": "icontains", "value": ["EXAMPLE.com", "twin"]}),
        json!({"key": "email", "operator": "not_icontains", "value": ["hedy", "alan"]}),
        json!({"key": "plan", "operator": "in", "value": ["pro", "trial"]}),
        json!({"key": "plan", "operator": "is_not", "value": "pro"}),
        json!({"key": "note", "operator": "regex", "value": ["[0-3]$", "^x"]}),
        json!({"key": "$geoip_country_code", "value": ["US", "GB"]}),
        json!({"key": "id", "type": "cohort", "operator": "in", "value": 11}),
        json!({"key": "id", "type": "cohort", "operator": "not_in", "value": 14}),
    ];
    subsequence(all, 0..=3)
}

fn lists() -> impl Strategy<Value = PersonsQuery> {
    // No whole ids: since September 2026 the list searches nothing else for one.
    let search = option::weighted(0.4, select(vec!["example", "win-1", "a", "_wi%", "@"]));
    let email = option::weighted(
        0.1,
        select(vec!["ada@example.com", "hedy@example.com", "x"]),
    );
    let distinct_id = option::weighted(0.1, select(vec!["ada@example.com", "twin-4", "x'`}"]));
    let page = (1_u32..=30, 0_u32..=20);
    (search, email, distinct_id, filters(), page, any::<bool>()).prop_map(
        |(search, email, distinct_id, filters, (limit, offset), include_total)| {
            let filters = filters
                .into_iter()
                .map(|filter| serde_json::from_value::<Filter>(filter).unwrap());
            PersonsQuery {
                search: search.map(str::to_owned),
                email: email.map(str::to_owned),
                distinct_id: distinct_id.map(str::to_owned),
                properties: filters.collect(),
                limit,
                offset,
                include_total,
                ..PersonsQuery::default()
            }
        },
    )
}

type Row<'a> = (
    uuid::Uuid,
    &'a Untrusted<Value>,
    &'a [Untrusted<String>],
    Option<&'a Untrusted<String>>,
);

fn rows(page: &PersonPage) -> Vec<Row<'_>> {
    page.results
        .iter()
        .map(|person| {
            (
                person.uuid,
                &person.name,
                person.distinct_ids.as_slice(),
                person.created_at.as_ref(),
            )
        })
        .collect()
}

#[test]
fn both_routes_list_the_same_persons_in_the_same_order() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for era in [Era::June2026, Era::September2026] {
        let (sandbox, client) = runtime.block_on(sandbox(era));
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let found = std::cell::Cell::new(0);
        let outcome = TestRunner::new(config).run(&lists(), |query| {
            let (list, by_query) = runtime.block_on(async {
                tokio::join!(client.persons(&query), client.persons_by_query(&query))
            });
            let (list, by_query) = (list.unwrap(), by_query.unwrap());
            found.set(found.get() + u32::from(!list.results.is_empty()));
            let (expected, actual) = (rows(&list), rows(&by_query));
            prop_assert!(
                expected == actual,
                "{era} {query:?}: {:?} by the list, {:?} by a query",
                expected.iter().map(|row| row.0).collect::<Vec<_>>(),
                actual.iter().map(|row| row.0).collect::<Vec<_>>()
            );
            prop_assert_eq!(list.count, by_query.count, "{:?}", query);
            // The list says only that the page is full.
            prop_assert!(list.has_next() || !by_query.has_next(), "{:?}", query);
            sandbox.clear_requests();
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
        assert_compared(found.get(), CASES);
        assert_eq!(sandbox.violations(), Vec::<String>::new());
    }
}
