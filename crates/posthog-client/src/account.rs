//! What PostHog says about a key's owner and about the key: `users/@me`, `personal_api_keys/@current`.

use serde::Deserialize;

use crate::request::Request;
use crate::untrusted::Untrusted;

/// The owner of a key.
#[derive(Deserialize)]
pub(crate) struct Me {
    pub(crate) team: Option<Team>,
    #[serde(default)]
    pub(crate) organizations: Vec<Organization>,
}

/// A project.
#[derive(Deserialize)]
pub(crate) struct Team {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) name: Option<Untrusted<String>>,
    #[serde(default)]
    pub(crate) organization: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Organization {
    pub(crate) id: String,
}

/// The limits of a key; empty means no limit.
#[derive(Deserialize, Default)]
pub(crate) struct KeyScope {
    #[serde(default)]
    pub(crate) scopes: Option<Vec<Untrusted<String>>>,
    #[serde(default)]
    pub(crate) scoped_teams: Option<Vec<u64>>,
    #[serde(default)]
    pub(crate) scoped_organizations: Option<Vec<String>>,
}

pub(crate) fn me() -> Request<'static> {
    Request::get(vec!["api", "users", "@me"])
}

pub(crate) fn own_key() -> Request<'static> {
    Request::get(vec!["api", "personal_api_keys", "@current"])
}
