//! The persons of an insight: trends and lifecycle, and the pages that they share with the funnel
//! (Persons API, Trends and lifecycle).

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::{InsightArguments, event_of_action, read_entities};
use super::context::Context;
use super::paging::with_offset;
use super::persons::list_item;
use super::search::Search;
use crate::fixtures::is_test_account;
use crate::http::Response;
use crate::model::dates::format_time;
use crate::model::filters::property_text;
use crate::model::insights::{events_by_person, lifecycle_status};
use crate::model::{Entity, Era, Event, EventFilters, Properties};

pub(crate) const TRENDS_ARGUMENTS: &[&str] = &[
    "actions",
    "breakdown",
    "breakdown_type",
    "breakdown_value",
    "date_from",
    "date_to",
    "display",
    "entity_id",
    "entity_math",
    "entity_type",
    "events",
    "filter_test_accounts",
    "insight",
    "interval",
    "limit",
    "offset",
    "properties",
    "refresh",
    "search",
];

pub(crate) const LIFECYCLE_ARGUMENTS: &[&str] = &[
    "actions",
    "date_from",
    "date_to",
    "events",
    "filter_test_accounts",
    "insight",
    "interval",
    "lifecycle_type",
    "limit",
    "offset",
    "properties",
    "refresh",
    "search",
    "target_date",
];

/// The event filters that all insights share.
pub(crate) struct InsightFilters {
    filters: EventFilters,
    without_test_accounts: bool,
}

impl InsightFilters {
    pub(crate) fn read(
        context: &mut Context<'_>,
        arguments: &InsightArguments,
    ) -> Result<Self, Response> {
        Ok(Self {
            filters: arguments.filters(context)?,
            without_test_accounts: arguments
                .flag(context, "filter_test_accounts")?
                .unwrap_or(false),
        })
    }

    pub(crate) fn accept(&self, event: &Event, person: &Properties) -> bool {
        !(self.without_test_accounts && is_test_account(person))
            && self.filters.accept(event, person)
    }
}

pub(crate) fn trends(context: &mut Context<'_>) -> Result<Response, Response> {
    let arguments = InsightArguments::read(context)?;
    let Some(id) = arguments.text("entity_id").map(str::to_owned) else {
        let detail = "An entity id and the entity type must be provided to determine an entity";
        return Err(Response::invalid(detail, None));
    };
    let event = match arguments.text("entity_type").unwrap_or("events") {
        "events" => id,
        "actions" => event_of_action(&Value::from(id))?,
        other => {
            let detail = format!("unknown entity_type {other:?}");
            return Err(context.reject(detail));
        }
    };
    // Each point of the chart counts the days before it too.
    let days_before = match arguments.text("entity_math").unwrap_or("total") {
        "total" | "dau" | "unique_session" => 0,
        "weekly_active" => 7,
        "monthly_active" => 30,
        other => {
            let detail = format!("unknown entity_math {other:?}");
            return Err(context.reject(detail));
        }
    };
    let entity = Entity::of_event(Some(&event));
    let mut range = arguments.date_range(context)?;
    range.from -= Duration::days(days_before);
    let filters = InsightFilters::read(context, &arguments)?;
    let breakdown = arguments
        .text("breakdown")
        .zip(arguments.text("breakdown_value"));
    let of_person = arguments.text("breakdown_type") == Some("person");
    let in_breakdown = |event: &Event, person: &Properties| match breakdown {
        None => true,
        Some((key, value)) => {
            let found = if of_person {
                person.get(key).map(std::borrow::Cow::into_owned)
            } else {
                event.properties.get(key).cloned()
            };
            property_text(&found.unwrap_or_default()).as_deref() == Some(value)
        }
    };
    let persons = events_by_person(context.project, |event| {
        let person = &event.person_properties;
        range.contains(event.at)
            && entity.matches(event)
            && filters.accept(event, person)
            && in_breakdown(event, person)
    });
    // The events of a person, however the chart counts them.
    let count = |events: &[&Event]| u64::try_from(events.len()).unwrap_or(u64::MAX);
    let mut found: Vec<(Uuid, Option<u64>)> = persons
        .iter()
        .map(|(person, events)| (*person, Some(count(events))))
        .collect();
    found.sort_by_key(|(person, value)| (std::cmp::Reverse(*value), *person));
    actors_page(context, &arguments, found)
}

/// Removed after 2025. The action does not take the project that the router passes.
pub(crate) fn stickiness(_: &mut Context<'_>) -> Result<Response, Response> {
    Err(Response::server_error(500))
}

/// Removed by September 2026.
pub(crate) fn funnel_correlation(_: &mut Context<'_>) -> Result<Response, Response> {
    Err(Response::invalid("No entity for persons specified", None))
}

pub(crate) fn lifecycle(context: &mut Context<'_>) -> Result<Response, Response> {
    if context.era() < Era::September2026 && !context.old_mount {
        // The action does not take the project that the router passes.
        return Err(Response::server_error(500));
    }
    let arguments = InsightArguments::read(context)?;
    let Some(target) = arguments.text("target_date") else {
        return Err(missing("Must include specified date"));
    };
    let Some(kind) = arguments.text("lifecycle_type") else {
        return Err(missing("Must include lifecycle type"));
    };
    let Some(target) = context.date(target)? else {
        return Err(missing("Must include specified date"));
    };
    let interval = arguments.interval(context)?;
    let filters = InsightFilters::read(context, &arguments)?;
    let mut entities = read_entities(context, &arguments)?;
    if entities.is_empty() {
        entities.push(Entity::of_event(Some("$pageview")));
    }
    if !matches!(kind, "new" | "returning" | "resurrecting" | "dormant") {
        // No person is in such a state.
        let detail = format!("unknown lifecycle_type {kind:?}");
        context.record_violation(&detail);
    }
    let start = interval.start(target);
    let persons = events_by_person(context.project, |event| {
        entities.iter().any(|entity| entity.matches(event))
            && filters.accept(event, &event.person_properties)
    });
    let primary = &context.project.primary;
    let is = |person: Uuid, events: &[&Event]| {
        let created = primary.by_uuid(person).map(|person| person.created_at);
        lifecycle_status(events, created, interval, start) == Some(kind)
    };
    let found: Vec<(Uuid, Option<u64>)> = persons
        .iter()
        .filter(|(person, events)| is(**person, events))
        .map(|(person, _)| (*person, None))
        .collect();
    let page = actors(context, &arguments, found)?;
    Ok(Response::json(
        200,
        json!({
            "results": [{"people": page.people, "count": page.people.len()}],
            "next": page.next,
        }),
    ))
}

fn missing(detail: &str) -> Response {
    Response::json(
        400,
        json!({"message": "Missing parameter", "detail": detail}),
    )
}

struct ActorPage {
    people: Vec<Value>,
    next: Option<String>,
    missing: usize,
}

pub(crate) fn actors_page(
    context: &mut Context<'_>,
    arguments: &InsightArguments,
    found: Vec<(Uuid, Option<u64>)>,
) -> Result<Response, Response> {
    let page = actors(context, arguments, found)?;
    Ok(Response::json(
        200,
        json!({
            // The size of this page, not a total.
            "results": [{"people": page.people, "count": page.people.len()}],
            "next": page.next,
            "initial": context.request.absolute_url(),
            "missing_persons": page.missing,
            "is_cached": false,
            "last_refresh": format_time(context.now),
        }),
    ))
}

fn actors(
    context: &mut Context<'_>,
    arguments: &InsightArguments,
    mut found: Vec<(Uuid, Option<u64>)>,
) -> Result<ActorPage, Response> {
    let limit = match arguments.integer(context, "limit")?.unwrap_or(0) {
        0 => 100,
        limit => usize::try_from(limit).unwrap_or(0),
    };
    let offset = arguments.integer(context, "offset")?.unwrap_or(0);
    let offset = usize::try_from(offset).unwrap_or(0);
    if let Some(words) = arguments.text("search") {
        let search = Search::part(context, words);
        let analytics = &context.project.analytics;
        found.retain(|(uuid, _)| {
            let row = analytics.active(*uuid);
            row.is_some_and(|row| search.finds(*uuid, &row.properties))
        });
    }
    let rows: Vec<(Uuid, Option<u64>)> = found.into_iter().skip(offset).take(limit).collect();
    let (analytics, primary) = (&context.project.analytics, &context.project.primary);
    let people: Vec<Value> = rows
        .iter()
        .filter(|(uuid, _)| analytics.active(*uuid).is_some())
        .filter_map(|(uuid, value)| Some(list_item(context, primary.by_uuid(*uuid)?, *value)))
        .collect();
    let next = (limit > 0 && rows.len() >= limit).then(|| next_link(context, offset + limit));
    Ok(ActorPage {
        missing: rows.len() - people.len(),
        people,
        next,
    })
}

/// Absolute if the URL has no offset yet, otherwise a relative path without its leading slash.
fn next_link(context: &Context<'_>, offset: usize) -> String {
    if context.request.parameter("offset").is_some() {
        let path = context.request.full_path();
        with_offset(path.trim_start_matches('/'), offset)
    } else {
        with_offset(&context.request.absolute_url(), offset)
    }
}
