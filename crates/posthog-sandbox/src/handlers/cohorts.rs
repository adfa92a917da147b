//! Cohorts, and the cohorts of a person (Persons API, Cohorts).

use serde_json::{Value, json};

use super::context::Context;
use super::discovery::current_project;
use super::paging::{counted_page, page_links};
use super::persons::list_item;
use crate::http::Response;
use crate::model::dates::format_time;
use crate::model::{Cohort, Era};

/// Persons API, Cohorts. The person is looked up in the project of the path, its cohorts in the key owner's current
/// project.
pub(crate) fn of_person(context: &mut Context<'_>) -> Result<Response, Response> {
    let is_2025 = context.era() == Era::August2025;
    if is_2025 && !context.old_mount {
        // The action does not take the project that the router passes.
        return Err(Response::server_error(500));
    }
    let Some(id) = context.parameter("person_id").map(str::to_owned) else {
        return Err(context.crash("cohorts without person_id"));
    };
    let person = match context.person_by_id(&id) {
        Ok(person) => person.uuid,
        Err(_) if is_2025 => return Err(Response::server_error(500)),
        Err(_) => return Err(Response::not_found("Not found.")),
    };
    let here = current_project(context.behaviors) == context.project.id;
    let cohorts = context.project.cohorts.iter();
    let results: Vec<Value> = cohorts
        .filter(|cohort| here && cohort.members.uuids.contains(&person))
        .map(|cohort| {
            if is_2025 {
                written(cohort)
            } else {
                json!({"id": cohort.id, "name": cohort.name, "count": cohort.count()})
            }
        })
        .collect();
    Ok(Response::json(200, json!({"results": results})))
}

/// The cohorts of the project, newest first.
pub(crate) fn list(context: &mut Context<'_>) -> Result<Response, Response> {
    let words = context.parameter("search").unwrap_or_default();
    let words = words.to_lowercase();
    let is_found = |cohort: &&Cohort| {
        let name = cohort.name.as_deref().unwrap_or_default();
        name.to_lowercase().contains(&words)
    };
    let cohorts = context.project.cohorts.iter().rev();
    let mut found: Vec<&Cohort> = cohorts.filter(is_found).collect();
    if context.era() > Era::August2025 && !words.is_empty() {
        let is_exact = |cohort: &Cohort| {
            let name = cohort.name.as_deref().unwrap_or_default();
            name.to_lowercase() == words
        };
        found.sort_by_key(|cohort| !is_exact(cohort));
    }
    let rows = found.into_iter().map(written).collect();
    counted_page(context, rows)
}

pub(crate) fn retrieve(context: &mut Context<'_>) -> Result<Response, Response> {
    Ok(Response::json(200, written(cohort(context)?)))
}

/// The members, in the form and order of the list of persons.
pub(crate) fn persons(context: &mut Context<'_>) -> Result<Response, Response> {
    let limit = match context.integer("limit", 100)? {
        0 => 100,
        limit => limit,
    };
    let offset = context.integer("offset", 0)?;
    let members = &cohort(context)?.members.uuids;
    let rows = context.project.analytics.in_order();
    let rows = rows.filter(|(uuid, _)| members.contains(uuid));
    let page: Vec<_> = rows.skip(offset).take(limit).collect();
    let primary = &context.project.primary;
    let results: Vec<Value> = page
        .iter()
        .filter_map(|(uuid, _)| primary.by_uuid(*uuid))
        .map(|person| list_item(context, person, None))
        .collect();
    let (next, previous) = page_links(context, limit, offset, page.len() >= limit);
    Ok(Response::json(
        200,
        json!({"results": results, "next": next, "previous": previous}),
    ))
}

fn cohort<'a>(context: &'a Context<'_>) -> Result<&'a Cohort, Response> {
    let id: Option<u64> = context.id.parse().ok();
    let mut cohorts = context.project.cohorts.iter();
    let found = cohorts.find(|cohort| Some(cohort.id) == id);
    found.ok_or_else(|| Response::not_found("Not found."))
}

fn written(cohort: &Cohort) -> Value {
    let filters = cohort.definition.as_ref().map(|(written, _)| written);
    let groups: Vec<Value> = filters
        .map(|filters| {
            json!({
                "days": null,
                "count": null,
                "label": null,
                "end_date": null,
                "event_id": null,
                "action_id": null,
                "properties": filters,
                "start_date": null,
                "count_operator": null,
            })
        })
        .into_iter()
        .collect();
    let properties = filters.map_or(
        json!({}),
        |filters| json!({"type": "OR", "values": [{"type": "AND", "values": filters}]}),
    );
    json!({
        "id": cohort.id,
        "name": cohort.name,
        "description": "",
        "groups": groups,
        "deleted": false,
        "filters": {"properties": properties},
        "query": null,
        "is_calculating": false,
        "created_by": null,
        "created_at": format_time(cohort.created_at),
        "last_calculation": format_time(cohort.created_at),
        "errors_calculating": 0,
        "count": cohort.count(),
        "is_static": cohort.members.is_static,
        "experiment_set": [],
    })
}
