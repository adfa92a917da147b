//! The history of persons: activity log, event deletions, properties over time.

use chrono::{Duration, Months};
use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::{InsightArguments, read_entities};
use super::context::Context;
use super::discovery::{OWNER_EMAIL, OWNER_FIRST_NAME};
use super::merge::merged;
use super::paging::counted_page;
use super::persons::person_record;
use crate::http::Response;
use crate::model::dates::{self, Time, format_time};
use crate::model::{Activity, Era, Event, EventDeletion, Properties, PropertyMap};

/// Persons API, Activity.
pub(crate) fn project_activity(context: &mut Context<'_>) -> Result<Response, Response> {
    activity_page(context, None)
}

/// Persons API, Activity. A deleted person is a 404; its history is in the project's log.
pub(crate) fn person_activity(context: &mut Context<'_>) -> Result<Response, Response> {
    let person = context.person()?.id;
    activity_page(context, Some(person))
}

fn activity_page(context: &mut Context<'_>, person: Option<u64>) -> Result<Response, Response> {
    let limit = context.integer("limit", 10)?;
    let page = context.integer("page", 1)?;
    if limit == 0 || page == 0 {
        return Err(context.crash("activity with a limit or page of 0"));
    }
    let log = context.project.activity.iter().rev();
    let entries: Vec<&Activity> = log
        .filter(|entry| person.is_none_or(|person| entry.person == person))
        .collect();
    let total = entries.len();
    let start = limit.saturating_mul(page - 1);
    if start > 0 && start >= total {
        return Err(Response::server_error(500));
    }
    let shown = entries.into_iter().skip(start).take(limit);
    let results: Vec<Value> = shown
        .map(|entry| activity_entry(context.era(), entry))
        .collect();
    let url = |page: usize| {
        let url = context.request.absolute_url();
        let base = url.split('?').next().unwrap_or_default();
        format!("{base}?page={page}&limit={limit}")
    };
    let next = (start.saturating_add(limit) < total).then(|| url(page + 1));
    let previous = (page > 1).then(|| url(page - 1));
    Ok(Response::json(
        200,
        json!({"results": results, "next": next, "previous": previous, "total_count": total}),
    ))
}

fn activity_entry(era: Era, entry: &Activity) -> Value {
    let user = if entry.by_system {
        json!({"first_name": "System", "email": null, "is_system": true})
    } else {
        json!({"first_name": OWNER_FIRST_NAME, "email": OWNER_EMAIL})
    };
    let written = json!({
        "user": user,
        "activity": entry.activity,
        "scope": "Person",
        "item_id": entry.person.to_string(),
        "detail": {
            "changes": entry.changes,
            "trigger": null,
            "name": entry.name,
            "short_id": null,
            "type": null,
        },
        "created_at": format_time(entry.at),
    });
    if era < Era::September2026 {
        return written;
    }
    let id = entry.id.to_string();
    merged(written, json!({"id": id, "detail": {"merge": null}}))
}

/// Persons API, Deletion status: event deletions only, newest first.
pub(crate) fn deletion_status(context: &mut Context<'_>) -> Result<Response, Response> {
    let completed = match context
        .parameter("status")
        .filter(|status| !status.is_empty())
    {
        None | Some("all") => None,
        Some("pending") => Some(false),
        Some("completed") => Some(true),
        Some(other) => {
            return Err(Response::error(
                400,
                "validation_error",
                "invalid_choice",
                format!("\"{other}\" is not a valid choice."),
                Some("status"),
            ));
        }
    };
    let person = match context
        .parameter("person_uuid")
        .filter(|uuid| !uuid.is_empty())
    {
        None => None,
        Some(written) => match Uuid::parse_str(written) {
            Ok(uuid) => Some(uuid),
            Err(_) => {
                return Err(Response::invalid(
                    "Must be a valid UUID.",
                    Some("person_uuid"),
                ));
            }
        },
    };
    let mut rows: Vec<&EventDeletion> = context
        .project
        .deletions
        .iter()
        .filter(|row| person.is_none_or(|person| row.person == person))
        .filter(|row| completed.is_none_or(|completed| row.verified_at.is_some() == completed))
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
    let rows = rows.into_iter().map(deletion_row).collect();
    counted_page(context, rows)
}

fn deletion_row(row: &EventDeletion) -> Value {
    json!({
        "person_uuid": row.person.to_string(),
        "created_at": format_time(row.created_at),
        "status": if row.verified_at.is_some() { "completed" } else { "pending" },
        "delete_verified_at": row.verified_at.map(format_time),
    })
}

pub(crate) const TIMELINE_QUERY: &[&str] = &[
    "actions",
    "breakdown",
    "breakdown_type",
    "date_from",
    "date_to",
    "display",
    "events",
    "interval",
    "properties",
];

/// Persons API, Properties timeline.
pub(crate) fn properties_timeline(context: &mut Context<'_>) -> Result<Response, Response> {
    let person = context.person()?.uuid;
    let arguments = InsightArguments::read(context)?;
    let entities = read_entities(context, &arguments)?;
    let range = arguments.date_range(context)?;
    let filters = arguments.filters(context)?;
    let breakdown = match arguments.text("breakdown_type") {
        Some("person") => arguments.text("breakdown"),
        _ => None,
    };
    let named = filters.person_keys();
    let in_entities = entities
        .iter()
        .flat_map(|entity| entity.filters.person_keys());
    let mut crucial: Vec<String> = named
        .chain(in_entities)
        .chain(breakdown)
        .map(str::to_owned)
        .collect();
    crucial.sort_unstable();
    crucial.dedup();

    let analytics = &context.project.analytics;
    let mut events: Vec<&Event> = context
        .project
        .events
        .iter()
        .filter(|event| analytics.actor(event) == person && range.contains(event.at))
        // The property filters of the series determine crucial keys; they do not filter events.
        .filter(|event| entities.is_empty() || entities.iter().any(|one| one.matches_name(event)))
        .collect();
    events.sort_by_key(|event| event.at);
    let points = points(context, &events, &crucial);
    Ok(Response::json(
        200,
        json!({
            "points": points,
            "crucial_property_keys": crucial,
            "effective_date_from": dates::format_with_offset(range.from),
            "effective_date_to": dates::format_with_offset(range.to),
        }),
    ))
}

/// One point for each run of events with the same crucial values.
fn points(context: &Context<'_>, events: &[&Event], crucial: &[String]) -> Vec<Value> {
    let crucial_values = |event: &Event| -> Vec<Option<Value>> {
        let value = |key: &String| event.person_properties.get(key).map(|v| v.into_owned());
        crucial.iter().map(value).collect()
    };
    let runs = events.chunk_by(|a, b| crucial_values(a) == crucial_values(b));
    let point = |run: &[&Event]| {
        let first = run.first()?;
        Some(json!({
            "timestamp": format_time(first.at),
            "properties": context.visible_properties(&first.person_properties),
            "relevant_event_count": run.len(),
        }))
    };
    runs.filter_map(point).collect()
}

/// Persons API, Properties at a time. Every error of this endpoint is `{"error": text}`.
pub(crate) fn properties_at_time(context: &mut Context<'_>) -> Result<Response, Response> {
    if context.era() < Era::September2026 && !context.old_mount {
        // The action does not take the project that the router passes.
        return Err(Response::server_error(500));
    }
    let given = |name: &str| context.parameter(name).filter(|text| !text.is_empty());
    let Some(written) = given("timestamp").map(str::to_owned) else {
        return Err(error(400, "timestamp parameter is required"));
    };
    let distinct_id = given("distinct_id").map(str::to_owned);
    let person_id = given("person_id").map(str::to_owned);
    // A plus that is not percent-encoded is read as a space, which makes the time invalid.
    let Some(at) = dates::parse(&written) else {
        return Err(error(400, "Invalid timestamp format. Use ISO format."));
    };
    let include_set_once = context.parameter("include_set_once") == Some("true");
    if let Some(other) = context.parameter("include_set_once")
        && !matches!(other, "true" | "false")
    {
        let detail = format!("include_set_once must be true or false, not {other:?}");
        return Err(context.reject(detail));
    }
    let primary = &context.project.primary;
    let person = match (&distinct_id, &person_id) {
        (None, None) => Err(error(400, "Either distinct_id or person_id is required")),
        (Some(_), Some(_)) => Err(error(400, "Cannot provide both distinct_id and person_id")),
        (Some(distinct_id), None) => Ok(primary.by_distinct_id(distinct_id)),
        (None, Some(written)) => match Uuid::parse_str(written) {
            Ok(uuid) => Ok(primary.by_uuid(uuid)),
            Err(_) => Err(error(400, "person_id must be a valid UUID")),
        },
    }?;
    let Some(person) = person else {
        return Err(error(404, "Person not found"));
    };
    let queried: Vec<String> = match &distinct_id {
        Some(distinct_id) => vec![distinct_id.clone()],
        None => person
            .distinct_ids
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    let properties = rebuild(context, &queried, at, include_set_once);
    let mut response = person_record(context, person, usize::MAX);
    if let Some(fields) = response.as_object_mut() {
        let properties = context.visible_properties(&Properties::from(properties));
        fields.insert("properties".to_owned(), Value::Object(properties));
        let mode = if distinct_id.is_some() {
            "distinct_id"
        } else {
            "person_id"
        };
        let metadata = json!({
            "queried_timestamp": format_time(at),
            "include_set_once": include_set_once,
            "distinct_id_used": distinct_id,
            "person_id_used": person_id,
            "query_mode": mode,
            "distinct_ids_queried": queried,
            "distinct_ids_count": queried.len(),
        });
        fields.insert("point_in_time_metadata".to_owned(), metadata);
    }
    Ok(Response::json(200, response))
}

fn error(status: u16, error: &str) -> Response {
    Response::json(status, json!({"error": error}))
}

/// The properties as rebuilt from the events of the two years before that time.
fn rebuild(
    context: &Context<'_>,
    distinct_ids: &[String],
    at: Time,
    set_once: bool,
) -> PropertyMap {
    let earliest = at
        .checked_sub_months(Months::new(24))
        .unwrap_or(at - Duration::days(730));
    let mut events: Vec<&Event> = context
        .project
        .events
        .iter()
        .filter(|event| event.at >= earliest && event.at <= at)
        .filter(|event| distinct_ids.contains(&event.distinct_id))
        .collect();
    events.sort_by_key(|event| event.at);
    let mut properties = PropertyMap::new();
    for event in events {
        event.replay_on(&mut properties, set_once);
    }
    properties
}
