//! The owner of a key, the key itself, and the projects that it may access (Persons API, Discovery).

use serde_json::{Value, json};

use super::context::{Context, rejection};
use super::merge::merged;
use super::paging::counted_page;
use crate::http::{Body, Key, Request, Response, authenticate};
use crate::model::dates::format_time;
use crate::options::Behaviors;

/// Not below `/api/`, and without a trailing slash.
pub(crate) const INTROSPECT: &str = "/oauth/introspect";

/// The seeded project.
pub(crate) const PROJECT: u64 = 1;

/// The empty project that is the key owner's current one while `foreign_current_project` is on.
pub(crate) const OTHER_PROJECT: u64 = 2;

pub(crate) const ORGANIZATION: &str = "018b2c3d-0000-7000-8000-000000000001";

/// The owner of every key, and so the user in the activity log.
pub(crate) const OWNER_FIRST_NAME: &str = "Mary";
pub(crate) const OWNER_EMAIL: &str = "mary.somerville@example.com";

/// The owner of the key. The fields that do not depend on the sandbox are data.
const USER: &str = include_str!("data/user.json");
/// A project in its own response, and the fewer fields that it has in a list.
const PROJECT_ALONE: &str = include_str!("data/project.json");
const PROJECT_IN_LIST: &str = include_str!("data/project_in_list.json");

pub(crate) fn user(context: &mut Context<'_>) -> Result<Response, Response> {
    let current = current_project(context.behaviors);
    let team = |id: u64| merged(describe(PROJECT_IN_LIST, id), json!({"project_id": id}));
    let numbers = projects_of_owner(context);
    let teams: Vec<Value> = numbers.iter().map(|id| team(*id)).collect();
    let projects: Vec<Value> = numbers
        .iter()
        .map(|id| json!({"id": id, "organization_id": ORGANIZATION, "name": project_name(*id)}))
        .collect();
    let user = merged(
        serde_json::from_str(USER).unwrap_or_default(),
        json!({
            "team": team(current),
            "organization": {"teams": teams, "projects": projects},
        }),
    );
    Ok(Response::json(200, user))
}

/// Any key may read itself, except OAuth tokens. A key without scopes cannot be told from one with all.
pub(crate) fn key(context: &mut Context<'_>) -> Result<Response, Response> {
    if is_oauth_token(context.key) {
        return Err(Response::not_authenticated());
    }
    let every_scope = || vec!["*".to_owned()];
    Ok(Response::json(
        200,
        json!({
            "id": "sandbox",
            "label": "sandbox",
            "value": null,
            "mask_value": null,
            "created_at": "2026-01-01T00:00:00Z",
            "last_used_at": format_time(context.now),
            "user_id": 1,
            "scopes": context.key.scopes.clone().unwrap_or_else(every_scope),
            "scoped_teams": context.key.scoped_teams,
            "scoped_organizations": context.key.scoped_organizations,
            "last_rolled_at": null,
        }),
    ))
}

/// A key may read no other key.
pub(crate) fn other_key(_: &mut Context<'_>) -> Result<Response, Response> {
    Err(Response::not_found("Not found."))
}

pub(crate) fn projects(context: &mut Context<'_>) -> Result<Response, Response> {
    let is_own = context.id == ORGANIZATION || context.id == "@current";
    let numbers = if is_own {
        projects_of_owner(context)
    } else {
        Vec::new()
    };
    let allowed = numbers.iter().filter(|id| {
        context.key.allows_project(**id) && context.key.allows_organization(ORGANIZATION)
    });
    let rows = allowed.map(|id| describe(PROJECT_IN_LIST, *id)).collect();
    counted_page(context, rows)
}

fn projects_of_owner(context: &Context<'_>) -> Vec<u64> {
    let mut numbers = vec![PROJECT];
    if context.behaviors.foreign_current_project {
        numbers.push(OTHER_PROJECT);
    }
    numbers
}

pub(crate) fn project(context: &mut Context<'_>) -> Result<Response, Response> {
    Ok(Response::json(
        200,
        describe(PROJECT_ALONE, context.project.id),
    ))
}

/// The key owner's current project, for which `@current` stands.
pub(crate) fn current_project(behaviors: &Behaviors) -> u64 {
    if behaviors.foreign_current_project {
        OTHER_PROJECT
    } else {
        PROJECT
    }
}

/// The token with which events of a project are captured.
pub(crate) fn project_token(id: u64) -> &'static str {
    match id {
        PROJECT => "phc_sandbox_project_token",
        _ => "phc_sandbox_staging_project_token",
    }
}

fn project_name(id: u64) -> &'static str {
    match id {
        PROJECT => "Difference Engine",
        _ => "Difference Engine (staging)",
    }
}

/// One of the forms of a project, with what differs between projects.
fn describe(form: &str, id: u64) -> Value {
    merged(
        serde_json::from_str(form).unwrap_or_default(),
        json!({
            "id": id,
            "uuid": format!("018b2c3d-0000-7000-8000-{id:012}"),
            "name": project_name(id),
            "api_token": project_token(id),
        }),
    )
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
    let usual = json!({
        "active": true,
        "scope": key.scopes.unwrap_or_default().join(" "),
        "scoped_teams": key.scoped_teams,
        "scoped_organizations": key.scoped_organizations,
    });
    Ok(Response::json(
        200,
        merged(usual, Value::Object(key.introspection)),
    ))
}

fn is_oauth_token(key: &Key) -> bool {
    key.value.starts_with("pha_")
}
