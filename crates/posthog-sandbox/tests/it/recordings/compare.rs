//! What has to be equal in a recorded and a simulated response: the status, the error, the shape, and what is known of
//! its contents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::recording::Response;
use crate::Reply;

/// The first difference, if there is one.
pub(super) fn difference(recorded: &Response, reply: &Reply) -> Option<String> {
    if recorded.status != reply.status {
        let body = reply.text.chars().take(300).collect::<String>();
        return Some(format!(
            "status {} is {}: {body}",
            recorded.status, reply.status
        ));
    }
    for name in ["content-type", "location", "retry-after"] {
        let given = reply.headers.get(name).map(|value| value.to_str().unwrap());
        let expected = recorded.headers.get(name).map(String::as_str);
        let equal = if name == "retry-after" {
            given.is_some() == expected.is_some()
        } else {
            given == expected
        };
        if !equal {
            return Some(format!("header {name} {expected:?} is {given:?}"));
        }
    }
    if recorded.status >= 400 && recorded.body.is_object() {
        return error(&recorded.body, &reply.body);
    }
    match &recorded.body {
        Value::Null => (!reply.text.is_empty()).then(|| format!("body: {}", reply.text)),
        Value::String(csv) => lines(csv, &reply.text),
        body => shape(body, &reply.body).or_else(|| contents(body, &reply.body)),
    }
}

/// Details that depend on what PostHog runs on: the words of ClickHouse and of the JSON parser, waits, ids of
/// organizations.
fn is_own_sentence(error: &Value) -> bool {
    let detail = error["detail"].as_str().unwrap_or_default();
    error["code"] != "illegal_type_of_argument"
        && error["code"] != "throttled"
        && !detail.starts_with("JSON parse error")
        && !detail.contains("organization: ID")
}

fn error(recorded: &Value, given: &Value) -> Option<String> {
    let without_detail = |error: &Value| {
        let mut error = error.clone();
        error
            .as_object_mut()
            .and_then(|fields| fields.remove("detail"));
        error
    };
    let equal = if is_own_sentence(recorded) {
        recorded == given
    } else {
        without_detail(recorded) == without_detail(given)
    };
    (!equal).then(|| format!("error {recorded} is {given}"))
}

/// CSV: the header, and the set of rows.
fn lines(recorded: &str, given: &str) -> Option<String> {
    let set = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let equal = recorded.lines().next() == given.lines().next() && set(recorded) == set(given);
    (!equal).then(|| format!("CSV {recorded:?} is {given:?}"))
}

/// The kinds of a value, the shapes of its fields, and what its items have in common.
#[derive(Default, PartialEq, Debug)]
struct Shape {
    kinds: BTreeSet<&'static str>,
    fields: BTreeMap<String, Shape>,
    items: Option<Box<Shape>>,
}

/// Whether there is a value depends on the recorded course of things, and not on the request.
const OFTEN_NULL: [&str; 1] = ["delete_verified_at"];

impl Shape {
    fn of(value: &Value) -> Self {
        let mut shape = Self::default();
        shape.add(value);
        shape
    }

    fn add(&mut self, value: &Value) {
        self.kinds.insert(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        });
        for (name, value) in value.as_object().into_iter().flatten() {
            let field = self.fields.entry(name.clone()).or_default();
            if !OFTEN_NULL.contains(&name.as_str()) {
                field.add(value);
            }
        }
        for item in value.as_array().into_iter().flatten() {
            self.items.get_or_insert_default().add(item);
        }
    }

    fn difference(&self, given: &Self, path: &str) -> Option<String> {
        if self.kinds != given.kinds {
            return Some(format!("{path}: {:?} is {:?}", self.kinds, given.kinds));
        }
        let names: BTreeSet<&String> = self.fields.keys().chain(given.fields.keys()).collect();
        for name in names {
            let path = format!("{path}.{name}");
            match (self.fields.get(name), given.fields.get(name)) {
                (Some(recorded), Some(given)) => {
                    if let Some(difference) = recorded.difference(given, &path) {
                        return Some(difference);
                    }
                }
                (Some(_), None) => return Some(format!("{path} is missing")),
                (None, _) => return Some(format!("{path} is not in the recording")),
            }
        }
        match (&self.items, &given.items) {
            (Some(recorded), Some(given)) => recorded.difference(given, &format!("{path}[]")),
            (None, None) => None,
            (Some(_), None) => Some(format!("{path} is empty")),
            (None, Some(_)) => Some(format!("{path} is not empty")),
        }
    }
}

fn shape(recorded: &Value, given: &Value) -> Option<String> {
    Shape::of(recorded).difference(&Shape::of(given), "body")
}

/// The persons, the counted values of a property, the results of a bulk deletion, and the links to other pages.
fn contents(recorded: &Value, given: &Value) -> Option<String> {
    // The link of a cached response is that of the request which filled the cache.
    let is_cached = recorded["is_cached"] == true;
    let contents_of = |value: &Value| {
        let mut found = BTreeSet::new();
        collect(value, &mut found);
        found.retain(|text| !(is_cached && text.starts_with("next: ")));
        found
    };
    let (recorded, given) = (contents_of(recorded), contents_of(given));
    let missing: Vec<&String> = recorded.difference(&given).collect();
    let added: Vec<&String> = given.difference(&recorded).collect();
    (recorded != given).then(|| format!("{missing:?} are {added:?}"))
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            if fields.contains_key("uuid") && fields.contains_key("distinct_ids") {
                found.insert(person(value));
                return;
            }
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            if names == ["count", "name"] {
                let name = value["name"].as_str().unwrap();
                found.insert(format!("{} times {}", value["count"], without_spaces(name)));
            }
            if fields.contains_key("persons_found") {
                found.insert(value.to_string());
            }
            for (name, value) in fields {
                match (name.as_str(), value.as_str()) {
                    ("next" | "previous", Some(url)) => {
                        found.insert(format!("{name}: {}", link(url)));
                    }
                    _ => collect(value, found),
                }
            }
        }
        _ => {}
    }
}

/// What two responses say about the same person.
fn person(value: &Value) -> String {
    let mut ids: Vec<&Value> = value["distinct_ids"].as_array().unwrap().iter().collect();
    ids.sort_by_key(|id| id.to_string());
    let (uuid, name) = (&value["uuid"], &value["name"]);
    format!("{uuid} {name} {ids:?} {}", value["properties"])
}

/// A JSON text, as the recorded server stores it, without the spaces that Python writes.
fn without_spaces(name: &str) -> String {
    let parsed = serde_json::from_str::<Value>(name);
    parsed.map_or_else(|_| name.to_owned(), |value| value.to_string())
}

/// Path and parameters of a link, in an order of their own.
fn link(url: &str) -> String {
    let path = url.split_once("/api/").map_or(url, |(_, path)| path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parameters: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    parameters.sort();
    format!("{path} {parameters:?}")
}
