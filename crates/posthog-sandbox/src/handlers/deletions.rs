//! Deleting persons and their events (Persons API, Bulk delete; Persons API, Delete).

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use crate::http::Response;
use crate::model::{Effect, PropertyMap};
use crate::options::DeletionMode;

const QUEUED_DELETE_SECONDS: i64 = 30;
const MAX_IDS: usize = 1000;

/// A person to delete.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    id: u64,
    uuid: Uuid,
}

/// Persons API, Bulk delete.
pub(crate) fn bulk_delete(context: &mut Context<'_>) -> Result<Response, Response> {
    let fields = context.fields(&[
        "delete_events",
        "delete_recordings",
        "distinct_ids",
        "ids",
        "keep_person",
    ])?;
    let ids = list(context, &fields, "ids")?;
    let distinct_ids = list(context, &fields, "distinct_ids")?;
    let delete_events = flag(context, &fields, "delete_events")?;
    let delete_recordings = flag(context, &fields, "delete_recordings")?;
    let keep_person = flag(context, &fields, "keep_person")?;
    if !ids.is_empty() && !distinct_ids.is_empty() {
        return Err(Response::invalid(
            "You cannot provide both ids and distinct_ids",
            None,
        ));
    }
    if ids.is_empty() && distinct_ids.is_empty() {
        return Err(Response::invalid(
            "You need to specify either ids or distinct_ids",
            None,
        ));
    }
    if ids.len() > MAX_IDS || distinct_ids.len() > MAX_IDS {
        let detail = format!("You can only pass {MAX_IDS} ids or distinct_ids in one call");
        return Err(Response::invalid(detail, None));
    }
    let found = resolve(context, &ids, &distinct_ids)?;
    let (done, errors) = with_first_failing(context, &found);
    if delete_events {
        for target in &done {
            context
                .project
                .queue_event_deletion(context.now, target.uuid);
        }
    }
    let removed = if keep_person { 0 } else { done.len() };
    if !keep_person {
        remove(context, &done);
    }
    let any = !found.is_empty();
    let summary = match context.options.deletion_mode {
        DeletionMode::Immediate => json!({
            "persons_found": found.len(),
            "persons_deleted": removed,
            "events_queued_for_deletion": delete_events && any,
            "recordings_queued_for_deletion": delete_recordings && any,
            "deletion_errors": errors,
        }),
        // `persons_deleted` is 0 on success: nothing is deleted yet.
        DeletionMode::Queued => json!({
            "persons_found": found.len(),
            "persons_deleted": 0,
            "persons_queued_for_deletion": removed,
            "events_queued_for_deletion": delete_events && any,
            "recordings_queued_for_deletion": delete_recordings && any,
            "deletion_errors": errors,
        }),
    };
    Ok(Response::json(202, summary))
}

fn list(
    context: &mut Context<'_>,
    fields: &PropertyMap,
    name: &str,
) -> Result<Vec<String>, Response> {
    let items = match fields.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(context.reject(format!("{name} is not a list: {other}"))),
    };
    let texts = items.iter().map(|item| match item {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("{name} contains a value that is not text: {other}")),
    });
    let texts: Result<Vec<String>, String> = texts.collect();
    texts.map_err(|detail| context.reject(detail))
}

/// PostHog applies Python's truthiness, in which the text "false" is true. Anything but a boolean is rejected here.
fn flag(context: &mut Context<'_>, fields: &PropertyMap, name: &str) -> Result<bool, Response> {
    match fields.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(context.reject(format!("{name} is not a boolean: {other}"))),
    }
}

/// The persons of the ids, without duplicates. Unknown ids are ignored.
fn resolve(
    context: &mut Context<'_>,
    ids: &[String],
    distinct_ids: &[String],
) -> Result<Vec<Target>, Response> {
    let mut uuids = Vec::new();
    for id in ids {
        match Uuid::parse_str(id) {
            Ok(uuid) => uuids.push(uuid),
            Err(_) => {
                context.record_violation(&format!(
                    "bulk_delete with an id that is not a UUID: {id:?}"
                ));
                return Err(Response::invalid("ids must be valid UUIDs", None));
            }
        }
    }
    let primary = &context.project.primary;
    let by_uuid = uuids.iter().filter_map(|uuid| primary.by_uuid(*uuid));
    let by_distinct_id = distinct_ids
        .iter()
        .filter_map(|id| primary.by_distinct_id(id));
    let mut found: Vec<Target> = Vec::new();
    for person in by_uuid.chain(by_distinct_id) {
        let target = Target {
            id: person.id,
            uuid: person.uuid,
        };
        if !found.contains(&target) {
            found.push(target);
        }
    }
    Ok(found)
}

/// The persons that are deleted, and the error about the one that is not.
fn with_first_failing(context: &Context<'_>, found: &[Target]) -> (Vec<Target>, Vec<Value>) {
    let (Some(step), Some((first, rest))) =
        (&context.behaviors.deletion_fails_at, found.split_first())
    else {
        return (found.to_vec(), Vec::new());
    };
    let uuid = first.uuid.to_string();
    let error = match context.options.deletion_mode {
        DeletionMode::Immediate => json!({"person_uuid": uuid}),
        DeletionMode::Queued => json!({"person_uuid": uuid, "step": step}),
    };
    (rest.to_vec(), vec![error])
}

/// Deletes immediately or queues; a later failure is not reported to the caller.
fn remove(context: &mut Context<'_>, targets: &[Target]) {
    for target in targets {
        match context.options.deletion_mode {
            DeletionMode::Immediate => context.project.delete(context.now, target.id),
            DeletionMode::Queued if context.behaviors.queued_delete_fails => {}
            DeletionMode::Queued => {
                let due = context.now + Duration::seconds(QUEUED_DELETE_SECONDS);
                context
                    .project
                    .schedule(due, Effect::Delete { person: target.id });
            }
        }
    }
}

/// Persons API, Delete: always immediate. Flags count by presence: `?delete_events=false` deletes events and
/// `?keep_person=false` keeps the person.
pub(crate) fn delete(context: &mut Context<'_>) -> Result<Response, Response> {
    let person = context.person()?;
    let (id, uuid) = (person.id, person.uuid);
    let keep_person = context.parameter("keep_person").is_some();
    if !keep_person && context.behaviors.deletion_fails_at.is_some() {
        return Err(match context.options.deletion_mode {
            DeletionMode::Immediate => Response::server_error(500),
            DeletionMode::Queued => Response::error(
                503,
                "server_error",
                "person_deletion_failed",
                "The person could not be deleted. Please try again.",
                None,
            ),
        });
    }
    if context.parameter("delete_events").is_some() {
        context.project.queue_event_deletion(context.now, uuid);
    }
    if !keep_person {
        context.project.delete(context.now, id);
    }
    Ok(Response::empty(202))
}

pub(crate) fn delete_events(context: &mut Context<'_>) -> Result<Response, Response> {
    context.fields(&[])?;
    let uuid = context.person()?.uuid;
    context.project.queue_event_deletion(context.now, uuid);
    Ok(Response::empty(202))
}

/// No endpoint shows the effect.
pub(crate) fn delete_recordings(context: &mut Context<'_>) -> Result<Response, Response> {
    context.fields(&[])?;
    context.person()?;
    Ok(Response::empty(202))
}
