//! Deleting persons, one or many, and their events (contract sections 3.7 to 3.9).

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::DeletionMode;
use super::answer::Answer;
use super::call::Call;
use super::properties::PropertyMap;
use super::world::Effect;

const QUEUED_DELETE_SECONDS: i64 = 30;
const MOST_AT_ONCE: usize = 1000;

/// A person that a deletion is about.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Target {
    id: u64,
    uuid: Uuid,
}

/// Contract 3.7.
pub(super) fn bulk_delete(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let fields = call.fields(&[
        "delete_events",
        "delete_recordings",
        "distinct_ids",
        "ids",
        "keep_person",
    ])?;
    let ids = list(call, &fields, "ids")?;
    let distinct_ids = list(call, &fields, "distinct_ids")?;
    let delete_events = flag(call, &fields, "delete_events")?;
    let delete_recordings = flag(call, &fields, "delete_recordings")?;
    let keep_person = flag(call, &fields, "keep_person")?;
    if !ids.is_empty() && !distinct_ids.is_empty() {
        return Err(Answer::invalid(
            "You cannot provide both ids and distinct_ids",
            None,
        ));
    }
    if ids.is_empty() && distinct_ids.is_empty() {
        return Err(Answer::invalid(
            "You need to specify either ids or distinct_ids",
            None,
        ));
    }
    if ids.len() > MOST_AT_ONCE || distinct_ids.len() > MOST_AT_ONCE {
        let detail = format!("You can only pass {MOST_AT_ONCE} ids or distinct_ids in one call");
        return Err(Answer::invalid(detail, None));
    }
    let found = resolve(call, &ids, &distinct_ids)?;
    let (done, errors) = with_first_failing(call, &found);
    if delete_events {
        for target in &done {
            call.world.queue_event_deletion(call.now, target.uuid);
        }
    }
    let removed = if keep_person { 0 } else { done.len() };
    if !keep_person {
        remove(call, &done);
    }
    let any = !found.is_empty();
    let summary = match call.options.deletion_mode {
        DeletionMode::Immediate => json!({
            "persons_found": found.len(),
            "persons_deleted": removed,
            "events_queued_for_deletion": delete_events && any,
            "recordings_queued_for_deletion": delete_recordings && any,
            "deletion_errors": errors,
        }),
        // Nothing is deleted yet, and that is success.
        DeletionMode::Queued => json!({
            "persons_found": found.len(),
            "persons_deleted": 0,
            "persons_queued_for_deletion": removed,
            "events_queued_for_deletion": delete_events && any,
            "recordings_queued_for_deletion": delete_recordings && any,
            "deletion_errors": errors,
        }),
    };
    Ok(Answer::json(202, summary))
}

fn list(call: &mut Call<'_>, fields: &PropertyMap, name: &str) -> Result<Vec<String>, Answer> {
    let items = match fields.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(call.strict(format!("{name} is no list: {other}"))),
    };
    let texts = items.iter().map(|item| match item {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("{name} holds something that is no text: {other}")),
    });
    let texts: Result<Vec<String>, String> = texts.collect();
    texts.map_err(|detail| call.strict(detail))
}

/// The real server takes anything for true that Python does, the text "false" included. A client
/// that sends such a thing means something else, so that it is refused here.
fn flag(call: &mut Call<'_>, fields: &PropertyMap, name: &str) -> Result<bool, Answer> {
    match fields.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(call.strict(format!("{name} is no boolean: {other}"))),
    }
}

/// The persons behind the ids, each once. What matches nothing is dropped without a word.
fn resolve(
    call: &mut Call<'_>,
    ids: &[String],
    distinct_ids: &[String],
) -> Result<Vec<Target>, Answer> {
    let mut uuids = Vec::new();
    for id in ids {
        match Uuid::parse_str(id) {
            Ok(uuid) => uuids.push(uuid),
            Err(_) => {
                call.complain(&format!("bulk_delete with an id that is no UUID: {id:?}"));
                return Err(Answer::invalid("ids must be valid UUIDs", None));
            }
        }
    }
    let primary = &call.world.primary;
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

/// Those that go through, and what is said about the one that does not.
fn with_first_failing(call: &Call<'_>, found: &[Target]) -> (Vec<Target>, Vec<Value>) {
    let (Some(step), Some((first, rest))) =
        (&call.behaviors.deletion_fails_at, found.split_first())
    else {
        return (found.to_vec(), Vec::new());
    };
    let uuid = first.uuid.to_string();
    let error = match call.options.deletion_mode {
        DeletionMode::Immediate => json!({"person_uuid": uuid}),
        DeletionMode::Queued => json!({"person_uuid": uuid, "step": step}),
    };
    (rest.to_vec(), vec![error])
}

/// Immediate or queued, where a later failure is invisible to the caller.
fn remove(call: &mut Call<'_>, targets: &[Target]) {
    for target in targets {
        match call.options.deletion_mode {
            DeletionMode::Immediate => call.world.delete(call.now, target.id),
            DeletionMode::Queued if call.behaviors.queued_delete_fails => {}
            DeletionMode::Queued => {
                let due = call.now + Duration::seconds(QUEUED_DELETE_SECONDS);
                call.world
                    .schedule(due, Effect::Delete { person: target.id });
            }
        }
    }
}

/// Contract 3.8: always immediate. The flags count by their presence, so that
/// `?delete_events=false` deletes events and `?keep_person=false` keeps the person.
pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let person = call.person()?;
    let (id, uuid) = (person.id, person.uuid);
    let keep_person = call.parameter("keep_person").is_some();
    if !keep_person && call.behaviors.deletion_fails_at.is_some() {
        return Err(match call.options.deletion_mode {
            DeletionMode::Immediate => Answer::server_error(500),
            DeletionMode::Queued => Answer::error(
                503,
                "server_error",
                "person_deletion_failed",
                "The person could not be deleted. Please try again.",
                None,
            ),
        });
    }
    if call.parameter("delete_events").is_some() {
        call.world.queue_event_deletion(call.now, uuid);
    }
    if !keep_person {
        call.world.delete(call.now, id);
    }
    Ok(Answer::empty(202))
}

/// Contract 3.9.
pub(super) fn delete_events(call: &mut Call<'_>) -> Result<Answer, Answer> {
    call.fields(&[])?;
    let uuid = call.person()?.uuid;
    call.world.queue_event_deletion(call.now, uuid);
    Ok(Answer::empty(202))
}

/// Contract 3.9. No endpoint of this API shows the effect.
pub(super) fn delete_recordings(call: &mut Call<'_>) -> Result<Answer, Answer> {
    call.fields(&[])?;
    call.person()?;
    Ok(Answer::empty(202))
}
