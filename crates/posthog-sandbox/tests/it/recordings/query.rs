//! What has to be equal in a recorded and a simulated response of the query API.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::Reply;

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
