//! Which address is served by whom, and what it asks for. Each line names the section of the
//! contract that it imitates.

use super::answer::Answer;
use super::call::Call;
use super::keys::Access;
use super::{batch, deletions, discovery, funnel, history, insights, persons, values, writes};

type Handler = fn(&mut Call<'_>) -> Result<Answer, Answer>;

pub(super) struct Route {
    pub(super) method: &'static str,
    /// Below `/api/`. A segment in braces takes any text.
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// The query parameters that it knows, besides `format`.
    pub(super) query: &'static [&'static str],
    pub(super) handler: Handler,
}

const fn get(
    path: &'static str,
    access: Access,
    query: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route {
        method: "GET",
        path,
        access,
        query,
        handler,
    }
}

const fn write(method: &'static str, path: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        access: WRITE,
        query: &[],
        handler,
    }
}

const READ: Access = Access::Scopes(&["person:read"]);
const WRITE: Access = Access::Scopes(&["person:write"]);
const ACTIVITY: Access = Access::Scopes(&["activity_log:read"]);
const COHORTS: Access = Access::Scopes(&["person:read", "cohort:read"]);
const PROJECT: Access = Access::Scopes(&["project:read"]);

/// The answer of the list, with or without the CSV suffix.
pub(super) const LIST: &str = "projects/{project}/persons";

/// Fixed names stand before `{id}`, as they do in the real router.
pub(super) const ROUTES: &[Route] = &[
    // 3.1
    get(LIST, READ, persons::LIST_QUERY, persons::list),
    // 3.18: persons are made by events
    write("POST", LIST, persons::create_not_allowed),
    // 3.7
    write(
        "POST",
        "projects/{project}/persons/bulk_delete",
        deletions::bulk_delete,
    ),
    // 3.10
    get(
        "projects/{project}/persons/deletion_status",
        READ,
        &["status", "person_uuid", "limit", "offset"],
        history::deletion_status,
    ),
    // 3.11
    get(
        "projects/{project}/persons/values",
        READ,
        &["key", "value", "refresh"],
        values::values,
    ),
    // 3.12
    get(
        "projects/{project}/persons/cohorts",
        COHORTS,
        &["person_id"],
        persons::cohorts,
    ),
    // 3.13
    get(
        "projects/{project}/persons/activity",
        ACTIVITY,
        &["limit", "page"],
        history::project_activity,
    ),
    // 3.14
    write(
        "POST",
        "projects/{project}/persons/reset_person_distinct_id",
        writes::reset_person_distinct_id,
    ),
    // 3.15
    Route {
        method: "POST",
        path: "projects/{project}/persons/batch_by_distinct_ids",
        access: Access::Batch,
        query: &[],
        handler: batch::by_distinct_ids,
    },
    Route {
        method: "POST",
        path: "projects/{project}/persons/batch_by_uuids",
        access: Access::Batch,
        query: &[],
        handler: batch::by_uuids,
    },
    // 3.17
    get(
        "projects/{project}/persons/funnel",
        Access::Closed,
        funnel::FUNNEL_ARGUMENTS,
        funnel::funnel,
    ),
    Route {
        method: "POST",
        path: "projects/{project}/persons/funnel",
        access: Access::Closed,
        query: &["entrance_period_start", "drop_off", "offset", "limit"],
        handler: funnel::funnel,
    },
    // 3.18
    get(
        "projects/{project}/persons/trends",
        Access::Closed,
        insights::TRENDS_ARGUMENTS,
        insights::trends,
    ),
    get(
        "projects/{project}/persons/lifecycle",
        Access::Closed,
        insights::LIFECYCLE_ARGUMENTS,
        insights::lifecycle,
    ),
    get(
        "projects/{project}/persons/properties_at_time",
        READ,
        &["distinct_id", "person_id", "timestamp", "include_set_once"],
        history::properties_at_time,
    ),
    // 3.2
    get(
        "projects/{project}/persons/{id}",
        READ,
        &[],
        persons::retrieve,
    ),
    // 3.3
    write("PATCH", "projects/{project}/persons/{id}", writes::update),
    write("PUT", "projects/{project}/persons/{id}", writes::update),
    // 3.8
    Route {
        method: "DELETE",
        path: "projects/{project}/persons/{id}",
        access: WRITE,
        query: &["delete_events", "delete_recordings", "keep_person"],
        handler: deletions::delete,
    },
    // 3.13
    get(
        "projects/{project}/persons/{id}/activity",
        ACTIVITY,
        &["limit", "page"],
        history::person_activity,
    ),
    // 3.5
    write(
        "POST",
        "projects/{project}/persons/{id}/delete_property",
        writes::delete_property,
    ),
    // 3.4
    write(
        "POST",
        "projects/{project}/persons/{id}/update_property",
        writes::update_property,
    ),
    // 3.6
    write(
        "POST",
        "projects/{project}/persons/{id}/split",
        writes::split,
    ),
    // 3.9
    write(
        "POST",
        "projects/{project}/persons/{id}/delete_events",
        deletions::delete_events,
    ),
    write(
        "POST",
        "projects/{project}/persons/{id}/delete_recordings",
        deletions::delete_recordings,
    ),
    // 3.16
    get(
        "projects/{project}/persons/{id}/properties_timeline",
        Access::Closed,
        history::TIMELINE_QUERY,
        history::properties_timeline,
    ),
    // 3.18
    get(
        "projects/{project}/persons/{id}/emails",
        READ,
        &["after", "before", "limit", "offset"],
        persons::emails,
    ),
    // 2.3
    get(
        "users/@me",
        Access::Scopes(&["user:read"]),
        &[],
        discovery::user,
    ),
    get(
        "personal_api_keys/@current",
        Access::Any,
        &[],
        discovery::key,
    ),
    get(
        "organizations/{organization}/projects",
        PROJECT,
        &["limit", "offset"],
        discovery::projects,
    ),
    get("projects/{project}", PROJECT, &[], discovery::project),
];

/// The two addresses that the vendor's own client asks without a trailing slash.
pub(super) fn slash_is_optional(route: &Route) -> bool {
    matches!(route.path, "users/@me" | "personal_api_keys/@current")
}

/// The segments that stood for the names in braces.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) project: Option<String>,
    pub(super) id: String,
}

/// The routes of the first pattern that fits these segments below `/api/`.
pub(super) fn find(segments: &[&str]) -> Option<(Vec<&'static Route>, Captured)> {
    let first = ROUTES.iter().find(|route| fits(route.path, segments))?;
    let same = ROUTES.iter().filter(|route| route.path == first.path);
    let mut captured = Captured::default();
    for (name, segment) in first.path.split('/').zip(segments) {
        match name {
            "{project}" => captured.project = Some((*segment).to_owned()),
            "{id}" | "{organization}" => captured.id = (*segment).to_owned(),
            _ => {}
        }
    }
    Some((same.collect(), captured))
}

fn fits(pattern: &str, segments: &[&str]) -> bool {
    let names: Vec<&str> = pattern.split('/').collect();
    names.len() == segments.len()
        && names.iter().zip(segments).all(|(name, segment)| {
            (name.starts_with('{') && !segment.is_empty()) || name == segment
        })
}
