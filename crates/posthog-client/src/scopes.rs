//! The scopes that an endpoint requires, those that a key has, and whether they suffice.

use crate::untrusted::Untrusted;

/// The scopes that an endpoint requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredScopes {
    /// All of these scopes.
    Scopes(&'static [&'static str]),
    /// The endpoint declares no scope, so that it supports neither keys with scopes, not even `*`, nor OAuth.
    ClosedToScopedKeys,
}

/// The scopes of a key, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantedScopes {
    /// A key from before there were scopes, with access to everything.
    Everything,
    /// All of the key's scopes.
    Listed(Vec<Untrusted<String>>),
    /// Determined by requests; nothing is known about other scopes.
    Probed {
        /// Seen to be granted.
        has: Vec<&'static str>,
        /// Seen to be missing.
        lacks: Vec<&'static str>,
        /// Whether endpoints without a scope do not support the key.
        scoped_keys_unsupported: bool,
    },
}

/// Whether a key has access to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// It has.
    Granted,
    /// The first scope that the key lacks.
    Missing(&'static str),
    /// The endpoint does not support the key, whatever its scopes.
    Unsupported,
    /// Unknown: whether the key has this scope or, without one, whether the key has scopes at all.
    Unknown(Option<&'static str>),
}

impl GrantedScopes {
    /// Whether the key has a scope, if known. A write scope includes the read scope.
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
            Self::Probed { has, .. } if grants(&|name| has.contains(&name)) => Some(true),
            Self::Probed { lacks, .. } if lacks.contains(&scope) => Some(false),
            Self::Probed { .. } => None,
        }
    }

    /// Whether the key has access to an endpoint with these requirements.
    #[must_use]
    pub fn check(&self, required: RequiredScopes) -> Permission {
        match required {
            RequiredScopes::ClosedToScopedKeys => match self {
                Self::Everything => Permission::Granted,
                Self::Listed(_)
                | Self::Probed {
                    scoped_keys_unsupported: true,
                    ..
                } => Permission::Unsupported,
                Self::Probed { .. } => Permission::Unknown(None),
            },
            RequiredScopes::Scopes(scopes) => {
                let first = |state| {
                    let mut scopes = scopes.iter();
                    scopes.find(|scope| self.has(scope) == state).copied()
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
    fn every_scope_is_required_and_write_includes_read() {
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
    fn endpoints_without_scope_support_only_keys_without_scopes() {
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
    fn untested_scopes_are_unknown() {
        let probed = |scoped_keys_unsupported| GrantedScopes::Probed {
            has: vec!["person:read"],
            lacks: vec!["activity_log:read"],
            scoped_keys_unsupported,
        };
        assert_eq!(
            probed(true).check(WRITE),
            Permission::Unknown(Some("person:write"))
        );
        assert_eq!(
            probed(true).check(COHORTS),
            Permission::Unknown(Some("cohort:read"))
        );
        assert_eq!(
            probed(true).check(RequiredScopes::Scopes(&["activity_log:read"])),
            Permission::Missing("activity_log:read")
        );
        assert_eq!(
            probed(true).check(RequiredScopes::ClosedToScopedKeys),
            Permission::Unsupported
        );
        assert_eq!(
            probed(false).check(RequiredScopes::ClosedToScopedKeys),
            Permission::Unknown(None)
        );
    }
}
