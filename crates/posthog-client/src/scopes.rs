//! The scopes that an endpoint requires, those that a key has, and whether they suffice.

use crate::untrusted::Untrusted;

/// The scopes that an endpoint requires: all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredScopes(pub &'static [&'static str]);

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
    },
}

/// Whether a key has access to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// It has.
    Granted,
    /// The first scope that the key lacks.
    Missing(&'static str),
    /// Whether the key has this scope is unknown.
    Unknown(&'static str),
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
        let first = |state| {
            let mut scopes = required.0.iter();
            scopes.find(|scope| self.has(scope) == state).copied()
        };
        match (first(Some(false)), first(None)) {
            (Some(lacked), _) => Permission::Missing(lacked),
            (None, Some(unknown)) => Permission::Unknown(unknown),
            (None, None) => Permission::Granted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COHORTS: RequiredScopes = RequiredScopes(&["person:read", "cohort:read"]);
    const WRITE: RequiredScopes = RequiredScopes(&["person:write"]);

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
    fn wildcard_has_every_scope() {
        assert_eq!(listed(&["*"]).check(WRITE), Permission::Granted);
        assert_eq!(GrantedScopes::Everything.check(WRITE), Permission::Granted);
    }

    #[test]
    fn untested_scopes_are_unknown() {
        let probed = GrantedScopes::Probed {
            has: vec!["person:read"],
            lacks: vec!["activity_log:read"],
        };
        assert_eq!(probed.check(WRITE), Permission::Unknown("person:write"));
        assert_eq!(probed.check(COHORTS), Permission::Unknown("cohort:read"));
        assert_eq!(
            probed.check(RequiredScopes(&["activity_log:read"])),
            Permission::Missing("activity_log:read")
        );
    }
}
