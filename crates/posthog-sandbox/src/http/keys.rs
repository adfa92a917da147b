//! API keys and their scopes (Persons API, Credentials; Persons API, Scopes).

use serde_json::{Map, Value};

use crate::http::{Request, Response};

/// A personal API key that the sandbox accepts.
#[derive(Clone, Debug)]
pub struct Key {
    pub value: String,
    /// `None` for a legacy key, which has every permission.
    pub scopes: Option<Vec<String>>,
    /// Projects outside this list are rejected.
    pub scoped_teams: Option<Vec<u64>>,
    /// Organizations outside this list are rejected.
    pub scoped_organizations: Option<Vec<String>>,
    /// The owner belongs to another organization, and has no access to any project of the sandbox.
    pub is_outsider: bool,
    /// Fields that the introspection of an OAuth token has besides, or with other values than, the usual ones: `aud`,
    /// `active`, `exp` (RFC 7662).
    pub introspection: Map<String, Value>,
}

impl Key {
    /// A key with these scopes; `*` for all of them.
    pub fn scoped(value: &str, scopes: &[&str]) -> Self {
        Self {
            scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..Self::legacy(value)
        }
    }

    /// A key from before scopes existed.
    pub fn legacy(value: &str) -> Self {
        Self {
            value: value.to_owned(),
            scopes: None,
            scoped_teams: None,
            scoped_organizations: None,
            is_outsider: false,
            introspection: Map::new(),
        }
    }

    /// In place of a key, for what is public.
    pub(crate) fn anonymous() -> Self {
        Self::scoped("", &[])
    }

    fn has(&self, required: &str) -> bool {
        let Some(scopes) = &self.scopes else {
            return true;
        };
        let write = required.strip_suffix(":read").map(|x| format!("{x}:write"));
        scopes
            .iter()
            .any(|scope| scope == "*" || scope == required || Some(scope) == write.as_ref())
    }

    pub(crate) fn allows_project(&self, project: u64) -> bool {
        let teams = self.scoped_teams.as_deref().unwrap_or_default();
        teams.is_empty() || teams.contains(&project)
    }

    pub(crate) fn allows_organization(&self, organization: &str) -> bool {
        let organizations = self.scoped_organizations.as_deref().unwrap_or_default();
        organizations.is_empty() || organizations.iter().any(|id| id == organization)
    }
}

/// Which keys a route accepts.
#[derive(Clone, Copy)]
pub(crate) enum RouteAccess {
    /// Also without a key.
    Public,
    /// Any valid key.
    AnyKey,
    /// All of these; only the first missing one is named.
    Scopes(&'static [&'static str]),
    /// No scope is declared, so that only keys without scopes are accepted, and `*` is not.
    UnscopedKeys,
    /// The batch endpoints, which some versions declare no scope for.
    Batch,
}

impl RouteAccess {
    pub(crate) fn check(self, key: &Key) -> Result<(), Response> {
        match self {
            Self::Public | Self::AnyKey | Self::Batch => Ok(()),
            Self::UnscopedKeys if key.scopes.is_some() => Err(Response::permission_denied(
                "This action does not support Personal API Key access",
            )),
            Self::UnscopedKeys => Ok(()),
            Self::Scopes(required) => match required.iter().find(|scope| !key.has(scope)) {
                Some(scope) => Err(Response::permission_denied(format!(
                    "API key missing required scope '{scope}'"
                ))),
                None => Ok(()),
            },
        }
    }
}

pub(crate) fn authenticate(request: &Request, keys: &[Key]) -> Result<Key, Response> {
    let Some(header) = request.recorded.header("authorization") else {
        return Err(Response::not_authenticated());
    };
    let Some(value) = header.strip_prefix("Bearer ") else {
        return Err(Response::not_authenticated());
    };
    let known = keys.iter().find(|key| key.value == value);
    known.cloned().ok_or_else(|| {
        Response::authentication_failed(
            "Personal API key found in request Authorization header is invalid.",
        )
    })
}
