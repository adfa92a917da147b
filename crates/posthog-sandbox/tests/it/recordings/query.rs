//! What has to be equal in a recorded and a simulated response of the query API, and the pairs that were recorded of it.

use std::collections::{BTreeMap, BTreeSet};

use posthog_sandbox::{Behaviors, Clock, Era, Key, Sandbox, SandboxOptions, Seed};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{ReferenceClient, Reply, client, read};

/// The first difference, if there is one. Rows are compared as a set, because few of the recorded queries have a
/// complete order.
pub(super) fn difference(status: u16, recorded: &Value, reply: &Reply) -> Option<String> {
    if status != reply.status {
        let text: String = reply.text.chars().take(400).collect();
        return Some(format!("status {status} is {}: {text}", reply.status));
    }
    if status >= 400 {
        // Sentences are cut short in the recording.
        let about = |body: &Value| ["type", "code", "attr"].map(|name| body[name].clone());
        let (recorded, given) = (about(recorded), about(&reply.body));
        return (recorded != given).then(|| format!("error {recorded:?} is {given:?}"));
    }
    let (recorded, given) = (body(recorded), body(&reply.body));
    for name in [
        "columns",
        "hasMore",
        "is_cached",
        "limit",
        "missing_actors_count",
        "offset",
    ] {
        if recorded.get(name) != given.get(name) {
            let (recorded, given) = (recorded.get(name), given.get(name));
            return Some(format!("{name} {recorded:?} is {given:?}"));
        }
    }
    let names = |body: &Value| -> BTreeSet<String> {
        let fields = body.as_object().into_iter().flatten();
        let fields = fields.map(|(name, _)| name.clone());
        fields
            .filter(|name| !LEFT_OUT.contains(&name.as_str()))
            .collect()
    };
    if names(recorded) != names(given) {
        return Some(format!(
            "fields {:?} are {:?}",
            names(recorded),
            names(given)
        ));
    }
    let (expected, results) = (rows(&recorded["results"]), rows(&given["results"]));
    if expected != results {
        return Some(format!("results {expected:?} are {results:?}"));
    }
    // The recorded server knew no types of an empty result.
    let types = &recorded["types"];
    let has_types = types.as_array().is_some_and(|types| !types.is_empty());
    (has_types && *types != given["types"]).then(|| format!("types {types} are {}", given["types"]))
}

/// Left out of the recordings.
const LEFT_OUT: [&str; 5] = ["cache_key", "clickhouse", "hogql", "modifiers", "timings"];

/// The body, or the results of a query that ran in the background.
fn body(body: &Value) -> &Value {
    let results = &body["query_status"]["results"];
    if results.is_object() { results } else { body }
}

fn rows(results: &Value) -> BTreeSet<String> {
    let rows = results.as_array().into_iter().flatten();
    rows.map(|row| without_order(row).to_string()).collect()
}

/// The same with JSON in texts in one form, and with the distinct ids of persons sorted.
fn without_order(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(text).unwrap_or_else(|_| value.clone())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(without_order).collect();
            if items.iter().all(Value::is_string) {
                items.sort_by_key(ToString::to_string);
            }
            Value::Array(items)
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), without_order(value)))
            .collect(),
        other => other.clone(),
    }
}

const RECORDING: &str = include_str!("../../recordings/query.json");

/// The pairs to which the sandbox responds differently, or which are not requests of the query API; and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "0_envelope: bad key (2025 build answers 403; Cloud was seen with 401)",
        "the sandbox has the status of Cloud",
    ),
    (
        "0_envelope: 2026 Cloud error code, as recorded by a third party in Aug 2026 (not run here)",
        "this is the sandbox of 2025",
    ),
    ("B_funnel: the funnel itself (counts)", INSIGHT),
    ("B_funnel: full", "names within the type of recordings"),
    ("B_funnel: matched recordings", "nobody has a recording"),
    ("C_trends: the trend itself", INSIGHT),
    ("C_lifecycle: the lifecycle itself", INSIGHT),
    ("C_stickiness: the bars", INSIGHT),
    ("C_paths: the paths", INSIGHT),
    (
        "D0_values: every kind of value",
        "the names beside the types are those of the recorded SQL",
    ),
    ("D5_property_names: property definitions", "ids"),
    ("D5_property_names: search", "ids"),
    ("D6_others: cohorts", "older forms of the filters"),
    (
        "D6_others: cohorts of a person by HogQL",
        "the recorded second cohort was not calculated",
    ),
    ("D6_others: recordings of a person", OTHER),
    ("D6_others: recordings by HogQL", OTHER),
    ("D6_others: recordings, unknown parameter", OTHER),
    (
        "D6_others: flag reasons (closed to keys in 2025, feature_flag:read in 2026)",
        OTHER,
    ),
    (
        "E_events: star and person",
        "the size of a number in a type",
    ),
    ("E_events: legacy list", OTHER),
    (
        "V_vendor_requests: sent by @posthog/cli 0.18.3 for TrendsQuery",
        PATH,
    ),
    (
        "V_vendor_requests: sent by @posthog/cli 0.18.3 for LifecycleQuery",
        PATH,
    ),
    (
        "V_vendor_requests: sent by @posthog/cli 0.18.3 for StickinessQuery",
        PATH,
    ),
    (
        "V_vendor_requests: sent by @posthog/cli 0.18.3 for PathsQuery",
        PATH,
    ),
];

const INSIGHT: &str = "the results of the insight itself are not simulated, only its persons";
const OTHER: &str = "an endpoint or a table that is not simulated";
const PATH: &str = "the sandbox rejects the deprecated path";

#[derive(Deserialize)]
struct Recording {
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    id: String,
    request: Request,
    status: u16,
    #[serde(default)]
    response: Value,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    body: Option<Value>,
}

#[tokio::test]
async fn the_query_api_responds_as_recorded() {
    let recording: Recording = serde_json::from_str(RECORDING).unwrap();
    let options = SandboxOptions {
        era: Era::August2025,
        seed: Some(Seed::parse(RECORDING).unwrap()),
        clock: Clock::Manual,
        keys: vec![Key::scoped("phx_persons_only", &["person:read"])],
        ..SandboxOptions::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = ReferenceClient {
        sandbox: Sandbox::start(listener, options).await.unwrap(),
        client: client(),
        key: Sandbox::KEY,
    };
    let mut listed: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut wrong = Vec::new();
    for pair in &recording.pairs {
        let found = replay(&api, pair).await;
        match (found, listed.remove(pair.id.as_str())) {
            (Some(found), None) => wrong.push(format!("{}: {found}", pair.id)),
            (None, Some(_)) => wrong.push(format!("{} no longer differs", pair.id)),
            _ => {}
        }
    }
    wrong.extend(listed.keys().map(|id| format!("no pair is {id}")));
    assert!(
        wrong.is_empty(),
        "{}\n{} differ",
        wrong.join("\n"),
        wrong.len()
    );
}

async fn replay(api: &ReferenceClient, pair: &Pair) -> Option<String> {
    let key = match pair.id.as_str() {
        id if id.contains("key lacks") || id.contains("wrong scope") => "phx_persons_only",
        id if id.contains("bad key") => "phx_wrong",
        _ => Sandbox::KEY,
    };
    api.sandbox.update_behaviors(|behaviors| {
        *behaviors = Behaviors::default();
        behaviors.hogql_throttled = pair.status == 429;
    });
    let method = pair.request.method.parse().unwrap();
    let mut request = api.with(key).request(method, &pair.request.path);
    if let Some(body) = &pair.request.body {
        request = request.json(body);
    }
    let reply = read(request.send().await.unwrap()).await;
    if pair.response.is_null() {
        let text: String = reply.text.chars().take(400).collect();
        let differs = reply.status != pair.status;
        return differs.then(|| format!("status {} is {}: {text}", pair.status, reply.status));
    }
    difference(pair.status, &pair.response, &reply)
}
