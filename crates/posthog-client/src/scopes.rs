//! The scopes that an endpoint requires, those that a key has, and whether they suffice.

use crate::untrusted::Untrusted;

/// What an endpoint asks of a key. A tool states it for the endpoints that it cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredScopes {
    /// All of these scopes.
    Scopes(&'static [&'static str]),
    /// It declares no scope, so that it is closed to every key that has scopes, and to OAuth: not even `*` opens it.
    ClosedToScopedKeys,
}

/// What is known of the scopes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantedScopes {
    /// A key from before there were scopes: it opens everything.
    Everything,
    /// All of the key's scopes.
    Listed(Vec<Untrusted<String>>),
    /// What was found out by trying: of other scopes nothing is known.
    Tried {
        /// Seen to be granted.
        has: Vec<&'static str>,
        /// Seen to be missing.
        lacks: Vec<&'static str>,
        /// Whether endpoints without a scope were seen to be closed to the key.
        closed: bool,
    },
}

/// Whether a key opens an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// It does.
    Granted,
    /// The first scope that it lacks.
    Missing(&'static str),
    /// No scope would open it.
    Unsupported,
    /// It is not known whether the key has this scope; without one: whether the key has scopes at all.
    Unknown(Option<&'static str>),
}

impl GrantedScopes {
    /// Whether the key has a scope, if that is known. To write includes to read.
    #[must_use]
    pub fn has(&self, scope: &str) -> Option<bool> {
        let write = scope.strip_suffix(":read").map(|of| format!("{of}:write"));
        let grants = |granted: &dyn Fn(&str) -> bool| {
            granted("*") || granted(scope) || write.as_deref().is_some_and(granted)
        };
        match self {
            Self::Everything => Some(true),
            Self::Listed(scopes) => {
                Some(grants(&|name| scopes.iter().any(|scope| *scope == *name)))
            }
            Self::Tried { has, .. } if grants(&|name| has.contains(&name)) => Some(true),
            Self::Tried { lacks, .. } if lacks.contains(&scope) => Some(false),
            Self::Tried { .. } => None,
        }
    }

    /// Whether the key opens what asks for this.
    #[must_use]
    pub fn check(&self, access: RequiredScopes) -> Permission {
        match access {
            RequiredScopes::ClosedToScopedKeys => match self {
                Self::Everything => Permission::Granted,
                Self::Listed(_) | Self::Tried { closed: true, .. } => Permission::Unsupported,
                Self::Tried { .. } => Permission::Unknown(None),
            },
            RequiredScopes::Scopes(scopes) => {
                let first = |wanted| {
                    let mut scopes = scopes.iter();
                    scopes.find(|scope| self.has(scope) == wanted).copied()
                };
                match (first(Some(false)), first(None)) {
                    (Some(lacked), _) => Permission::Missing(lacked),
                    (None, Some(unknown)) => Permission::Unknown(Some(unknown)),
                    (None, None) => Permission::Granted,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COHORTS: RequiredScopes = RequiredScopes::Scopes(&["person:read", "cohort:read"]);
    const WRITE: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);

    fn listed(scopes: &[&str]) -> GrantedScopes {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned().into());
        GrantedScopes::Listed(scopes.collect())
    }

    #[test]
    fn every_scope_is_wanted_and_to_write_includes_to_read() {
        assert_eq!(
            listed(&["person:read"]).check(COHORTS),
            Permission::Missing("cohort:read")
        );
        assert_eq!(
            listed(&["person:read"]).check(WRITE),
            Permission::Missing("person:write")
        );
        assert_eq!(
            listed(&["person:write", "cohort:write"]).check(COHORTS),
            Permission::Granted
        );
        assert_eq!(
            listed(&[]).check(COHORTS),
            Permission::Missing("person:read")
        );
    }

    #[test]
    fn what_declares_no_scope_opens_to_keys_without_scopes_alone() {
        let all = listed(&["*"]);
        assert_eq!(all.check(WRITE), Permission::Granted);
        assert_eq!(
            all.check(RequiredScopes::ClosedToScopedKeys),
            Permission::Unsupported
        );
        assert_eq!(
            GrantedScopes::Everything.check(RequiredScopes::ClosedToScopedKeys),
            Permission::Granted
        );
    }

    #[test]
    fn what_was_not_tried_is_not_known() {
        let tried = |closed| GrantedScopes::Tried {
            has: vec!["person:read"],
            lacks: vec!["activity_log:read"],
            closed,
        };
        assert_eq!(
            tried(true).check(WRITE),
            Permission::Unknown(Some("person:write"))
        );
        assert_eq!(
            tried(true).check(COHORTS),
            Permission::Unknown(Some("cohort:read"))
        );
        assert_eq!(
            tried(true).check(RequiredScopes::Scopes(&["activity_log:read"])),
            Permission::Missing("activity_log:read")
        );
        assert_eq!(
            tried(true).check(RequiredScopes::ClosedToScopedKeys),
            Permission::Unsupported
        );
        assert_eq!(
            tried(false).check(RequiredScopes::ClosedToScopedKeys),
            Permission::Unknown(None)
        );
    }
}
