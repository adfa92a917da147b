//! Who owns the key, and what it reaches (contract section 2.3).

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::oauth;

/// The project of the story.
pub(super) const PROJECT: u64 = 1;

/// The empty project that the key's owner has open while `foreign_current_project` is on.
pub(super) const OTHER_PROJECT: u64 = 2;

pub(super) const ORGANIZATION: &str = "018b2c3d-0000-7000-8000-000000000001";
const ORGANIZATION_NAME: &str = "Analytical Engines";

/// The owner of every key, and so the author of what the activity log tells.
pub(super) const OWNER_FIRST_NAME: &str = "Mary";
pub(super) const OWNER_EMAIL: &str = "mary.somerville@example.com";

/// Contract 2.3, step 1.
pub(super) fn user(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let organization = json!({"id": ORGANIZATION, "name": ORGANIZATION_NAME});
    let current = current_project(call);
    Ok(Answer::json(
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

/// Contract 2.3, step 2. A key may always read itself; a token of OAuth is no such key.
pub(super) fn key(call: &mut Call<'_>) -> Result<Answer, Answer> {
    if oauth::is_token(call.key) {
        return Err(Answer::not_authenticated());
    }
    Ok(Answer::json(
        200,
        json!({
            "id": "sandbox",
            "label": "sandbox",
            "scopes": call.key.scopes,
            "scoped_teams": call.key.scoped_teams,
            "scoped_organizations": call.key.scoped_organizations,
        }),
    ))
}

/// Contract 2.3, step 3.
pub(super) fn projects(call: &mut Call<'_>) -> Result<Answer, Answer> {
    if call.id != ORGANIZATION && call.id != "@current" {
        return Err(Answer::not_found("Organization not found."));
    }
    let mut numbers = vec![PROJECT];
    if call.behaviors.foreign_current_project {
        numbers.push(OTHER_PROJECT);
    }
    let allowed = numbers
        .iter()
        .filter(|id| call.key.may_enter(**id, ORGANIZATION));
    let results: Vec<Value> = allowed.map(|id| describe(*id)).collect();
    let (count, next, previous) = (results.len(), Value::Null, Value::Null);
    Ok(Answer::json(
        200,
        json!({"count": count, "next": next, "previous": previous, "results": results}),
    ))
}

/// Contract 2.3, step 4.
pub(super) fn project(call: &mut Call<'_>) -> Result<Answer, Answer> {
    Ok(Answer::json(200, describe(call.world.project)))
}

pub(super) fn current_project(call: &Call<'_>) -> u64 {
    if call.behaviors.foreign_current_project {
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
