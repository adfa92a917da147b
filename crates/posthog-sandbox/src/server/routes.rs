//! The routes of the API: path, required scopes, known query parameters, handler. Comments name the sections of the
//! Persons API.

use crate::handlers::{
    Context, batch, deletions, discovery, funnel, history, insights, persons, values, writes,
};
use crate::http::{Response, RouteAccess};

type Handler = fn(&mut Context<'_>) -> Result<Response, Response>;

pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// Below `/api/`. A segment in braces matches any text.
    pub(crate) path: &'static str,
    pub(crate) access: RouteAccess,
    /// The known query parameters other than `format`.
    pub(crate) query: &'static [&'static str],
    pub(crate) handler: Handler,
}

const fn get(
    path: &'static str,
    access: RouteAccess,
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

const READ: RouteAccess = RouteAccess::Scopes(&["person:read"]);
const WRITE: RouteAccess = RouteAccess::Scopes(&["person:write"]);
const ACTIVITY: RouteAccess = RouteAccess::Scopes(&["activity_log:read"]);
const COHORTS: RouteAccess = RouteAccess::Scopes(&["person:read", "cohort:read"]);
const PROJECT: RouteAccess = RouteAccess::Scopes(&["project:read"]);

/// The path of the list, with or without the CSV suffix.
pub(crate) const LIST: &str = "projects/{project}/persons";

/// Fixed names come before `{id}`, as in PostHog's router.
pub(crate) const ROUTES: &[Route] = &[
    // List
    get(LIST, READ, persons::LIST_QUERY, persons::list),
    // Other endpoints
    write("POST", LIST, persons::create_not_allowed),
    // Bulk delete
    write(
        "POST",
        "projects/{project}/persons/bulk_delete",
        deletions::bulk_delete,
    ),
    // Deletion status
    get(
        "projects/{project}/persons/deletion_status",
        READ,
        &["status", "person_uuid", "limit", "offset"],
        history::deletion_status,
    ),
    // Property values
    get(
        "projects/{project}/persons/values",
        READ,
        &["key", "value", "refresh"],
        values::values,
    ),
    // Cohorts
    get(
        "projects/{project}/persons/cohorts",
        COHORTS,
        &["person_id"],
        persons::cohorts,
    ),
    // Activity
    get(
        "projects/{project}/persons/activity",
        ACTIVITY,
        &["limit", "page"],
        history::project_activity,
    ),
    // Reset distinct id
    write(
        "POST",
        "projects/{project}/persons/reset_person_distinct_id",
        writes::reset_person_distinct_id,
    ),
    // Batch reads
    Route {
        method: "POST",
        path: "projects/{project}/persons/batch_by_distinct_ids",
        access: RouteAccess::Batch,
        query: &[],
        handler: batch::by_distinct_ids,
    },
    Route {
        method: "POST",
        path: "projects/{project}/persons/batch_by_uuids",
        access: RouteAccess::Batch,
        query: &[],
        handler: batch::by_uuids,
    },
    // Funnel
    get(
        "projects/{project}/persons/funnel",
        RouteAccess::UnscopedKeys,
        funnel::FUNNEL_ARGUMENTS,
        funnel::funnel,
    ),
    Route {
        method: "POST",
        path: "projects/{project}/persons/funnel",
        access: RouteAccess::UnscopedKeys,
        query: &["entrance_period_start", "drop_off", "offset", "limit"],
        handler: funnel::funnel,
    },
    // Trends and lifecycle
    get(
        "projects/{project}/persons/trends",
        RouteAccess::UnscopedKeys,
        insights::TRENDS_ARGUMENTS,
        insights::trends,
    ),
    get(
        "projects/{project}/persons/lifecycle",
        RouteAccess::UnscopedKeys,
        insights::LIFECYCLE_ARGUMENTS,
        insights::lifecycle,
    ),
    // Properties at a time
    get(
        "projects/{project}/persons/properties_at_time",
        READ,
        &["distinct_id", "person_id", "timestamp", "include_set_once"],
        history::properties_at_time,
    ),
    // Retrieve
    get(
        "projects/{project}/persons/{id}",
        READ,
        &[],
        persons::retrieve,
    ),
    // Update
    write("PATCH", "projects/{project}/persons/{id}", writes::update),
    write("PUT", "projects/{project}/persons/{id}", writes::update),
    // Delete
    Route {
        method: "DELETE",
        path: "projects/{project}/persons/{id}",
        access: WRITE,
        query: &["delete_events", "delete_recordings", "keep_person"],
        handler: deletions::delete,
    },
    // Activity
    get(
        "projects/{project}/persons/{id}/activity",
        ACTIVITY,
        &["limit", "page"],
        history::person_activity,
    ),
    // Delete property
    write(
        "POST",
        "projects/{project}/persons/{id}/delete_property",
        writes::delete_property,
    ),
    // Update property
    write(
        "POST",
        "projects/{project}/persons/{id}/update_property",
        writes::update_property,
    ),
    // Split
    write(
        "POST",
        "projects/{project}/persons/{id}/split",
        writes::split,
    ),
    // Delete: events and recordings
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
    // Properties timeline
    get(
        "projects/{project}/persons/{id}/properties_timeline",
        RouteAccess::UnscopedKeys,
        history::TIMELINE_QUERY,
        history::properties_timeline,
    ),
    // Other endpoints
    get(
        "projects/{project}/persons/{id}/emails",
        READ,
        &["after", "before", "limit", "offset"],
        persons::emails,
    ),
    // Discovery
    get(
        "users/@me",
        RouteAccess::Scopes(&["user:read"]),
        &[],
        discovery::user,
    ),
    get(
        "personal_api_keys/@current",
        RouteAccess::AnyKey,
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

/// The two paths that PostHog's own client requests without a trailing slash.
pub(crate) fn slash_is_optional(route: &Route) -> bool {
    matches!(route.path, "users/@me" | "personal_api_keys/@current")
}

/// The segments that matched the names in braces.
#[derive(Default)]
pub(crate) struct PathParameters {
    pub(crate) project: Option<String>,
    pub(crate) id: String,
}

/// The routes of the first path that matches these segments below `/api/`.
pub(crate) fn find(segments: &[&str]) -> Option<(Vec<&'static Route>, PathParameters)> {
    let first = ROUTES
        .iter()
        .find(|route| matches_path(route.path, segments))?;
    let same = ROUTES.iter().filter(|route| route.path == first.path);
    let mut parameters = PathParameters::default();
    for (name, segment) in first.path.split('/').zip(segments) {
        match name {
            "{project}" => parameters.project = Some((*segment).to_owned()),
            "{id}" | "{organization}" => parameters.id = (*segment).to_owned(),
            _ => {}
        }
    }
    Some((same.collect(), parameters))
}

fn matches_path(pattern: &str, segments: &[&str]) -> bool {
    let names: Vec<&str> = pattern.split('/').collect();
    names.len() == segments.len()
        && names.iter().zip(segments).all(|(name, segment)| {
            (name.starts_with('{') && !segment.is_empty()) || name == segment
        })
}
