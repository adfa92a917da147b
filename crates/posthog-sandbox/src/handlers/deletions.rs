//! Deleting persons and their events (Persons API, Bulk delete; Persons API, Delete).

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use super::merge::merged;
use crate::http::Response;
use crate::model::{Effect, Era, Person, PropertyMap};

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
    let mut ids = list(context, &fields, "ids")?;
    let distinct_ids = list(context, &fields, "distinct_ids")?;
    let delete_events = flag(context, &fields, "delete_events")?;
    let delete_recordings = flag(context, &fields, "delete_recordings")?;
    let keep_person = flag(context, &fields, "keep_person")?;
    if ids.given > 0 && distinct_ids.given > 0 {
        if context.era() > Era::August2025 {
            let detail = "You must provide either distinct_ids or ids, not both";
            return Err(Response::invalid(detail, None));
        }
        ids = Ids::default();
    }
    if ids.given == 0 && distinct_ids.given == 0 {
        let detail = "You need to specify either distinct_ids or ids";
        return Err(Response::invalid(detail, None));
    }
    for (name, list) in [("ids", &ids), ("distinct_ids", &distinct_ids)] {
        if list.given > MAX_IDS {
            let detail = format!("You can only pass {MAX_IDS} {name} in one call");
            return Err(Response::invalid(detail, None));
        }
    }
    let found = resolve(context, &ids.texts, &distinct_ids.texts)?;
    if context.era() == Era::August2025 {
        return delete_without_summary(context, &found, delete_events);
    }
    let found = unique(&found);
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
    let is_queued = context.era() >= Era::September2026;
    let summary = json!({
        "persons_found": found.len(),
        // 0 on success where deletions are queued: nothing is deleted yet.
        "persons_deleted": if is_queued { 0 } else { removed },
        "events_queued_for_deletion": delete_events && any,
        "recordings_queued_for_deletion": delete_recordings && any,
        "deletion_errors": errors,
    });
    let queued = if is_queued {
        json!({"persons_queued_for_deletion": removed})
    } else {
        json!({})
    };
    Ok(Response::json(202, merged(summary, queued)))
}

/// The version of 2025 deletes the persons whatever `keep_person` says, and responds without a body. It looks every
/// distinct id up at first, and then fails on the second one of a person that it has just deleted.
fn delete_without_summary(
    context: &mut Context<'_>,
    found: &[Target],
    delete_events: bool,
) -> Result<Response, Response> {
    if context.behaviors.deletion_fails_at.is_some() {
        return Err(Response::server_error(500));
    }
    for target in found {
        if context.project.primary.get(target.id).is_none() {
            return Err(context.crash("bulk_delete with two distinct ids of one person"));
        }
        context.project.delete(context.now, target.id);
        if delete_events {
            context
                .project
                .queue_event_deletion(context.now, target.uuid);
        }
    }
    Ok(Response::empty(202))
}

/// A list of the body: how many items were given, and those of them that can be ids.
#[derive(Default)]
struct Ids {
    given: usize,
    texts: Vec<String>,
}

/// PostHog iterates whatever it gets, so that a text counts as a list of its letters.
fn list(context: &mut Context<'_>, fields: &PropertyMap, name: &str) -> Result<Ids, Response> {
    let items = match fields.get(name) {
        None | Some(Value::Null) => return Ok(Ids::default()),
        Some(Value::Array(items)) => items.clone(),
        Some(Value::String(text)) => text
            .chars()
            .map(|letter| letter.to_string().into())
            .collect(),
        Some(other) => return Err(context.crash(format!("{name} is not a list: {other}"))),
    };
    if let Some(other) = items.iter().find(|item| !item.is_string()) {
        let detail = format!("{name} contains a value that is not text: {other}");
        context.record_violation(&detail);
    }
    if fields.get(name).is_some_and(Value::is_string) {
        context.record_violation(&format!("{name} is a text"));
    }
    Ok(Ids {
        given: items.len(),
        texts: items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    })
}

/// PostHog applies Python's truthiness, in which the text "false" is true. Anything but a boolean is rejected here.
fn flag(context: &mut Context<'_>, fields: &PropertyMap, name: &str) -> Result<bool, Response> {
    match fields.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(context.reject(format!("{name} is not a boolean: {other}"))),
    }
}

/// The person of each id. Unknown ids are ignored.
fn resolve(
    context: &mut Context<'_>,
    ids: &[String],
    distinct_ids: &[String],
) -> Result<Vec<Target>, Response> {
    let uuids: Result<Vec<Uuid>, _> = ids.iter().map(|id| Uuid::parse_str(id)).collect();
    let Ok(uuids) = uuids else {
        return Err(context.crash("bulk_delete with an id that is not a UUID"));
    };
    let primary = &context.project.primary;
    let by_uuid = uuids.iter().filter_map(|uuid| primary.by_uuid(*uuid));
    let by_distinct_id = distinct_ids
        .iter()
        .filter_map(|id| primary.by_distinct_id(id));
    let target = |person: &Person| Target {
        id: person.id,
        uuid: person.uuid,
    };
    Ok(by_uuid.chain(by_distinct_id).map(target).collect())
}

fn unique(targets: &[Target]) -> Vec<Target> {
    let mut found = Vec::new();
    for target in targets {
        if !found.contains(target) {
            found.push(*target);
        }
    }
    found
}

/// The persons that are deleted, and the error about the one that is not.
fn with_first_failing(context: &Context<'_>, found: &[Target]) -> (Vec<Target>, Vec<Value>) {
    let (Some(step), Some((first, rest))) =
        (&context.behaviors.deletion_fails_at, found.split_first())
    else {
        return (found.to_vec(), Vec::new());
    };
    let uuid = first.uuid.to_string();
    let error = if context.era() >= Era::September2026 {
        json!({"person_uuid": uuid, "step": step})
    } else {
        json!({"person_uuid": uuid})
    };
    (rest.to_vec(), vec![error])
}

/// Deletes immediately or queues; a later failure is not reported to the caller.
fn remove(context: &mut Context<'_>, targets: &[Target]) {
    for target in targets {
        if context.era() < Era::September2026 {
            context.project.delete(context.now, target.id);
        } else if !context.behaviors.queued_delete_fails {
            let due = context.now + Duration::seconds(QUEUED_DELETE_SECONDS);
            context
                .project
                .schedule(due, Effect::Delete { person: target.id });
        }
    }
}

/// Persons API, Delete: always immediate. Flags count by presence: `?delete_events=false` deletes events and
/// `?keep_person=false` keeps the person.
pub(crate) fn delete(context: &mut Context<'_>) -> Result<Response, Response> {
    let person = context.person()?;
    let (id, uuid) = (person.id, person.uuid);
    let knows_keep_person = context.era() > Era::August2025;
    let keep_person = knows_keep_person && context.parameter("keep_person").is_some();
    if !keep_person && context.behaviors.deletion_fails_at.is_some() {
        return Err(if context.era() >= Era::September2026 {
            Response::error(
                503,
                "server_error",
                "person_deletion_failed",
                "The person could not be deleted. Please try again.",
                None,
            )
        } else {
            Response::server_error(500)
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
