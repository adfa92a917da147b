//! Changing persons: properties, split, reset. Accepted changes are carried out later, on the virtual clock.

use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};

use super::context::Context;
use super::merge::merged;
use crate::http::Response;
use crate::model::{Capture, Effect, Era, Person, PropertyMap, property_change};

/// How long ingestion takes.
const PROPERTY_SECONDS: i64 = 2;
const SPLIT_SECONDS: i64 = 5;

/// The fields of a person in responses: clients may send a whole person back.
const PERSON_FIELDS: &[&str] = &[
    "created_at",
    "distinct_ids",
    "id",
    "is_identified",
    "last_seen_at",
    "matched_recordings",
    "name",
    "properties",
    "type",
    "uuid",
    "value_at_data_point",
];

/// Persons API, Update: PATCH and PUT. 202 does not mean that the change will be made.
pub(crate) fn update(context: &mut Context<'_>) -> Result<Response, Response> {
    let fields = context.any_fields()?;
    let set = match fields.get("properties") {
        None | Some(Value::Null) => {
            return Err(Response::missing_field(
                "properties",
                "This field is required.",
            ));
        }
        Some(Value::Object(set)) => set.clone(),
        Some(other) => return Err(context.reject(format!("properties is not an object: {other}"))),
    };
    context.fields(PERSON_FIELDS)?;
    set_properties(context, set)
}

/// Persons API, Update property.
pub(crate) fn update_property(context: &mut Context<'_>) -> Result<Response, Response> {
    let fields = context.fields(&["key", "value"])?;
    let value = fields.get("value");
    let needs_value = context.era() == Era::August2025;
    let Some(value) = value.filter(|value| !(needs_value && value.is_null())) else {
        return Err(Response::missing_field("value", "This field is required."));
    };
    let key = match fields.get("key") {
        None | Some(Value::Null) => {
            return Err(Response::missing_field("key", "This field is required."));
        }
        Some(Value::String(key)) => key.clone(),
        Some(other @ (Value::Array(_) | Value::Object(_))) => {
            return Err(context.crash(format!("key is not text: {other}")));
        }
        Some(other) => return Err(context.reject(format!("key is not text: {other}"))),
    };
    set_properties(context, PropertyMap::from_iter([(key, value.clone())]))
}

/// Merges: other keys stay. Failures of ingestion are not reported.
fn set_properties(context: &mut Context<'_>, set: PropertyMap) -> Result<Response, Response> {
    let person = context.person()?.clone();
    reject_restricted(context, set.keys())?;
    let distinct_id = first_distinct_id(&person)?;
    let capture = Capture {
        distinct_id,
        event: "$set".to_owned(),
        set,
        ..Capture::default()
    };
    ingest(context, capture);
    let changes = Some(property_change("updated"));
    context
        .project
        .log(context.now, "updated", &person, changes);
    Ok(Response::empty(202))
}

fn reject_restricted<'a>(
    context: &Context<'_>,
    mut keys: impl Iterator<Item = &'a String>,
) -> Result<(), Response> {
    match keys.find(|key| context.behaviors.restricted_properties.contains(key)) {
        Some(key) => Err(Response::invalid(
            format!("You don't have write access to these properties: {key}"),
            None,
        )),
        None => Ok(()),
    }
}

/// Property writes need a distinct id; PostHog fails on a person without one.
fn first_distinct_id(person: &Person) -> Result<String, Response> {
    let first = person.distinct_ids.first();
    first
        .map(ToString::to_string)
        .ok_or_else(|| Response::server_error(500))
}

/// Schedules an event, unless ingestion is down.
fn ingest(context: &mut Context<'_>, capture: Capture) {
    if !context.behaviors.capture_down {
        let due = context.now + Duration::seconds(PROPERTY_SECONDS);
        context.project.schedule(due, Effect::Capture(capture));
    }
}

/// Persons API, Delete property. Unlike the other endpoints it responds 500 for an unknown person.
pub(crate) fn delete_property(context: &mut Context<'_>) -> Result<Response, Response> {
    let fields = context.fields(&["$unset"])?;
    let key = match fields.get("$unset") {
        Some(Value::String(key)) => key.clone(),
        None => return Err(context.crash("delete_property without $unset")),
        Some(other) => return Err(context.reject(format!("$unset is not a property key: {other}"))),
    };
    let person = match context.person() {
        Ok(person) => person.clone(),
        Err(response) if response.status == 404 => return Err(Response::server_error(500)),
        Err(_) => return Err(context.crash("delete_property with an invalid person id")),
    };
    reject_restricted(context, [&key].into_iter())?;
    let distinct_id = first_distinct_id(&person)?;
    if context.behaviors.capture_down {
        let detail = "Unable to delete property";
        let status = context.behaviors.capture_status;
        return Err(Response::json(
            // After a 5xx the request is repeated, and then fails without a status.
            if status < 500 { status } else { 400 },
            json!({"success": false, "detail": detail}),
        ));
    }
    let capture = Capture {
        distinct_id,
        event: "$delete_person_property".to_owned(),
        unset: vec![key],
        ..Capture::default()
    };
    ingest(context, capture);
    let changes = Some(property_change("delete_property"));
    context
        .project
        .log(context.now, "delete_property", &person, changes);
    Ok(Response::json(201, json!({"success": true})))
}

/// Persons API, Split. The activity entry is written immediately, even if the task is lost.
pub(crate) fn split(context: &mut Context<'_>) -> Result<Response, Response> {
    let fields = context.fields(&["distinct_ids_to_split", "main_distinct_id"])?;
    let person = context.person()?.clone();
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    // The version of 2025 does not know partial splits, and ignores their field.
    let knows_partial = context.era() > Era::August2025;
    let listed = given("distinct_ids_to_split").filter(|_| knows_partial);
    let main = given("main_distinct_id");
    if listed.is_some() && main.is_some() {
        let detail = "main_distinct_id cannot be combined with distinct_ids_to_split";
        return Err(Response::invalid(detail, None));
    }
    let moving = match (listed, main) {
        (Some(listed), _) => listed_ids(&person, listed)?,
        (None, None) => person.distinct_ids.iter().skip(1).cloned().collect(),
        // PostHog does not check that the person has this id; with another one the person loses all of its ids.
        (None, Some(Value::String(main))) => {
            let others = person.distinct_ids.iter().filter(|id| ***id != **main);
            others.cloned().collect()
        }
        (None, Some(other)) => {
            return Err(context.reject(format!("main_distinct_id is not text: {other}")));
        }
    };
    log_split(context, &person, listed.map(|_| moving.as_slice()));
    if !context.behaviors.split_task_lost {
        let effect = Effect::Split {
            person: person.id,
            distinct_ids: moving,
            creator_is_noop: context.options.creator_split_is_noop
                || context.era() < Era::September2026,
            wipes_properties: !knows_partial && main.is_none(),
        };
        context
            .project
            .schedule(context.now + Duration::seconds(SPLIT_SECONDS), effect);
    }
    Ok(Response::json(201, json!({"success": true})))
}

fn log_split(context: &mut Context<'_>, person: &Person, listed: Option<&[Arc<str>]>) {
    let listed = listed.map_or(
        json!({}),
        |listed| json!({"distinct_ids_to_split": texts(listed)}),
    );
    let before = json!({"distinct_ids": texts(&person.distinct_ids)});
    let after = merged(before, listed);
    let change = json!([{
        "type": "Person",
        "action": "split",
        "field": null,
        "before": null,
        "after": after,
    }]);
    context
        .project
        .log(context.now, "split_person", person, Some(change));
}

/// The ids of the list without duplicates, if the person has all of them.
fn listed_ids(person: &Person, listed: &Value) -> Result<Vec<Arc<str>>, Response> {
    let invalid = |detail: String| Response::invalid(detail, Some("distinct_ids_to_split"));
    let texts = listed
        .as_array()
        .and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(texts) = texts else {
        return Err(invalid("must be a list of strings".to_owned()));
    };
    if texts.is_empty() {
        return Err(invalid("must not be empty".to_owned()));
    }
    let (mut moving, mut unknown): (Vec<Arc<str>>, Vec<&str>) = (Vec::new(), Vec::new());
    for text in texts {
        match person.distinct_ids.iter().find(|id| ***id == *text) {
            Some(id) if moving.contains(id) => {}
            Some(id) => moving.push(Arc::clone(id)),
            None => unknown.push(text),
        }
    }
    if unknown.is_empty() {
        return Ok(moving);
    }
    unknown.sort_unstable();
    unknown.dedup();
    let unknown: Vec<String> = unknown.iter().map(|id| format!("'{id}'")).collect();
    Err(invalid(format!(
        "not on this person: [{}]",
        unknown.join(", ")
    )))
}

fn texts(distinct_ids: &[Arc<str>]) -> Vec<&str> {
    distinct_ids.iter().map(AsRef::as_ref).collect()
}

/// Persons API, Reset distinct id. Responds 202 even for an id that has not been used since its deletion.
pub(crate) fn reset_person_distinct_id(context: &mut Context<'_>) -> Result<Response, Response> {
    let fields = context.fields(&["distinct_id"])?;
    let distinct_id = fields.get("distinct_id").and_then(Value::as_str);
    let Some(distinct_id) = distinct_id.filter(|text| !text.is_empty()) else {
        return Err(Response::invalid("distinct_id is required", None));
    };
    let with_person = context.era() >= Era::September2026;
    context.project.reset_distinct_id(distinct_id, with_person);
    Ok(Response::empty(202))
}
