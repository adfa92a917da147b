//! The session recordings of a project, or of one person.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use super::persons::person_record;
use crate::http::{JSON, Response};
use crate::model::dates::{self, Time, format_time};
use crate::model::{Era, Person, Recording};

pub(crate) const LIST_QUERY: &[&str] = &["person_uuid", "date_from", "date_to", "limit", "offset"];

/// How far back the list goes where no start is given.
const DEFAULT_DAYS: i64 = 3;
const DEFAULT_LIMIT: usize = 50;
/// Distinct ids of the person in a row.
const DISTINCT_IDS: usize = 10;

/// Newest first. The total is not counted.
pub(crate) fn list(context: &mut Context<'_>) -> Result<Response, Response> {
    let from = match context.parameter("date_from").map(str::to_owned) {
        Some(written) => time(context, &written)?,
        None => context.now - Duration::days(DEFAULT_DAYS),
    };
    let to = match context.parameter("date_to").map(str::to_owned) {
        Some(written) => {
            let to = time(context, &written)?;
            if dates::is_bare_date(&written) {
                dates::end_of_day(to)
            } else {
                to
            }
        }
        None => context.now,
    };
    let person = match context.parameter("person_uuid").map(str::to_owned) {
        Some(written) => match Uuid::parse_str(&written) {
            Ok(uuid) => Some(uuid),
            Err(_) => {
                context.record_violation("person_uuid is not a UUID");
                let body = json!({"error": "An internal error has occurred."});
                return Err(Response::text(500, JSON, body.to_string()));
            }
        },
        None => None,
    };
    let limit = match context.integer("limit", DEFAULT_LIMIT)? {
        0 => DEFAULT_LIMIT,
        limit => limit,
    };
    let offset = context.integer("offset", 0)?;
    let primary = &context.project.primary;
    let ids: Option<HashSet<Arc<str>>> = person.map(|uuid| {
        let ids = primary
            .by_uuid(uuid)
            .map(|person| person.distinct_ids.clone());
        ids.unwrap_or_default().into_iter().collect()
    });
    let is_found = |recording: &&Recording| {
        let ids = ids.as_ref();
        from <= recording.start
            && recording.start <= to
            && ids.is_none_or(|ids| ids.contains(recording.distinct_id.as_str()))
    };
    let found = context.project.recordings.iter().rev().filter(is_found);
    let mut rows: Vec<&Recording> = found.skip(offset).take(limit + 1).collect();
    let has_next = rows.len() > limit;
    rows.truncate(limit);
    let results: Vec<Value> = rows
        .into_iter()
        .map(|recording| {
            let person = primary.by_distinct_id(&recording.distinct_id);
            written(context, recording, person)
        })
        .collect();
    let mut body = json!({"results": results, "has_next": has_next, "version": 4});
    if context.era() > Era::August2025
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("next_cursor".to_owned(), Value::Null);
    }
    Ok(Response::json(200, body))
}

fn time(context: &mut Context<'_>, written: &str) -> Result<Time, Response> {
    let time = context.date(written)?;
    time.ok_or_else(|| context.crash(format!("{written:?} is not a date")))
}

fn written(context: &Context<'_>, recording: &Recording, person: Option<&Person>) -> Value {
    let end = recording.start + Duration::seconds(i64::from(recording.seconds));
    let active = recording.seconds / 2;
    json!({
        "id": recording.id,
        "distinct_id": recording.distinct_id,
        "viewed": false,
        "viewers": [],
        "recording_duration": recording.seconds,
        "active_seconds": active,
        "inactive_seconds": recording.seconds - active,
        "start_time": format_time(recording.start),
        "end_time": format_time(end),
        "click_count": 3,
        "keypress_count": 12,
        "mouse_activity_count": 40,
        "console_log_count": 0,
        "console_warn_count": 0,
        "console_error_count": 0,
        "start_url": recording.start_url,
        "person": person.map(|person| person_record(context, person, DISTINCT_IDS)),
        "storage": "object_storage_v2",
        "snapshot_source": "web",
        "ongoing": false,
        "activity_score": 0.5,
    })
}
