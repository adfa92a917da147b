//! The owner of a key, the key itself, and the projects that it may access (Persons API, Discovery).

use serde_json::{Value, json};

use super::context::{Context, rejection};
use crate::http::{Body, Key, Request, Response, authenticate};
use crate::options::Behaviors;

/// Not below `/api/`, and without a trailing slash.
pub(crate) const INTROSPECT: &str = "/oauth/introspect";

/// The seeded project.
pub(crate) const PROJECT: u64 = 1;

/// The empty project that is the key owner's current one while `foreign_current_project` is on.
pub(crate) const OTHER_PROJECT: u64 = 2;

pub(crate) const ORGANIZATION: &str = "018b2c3d-0000-7000-8000-000000000001";
const ORGANIZATION_NAME: &str = "Analytical Engines";

/// The owner of every key, and so the user in the activity log.
pub(crate) const OWNER_FIRST_NAME: &str = "Mary";
pub(crate) const OWNER_EMAIL: &str = "mary.somerville@example.com";

pub(crate) fn user(context: &mut Context<'_>) -> Result<Response, Response> {
    let organization = json!({"id": ORGANIZATION, "name": ORGANIZATION_NAME});
    let current = current_project(context.behaviors);
    Ok(Response::json(
        200,
        json!({
            "uuid": "018b2c3d-0000-7000-8000-00000000000a",
            "distinct_id": "mary-somerville",
            "first_name": OWNER_FIRST_NAME,
            "last_name": "Somerville",
            "email": OWNER_EMAIL,
            "team": {
                "id": current,
                "name": project_name(current),
                "organization": ORGANIZATION,
            },
            "organization": organization,
            "organizations": [organization],
        }),
    ))
}

/// Any key may read itself, except OAuth tokens.
pub(crate) fn key(context: &mut Context<'_>) -> Result<Response, Response> {
    if is_oauth_token(context.key) {
        return Err(Response::not_authenticated());
    }
    Ok(Response::json(
        200,
        json!({
            "id": "sandbox",
            "label": "sandbox",
            "scopes": context.key.scopes,
            "scoped_teams": context.key.scoped_teams,
            "scoped_organizations": context.key.scoped_organizations,
        }),
    ))
}

pub(crate) fn projects(context: &mut Context<'_>) -> Result<Response, Response> {
    if context.id != ORGANIZATION && context.id != "@current" {
        return Err(Response::not_found("Organization not found."));
    }
    let mut numbers = vec![PROJECT];
    if context.behaviors.foreign_current_project {
        numbers.push(OTHER_PROJECT);
    }
    let allowed = numbers
        .iter()
        .filter(|id| context.key.allows_project(**id, ORGANIZATION));
    let results: Vec<Value> = allowed.map(|id| describe(*id)).collect();
    let (count, next, previous) = (results.len(), Value::Null, Value::Null);
    Ok(Response::json(
        200,
        json!({"count": count, "next": next, "previous": previous, "results": results}),
    ))
}

pub(crate) fn project(context: &mut Context<'_>) -> Result<Response, Response> {
    Ok(Response::json(200, describe(context.project.id)))
}

/// The key owner's current project, for which `@current` stands.
pub(crate) fn current_project(behaviors: &Behaviors) -> u64 {
    if behaviors.foreign_current_project {
        OTHER_PROJECT
    } else {
        PROJECT
    }
}

fn project_name(id: u64) -> &'static str {
    match id {
        PROJECT => "Difference Engine",
        _ => "Difference Engine (staging)",
    }
}

fn describe(id: u64) -> Value {
    json!({
        "id": id,
        "uuid": format!("018b2c3d-0000-7000-8000-{id:012}"),
        "organization": ORGANIZATION,
        "name": project_name(id),
        "timezone": "UTC",
    })
}

/// Scopes and restrictions of an OAuth token, which only the token itself may read.
pub(crate) fn introspect(request: &Request, keys: &[Key]) -> Result<Response, Response> {
    let key = authenticate(request, keys)?;
    let token = match &request.body {
        Body::Json(body) => body.get("token").and_then(Value::as_str),
        Body::Empty | Body::Malformed => None,
    };
    if request.method() != "POST" || token != Some(key.value.as_str()) || !is_oauth_token(&key) {
        return Err(rejection("introspection of another token, or not by POST"));
    }
    Ok(Response::json(
        200,
        json!({
            "active": true,
            "scope": key.scopes.unwrap_or_default().join(" "),
            "scoped_teams": key.scoped_teams,
            "scoped_organizations": key.scoped_organizations,
        }),
    ))
}

fn is_oauth_token(key: &Key) -> bool {
    key.value.starts_with("pha_")
}
