//! Credentials and what they open (contract sections 2.1 and 2.2).

use super::answer::Answer;
use super::incoming::Incoming;

/// A personal API key that the sandbox accepts.
#[derive(Clone, Debug)]
pub struct Key {
    pub value: String,
    /// `None` for a legacy key, which may do everything.
    pub scopes: Option<Vec<String>>,
    /// Projects outside this list are refused.
    pub scoped_teams: Option<Vec<u64>>,
    /// Organisations outside this list are refused.
    pub scoped_organizations: Option<Vec<String>>,
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
        }
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

    pub(super) fn may_enter(&self, project: u64, organization: &str) -> bool {
        let teams = self.scoped_teams.as_deref().unwrap_or_default();
        let organizations = self.scoped_organizations.as_deref().unwrap_or_default();
        (teams.is_empty() || teams.contains(&project))
            && (organizations.is_empty() || organizations.iter().any(|id| id == organization))
    }
}

/// What a route asks of a key.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// Any valid key.
    Any,
    /// All of these; only the first missing one is named.
    Scopes(&'static [&'static str]),
    /// No scope is declared, so that only keys without scopes pass, not even `*`.
    Closed,
    /// The two batch reads, which were closed for a time.
    Batch,
}

impl Access {
    pub(super) fn check(self, key: &Key) -> Result<(), Answer> {
        match self {
            Self::Any | Self::Batch => Ok(()),
            Self::Closed if key.scopes.is_some() => Err(Answer::permission_denied(
                "This action does not support personal API key access",
            )),
            Self::Closed => Ok(()),
            Self::Scopes(required) => match required.iter().find(|scope| !key.has(scope)) {
                Some(scope) => Err(Answer::permission_denied(format!(
                    "API key missing required scope '{scope}'"
                ))),
                None => Ok(()),
            },
        }
    }
}

pub(super) fn authenticate(incoming: &Incoming, keys: &[Key]) -> Result<Key, Answer> {
    let Some(header) = incoming.recorded.header("authorization") else {
        return Err(Answer::not_authenticated());
    };
    let Some(value) = header.strip_prefix("Bearer ") else {
        return Err(Answer::not_authenticated());
    };
    let known = keys.iter().find(|key| key.value == value);
    known
        .cloned()
        .ok_or_else(|| Answer::authentication_failed("Personal API key is invalid."))
}
