//! What PostHog asks of a key, what a key has, and whether the one is enough for the other.

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
    Listed(Vec<String>),
    /// What was found out by trying: of other scopes nothing is known.
    Tried {
        /// Surely there.
        has: Vec<String>,
        /// Surely missing.
        lacks: Vec<String>,
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
        let grants = |granted: &String| {
            granted == "*" || granted == scope || Some(granted) == write.as_ref()
        };
        match self {
            Self::Everything => Some(true),
            Self::Listed(scopes) => Some(scopes.iter().any(grants)),
            Self::Tried { has, .. } if has.iter().any(grants) => Some(true),
            Self::Tried { lacks, .. } if lacks.iter().any(|lacked| lacked == scope) => Some(false),
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

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_scope_is_wanted_and_to_write_includes_to_read() {
        let grants = |scopes| GrantedScopes::Listed(names(scopes));
        assert_eq!(
            grants(&["person:read"]).check(COHORTS),
            Permission::Missing("cohort:read")
        );
        assert_eq!(
            grants(&["person:read"]).check(WRITE),
            Permission::Missing("person:write")
        );
        assert_eq!(
            grants(&["person:write", "cohort:write"]).check(COHORTS),
            Permission::Granted
        );
        assert_eq!(
            grants(&[]).check(COHORTS),
            Permission::Missing("person:read")
        );
    }

    #[test]
    fn what_declares_no_scope_opens_to_keys_without_scopes_alone() {
        let all = GrantedScopes::Listed(names(&["*"]));
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
            has: names(&["person:read"]),
            lacks: names(&["activity_log:read"]),
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
