//! Finding the routes of a path.

use super::routes::{ROUTES, Route};
use crate::model::Era;

/// The paths that PostHog's own client requests without a trailing slash.
pub(crate) fn slash_is_optional(route: &Route) -> bool {
    matches!(
        route.path,
        "users/@me" | "personal_api_keys/@current" | "projects/{project}/query"
    )
}

/// The segments that matched the names in braces.
#[derive(Default)]
pub(crate) struct PathParameters {
    pub(crate) project: Option<String>,
    pub(crate) id: String,
    /// Whether the path is below `/api/person/`.
    pub(crate) old_mount: bool,
    /// Whether this version does not have the action, so that its name counts as the id of a person.
    pub(crate) is_missing_action: bool,
}

/// Whether the path is that of an action which other versions have. A client cannot know that.
pub(crate) fn is_missing_action(era: Era, segments: &[&str]) -> bool {
    let mut routes = ROUTES.iter();
    let first = routes.find(|route| matches_path(route.path, segments));
    first.is_some_and(|route| !route.exists_in(era))
}

/// The routes of the first path of this version that matches these segments below `/api/`.
pub(crate) fn find(era: Era, segments: &[&str]) -> Option<(Vec<&'static Route>, PathParameters)> {
    let routes = || ROUTES.iter().filter(|route| route.exists_in(era));
    let first = routes().find(|route| matches_path(route.path, segments))?;
    let same = routes().filter(|route| route.path == first.path);
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
        && names
            .iter()
            .zip(segments)
            .all(|(name, segment)| match *name {
                "{project}" => !segment.is_empty() && !segment.contains('.'),
                name if name.starts_with('{') => !segment.is_empty(),
                name => name == *segment,
            })
}
