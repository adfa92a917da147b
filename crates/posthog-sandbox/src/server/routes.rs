//! The routes of the API: path, required scopes, known query parameters, handler. Comments name the sections of the
//! Persons API.

use crate::handlers::{
    Context, batch, cohorts, definitions, deletions, discovery, funnel, history, insights, persons,
    query, recordings, schema, values, writes,
};
use crate::http::{Response, RouteAccess};
use crate::model::Era;

type Handler = fn(&mut Context<'_>) -> Result<Response, Response>;

pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// Below `/api/`. A segment in braces matches any text.
    pub(crate) path: &'static str,
    pub(crate) access: RouteAccess,
    /// The known query parameters other than `format`.
    pub(crate) query: &'static [&'static str],
    pub(crate) handler: Handler,
    /// The versions that have the route: from this one to that one.
    eras: (Era, Era),
}

const ALWAYS: (Era, Era) = (Era::August2025, Era::September2026);

impl Route {
    const fn since(mut self, era: Era) -> Self {
        self.eras.0 = era;
        self
    }

    const fn until(mut self, era: Era) -> Self {
        self.eras.1 = era;
        self
    }

    pub(super) fn exists_in(&self, era: Era) -> bool {
        self.eras.0 <= era && era <= self.eras.1
    }

    /// Whether this is a method of a collection or of its items, and not an action with a path of its own.
    pub(crate) fn is_of_collection(&self) -> bool {
        matches!(
            self.path.rsplit('/').next(),
            Some("persons" | "cohorts" | "query" | "{id}")
        )
    }
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
        eras: ALWAYS,
    }
}

const fn write(method: &'static str, path: &'static str, handler: Handler) -> Route {
    Route {
        method,
        path,
        access: WRITE,
        query: &[],
        handler,
        eras: ALWAYS,
    }
}

const READ: RouteAccess = RouteAccess::Scopes(&["person:read"]);
const WRITE: RouteAccess = RouteAccess::Scopes(&["person:write"]);
const ACTIVITY: RouteAccess = RouteAccess::Scopes(&["activity_log:read"]);
const PERSON_COHORTS: RouteAccess = RouteAccess::Scopes(&["person:read", "cohort:read"]);
const COHORTS: RouteAccess = RouteAccess::Scopes(&["cohort:read"]);
const DEFINITIONS: RouteAccess = RouteAccess::Scopes(&["property_definition:read"]);
const QUERY: RouteAccess = RouteAccess::Scopes(&["query:read"]);
const RECORDINGS: RouteAccess = RouteAccess::Scopes(&["session_recording:read"]);
const PROJECT: RouteAccess = RouteAccess::Scopes(&["project:read"]);

/// The path of the list, with or without the CSV suffix.
pub(crate) const LIST: &str = "projects/{project}/persons";

const PERSON: &str = "projects/{project}/persons/{id}";

/// The path of a project itself.
pub(crate) const PROJECT_PATH: &str = "projects/{project}";

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
    )
    .since(Era::June2026),
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
        PERSON_COHORTS,
        &["person_id"],
        cohorts::of_person,
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
        access: RouteAccess::Batch,
        ..write(
            "POST",
            "projects/{project}/persons/batch_by_distinct_ids",
            batch::by_distinct_ids,
        )
    }
    .since(Era::June2026),
    Route {
        access: RouteAccess::Batch,
        ..write(
            "POST",
            "projects/{project}/persons/batch_by_uuids",
            batch::by_uuids,
        )
    }
    .since(Era::June2026),
    // Funnel
    get(
        "projects/{project}/persons/funnel",
        RouteAccess::UnscopedKeys,
        funnel::FUNNEL_ARGUMENTS,
        funnel::funnel,
    ),
    Route {
        access: RouteAccess::UnscopedKeys,
        query: &["entrance_period_start", "drop_off", "offset", "limit"],
        ..write("POST", "projects/{project}/persons/funnel", funnel::funnel)
    },
    get(
        "projects/{project}/persons/funnel/correlation",
        RouteAccess::UnscopedKeys,
        funnel::FUNNEL_ARGUMENTS,
        insights::funnel_correlation,
    )
    .until(Era::June2026),
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
    )
    .since(Era::June2026),
    get(
        "projects/{project}/persons/stickiness",
        RouteAccess::UnscopedKeys,
        insights::TRENDS_ARGUMENTS,
        insights::stickiness,
    )
    .until(Era::August2025),
    // Retrieve
    get(PERSON, READ, &[], persons::retrieve),
    // Update
    write("PATCH", PERSON, writes::update),
    write("PUT", PERSON, writes::update),
    // Delete
    Route {
        query: &["delete_events", "delete_recordings", "keep_person"],
        ..write("DELETE", PERSON, deletions::delete)
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
    )
    .since(Era::September2026),
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
    )
    .since(Era::September2026),
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
        "personal_api_keys/{id}",
        RouteAccess::AnyKey,
        &[],
        discovery::other_key,
    ),
    get(
        "personal_api_keys",
        RouteAccess::UnscopedKeys,
        &[],
        discovery::other_key,
    ),
    get(
        "organizations/{organization}/projects",
        PROJECT,
        &["limit", "offset"],
        discovery::projects,
    ),
    get(PROJECT_PATH, PROJECT, &[], discovery::project),
    // Cohorts
    get(
        "projects/{project}/cohorts",
        COHORTS,
        &["basic", "limit", "offset", "search"],
        cohorts::list,
    ),
    get(
        "projects/{project}/cohorts/{id}",
        COHORTS,
        &[],
        cohorts::retrieve,
    ),
    get(
        "projects/{project}/cohorts/{id}/persons",
        COHORTS,
        &["limit", "offset"],
        cohorts::persons,
    ),
    // Recordings
    get(
        "projects/{project}/session_recordings",
        RECORDINGS,
        recordings::LIST_QUERY,
        recordings::list,
    ),
    // Property definitions
    get(
        "projects/{project}/property_definitions",
        DEFINITIONS,
        definitions::LIST_QUERY,
        definitions::list,
    ),
    // Query API
    Route {
        access: QUERY,
        ..write("POST", "projects/{project}/query", query::create)
    },
    get(
        "projects/{project}/query/{id}",
        QUERY,
        query::STATUS_QUERY,
        query::status,
    ),
    Route {
        access: QUERY,
        ..write("DELETE", "projects/{project}/query/{id}", query::cancel)
    },
    // Versions
    get("schema", RouteAccess::Public, &[], schema::schema),
];
