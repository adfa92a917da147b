//! Changing persons (contract sections 3.3 to 3.6, 3.14). What is accepted here happens later, on
//! the virtual clock. Deletions are in a file of their own.

use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};

use super::DeletionMode;
use super::answer::Answer;
use super::call::Call;
use super::properties::PropertyMap;
use super::stores::Person;
use super::world::{Capture, Effect, property_change};

/// Ingestion takes about this long.
const PROPERTY_SECONDS: i64 = 2;
const SPLIT_SECONDS: i64 = 5;

/// Everything that the API itself says about a person: a client may send a whole one back.
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

/// Contract 3.3: PATCH and PUT alike. 202 means nothing but that it was heard.
pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let fields = call.any_fields()?;
    let set = match fields.get("properties") {
        None | Some(Value::Null) => {
            return Err(Answer::swapped("properties", "This field is required."));
        }
        Some(Value::Object(set)) => set.clone(),
        Some(other) => return Err(call.strict(format!("properties are no object: {other}"))),
    };
    call.fields(PERSON_FIELDS)?;
    set_properties(call, set)
}

/// Contract 3.4.
pub(super) fn update_property(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let fields = call.fields(&["key", "value"])?;
    let Some(value) = fields.get("value") else {
        return Err(Answer::swapped("value", "This field is required."));
    };
    let key = match fields.get("key") {
        None | Some(Value::Null) => {
            return Err(Answer::swapped("key", "This field is required."));
        }
        Some(Value::String(key)) => key.clone(),
        Some(other) => return Err(call.strict(format!("key is no text: {other}"))),
    };
    set_properties(call, PropertyMap::from_iter([(key, value.clone())]))
}

/// Merges: keys that are not named stay. Failures of ingestion are swallowed.
fn set_properties(call: &mut Call<'_>, set: PropertyMap) -> Result<Answer, Answer> {
    let person = call.person()?.clone();
    refuse_restricted(call, set.keys())?;
    let distinct_id = first_distinct_id(&person)?;
    let capture = Capture {
        distinct_id,
        event: "$set".to_owned(),
        set,
        ..Capture::default()
    };
    ingest(call, capture);
    let changes = Some(property_change());
    call.world.log(call.now, "updated", &person, changes);
    Ok(Answer::empty(202))
}

fn refuse_restricted<'a>(
    call: &Call<'_>,
    mut keys: impl Iterator<Item = &'a String>,
) -> Result<(), Answer> {
    match keys.find(|key| call.behaviors.restricted_properties.contains(key)) {
        Some(key) => Err(Answer::invalid(
            format!("You don't have write access to these properties: {key}"),
            None,
        )),
        None => Ok(()),
    }
}

/// A person that lost all its ids cannot be written to any more: the real server fails here.
fn first_distinct_id(person: &Person) -> Result<String, Answer> {
    let first = person.distinct_ids.first();
    first
        .map(ToString::to_string)
        .ok_or_else(|| Answer::server_error(500))
}

/// Sends an event on its way, unless ingestion is down.
fn ingest(call: &mut Call<'_>, capture: Capture) {
    if !call.behaviors.capture_down {
        let due = call.now + Duration::seconds(PROPERTY_SECONDS);
        call.world.schedule(due, Effect::Capture(capture));
    }
}

/// Contract 3.5. Not the shared lookup: what it does not find, it does not survive.
pub(super) fn delete_property(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let fields = call.fields(&["$unset"])?;
    let key = match fields.get("$unset") {
        Some(Value::String(key)) => key.clone(),
        None => return Err(call.crash("delete_property without $unset")),
        Some(other) => return Err(call.strict(format!("$unset is not one key: {other}"))),
    };
    let person = match call.person() {
        Ok(person) => person.clone(),
        Err(refusal) if refusal.status == 404 => return Err(Answer::server_error(500)),
        Err(_) => return Err(call.crash("delete_property for something that is no person id")),
    };
    refuse_restricted(call, [&key].into_iter())?;
    let distinct_id = first_distinct_id(&person)?;
    if call.behaviors.capture_down {
        let detail = "Unable to delete property";
        return Err(Answer::json(
            502,
            json!({"success": false, "detail": detail}),
        ));
    }
    let capture = Capture {
        distinct_id,
        event: "$delete_person_property".to_owned(),
        unset: vec![key],
        ..Capture::default()
    };
    ingest(call, capture);
    let changes = Some(property_change());
    call.world
        .log(call.now, "delete_property", &person, changes);
    Ok(Answer::json(201, json!({"success": true})))
}

/// Contract 3.6. The log has its entry at once, also when the task is lost.
pub(super) fn split(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let fields = call.fields(&["distinct_ids_to_split", "main_distinct_id"])?;
    let person = call.person()?.clone();
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let (listed, main) = (given("distinct_ids_to_split"), given("main_distinct_id"));
    if listed.is_some() && main.is_some() {
        let detail = "Provide either distinct_ids_to_split or main_distinct_id, not both.";
        return Err(Answer::invalid(detail, None));
    }
    let moving = match (listed, main) {
        (Some(listed), _) => listed_ids(&person, listed)?,
        (None, None) => person.distinct_ids.iter().skip(1).cloned().collect(),
        // Nobody checks that the person has this id: one that it has not strips it of all.
        (None, Some(Value::String(main))) => {
            let others = person.distinct_ids.iter().filter(|id| ***id != **main);
            others.cloned().collect()
        }
        (None, Some(other)) => {
            return Err(call.strict(format!("main_distinct_id is no text: {other}")));
        }
    };
    let mut after = json!({"distinct_ids": texts(&person.distinct_ids)});
    if listed.is_some()
        && let Some(after) = after.as_object_mut()
    {
        after.insert("distinct_ids_to_split".to_owned(), json!(texts(&moving)));
    }
    let change = json!([{
        "type": "Person",
        "action": "split",
        "field": null,
        "before": null,
        "after": after,
    }]);
    call.world
        .log(call.now, "split_person", &person, Some(change));
    if !call.behaviors.split_task_lost {
        let effect = Effect::Split {
            person: person.id,
            distinct_ids: moving,
            creator_is_noop: call.options.creator_split_is_noop
                || call.options.deletion_mode == DeletionMode::Immediate,
        };
        call.world
            .schedule(call.now + Duration::seconds(SPLIT_SECONDS), effect);
    }
    Ok(Answer::json(201, json!({"success": true})))
}

/// The ids of the list, each once, if they are all this person's.
fn listed_ids(person: &Person, listed: &Value) -> Result<Vec<Arc<str>>, Answer> {
    let refuse = |detail: String| Answer::invalid(detail, Some("distinct_ids_to_split"));
    let texts = listed
        .as_array()
        .and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(texts) = texts else {
        return Err(refuse("Must be a list of strings.".to_owned()));
    };
    if texts.is_empty() {
        return Err(refuse("Must not be empty.".to_owned()));
    }
    let (mut moving, mut strange): (Vec<Arc<str>>, Vec<&str>) = (Vec::new(), Vec::new());
    for text in texts {
        match person.distinct_ids.iter().find(|id| ***id == *text) {
            Some(id) if moving.contains(id) => {}
            Some(id) => moving.push(Arc::clone(id)),
            None => strange.push(text),
        }
    }
    if strange.is_empty() {
        return Ok(moving);
    }
    strange.sort_unstable();
    strange.dedup();
    Err(refuse(format!(
        "These distinct_ids do not belong to this person: {strange:?}"
    )))
}

fn texts(distinct_ids: &[Arc<str>]) -> Vec<&str> {
    distinct_ids.iter().map(AsRef::as_ref).collect()
}

/// Contract 3.14 and section 8. An id that nobody has used since its deletion is a 202 as well.
pub(super) fn reset_person_distinct_id(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let fields = call.fields(&["distinct_id"])?;
    let distinct_id = fields.get("distinct_id").and_then(Value::as_str);
    let Some(distinct_id) = distinct_id.filter(|text| !text.is_empty()) else {
        return Err(Answer::invalid(
            "distinct_id must be a non-empty string.",
            None,
        ));
    };
    call.world.reset_distinct_id(distinct_id);
    Ok(Answer::empty(202))
}
