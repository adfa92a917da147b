//! What a tool does to data, and what follows: its hints, whether it is available, whether it requires a confirmation.
//!
//! Invariant: knows no particular tool and does nothing itself.

use std::collections::BTreeSet;

use crate::setting_values::quotable;

/// What a call does to the data in PostHog: the one declaration from which all safety measures follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Read,
    /// Overwrites or removes properties, or makes a person visible. Logged in the audit log.
    Change,
    /// Deletes persons or moves their distinct ids. Logged in the audit log, and requires a confirmation.
    Delete {
        /// Whether calling it again changes nothing more.
        idempotent: bool,
    },
}

impl Effect {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Change => "change",
            Self::Delete { .. } => "delete",
        }
    }

    /// Whether it deletes: then a call requires a confirmation.
    #[must_use]
    pub fn deletes(self) -> bool {
        matches!(self, Self::Delete { .. })
    }

    /// The four hints of the protocol. None is left out: a client reads a missing one as the worst case.
    #[must_use]
    pub fn hints(self) -> Hints {
        Hints {
            read_only: self == Self::Read,
            // Destructive is whatever is not purely additive: to overwrite a property is not.
            destructive: self != Self::Read,
            idempotent: match self {
                Self::Read | Self::Change => true,
                Self::Delete { idempotent } => idempotent,
            },
            open_world: true,
        }
    }
}

/// The protocol's hints about a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: bool,
    /// It can overwrite or remove.
    pub destructive: bool,
    /// Calling it again with the same arguments changes nothing more.
    pub idempotent: bool,
    /// It reaches a system outside the assistant's own.
    pub open_world: bool,
}

/// The group a tool belongs to, to switch many on or off at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolset {
    /// Who a person is.
    Persons,
    /// What happened to a person.
    History,
    /// Who is behind a number.
    Insights,
    /// Persons as files.
    Export,
    /// Changes to a person.
    Write,
    /// Deletions, splits and merges.
    Delete,
}

impl Toolset {
    /// Every group.
    pub const ALL: [Self; 6] = [
        Self::Persons,
        Self::History,
        Self::Insights,
        Self::Export,
        Self::Write,
        Self::Delete,
    ];

    /// The name in settings and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Persons => "persons",
            Self::History => "history",
            Self::Insights => "insights",
            Self::Export => "export",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// A setting without which a tool is not offered: what it does goes beyond PostHog's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptIn {
    /// It sends events to the capture host.
    Merge,
    /// It writes files.
    Export,
}

impl OptIn {
    /// The flag that sets it.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Merge => "--allow-merge",
            Self::Export => "--export-dir",
        }
    }
}

/// How deletions are confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// Ask the user; if the client cannot, on the approval page.
    #[default]
    Auto,
    /// Ask the user; if the client cannot, reject the deletion.
    Strict,
    /// Accept a confirmation token: the assistant repeats the call with it.
    Token,
    /// Require no confirmation.
    Off,
}

/// Which tools are available.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Only those that read.
    pub read_only: bool,
    /// These groups, and the tools named beside them. Empty together with `tools`: all.
    pub toolsets: Vec<String>,
    /// These tools.
    pub tools: Vec<String>,
    /// Never these, whatever else is said.
    pub exclude: Vec<String>,
    /// What the operator has opted in to.
    pub opt_ins: Vec<OptIn>,
}

/// An unknown name in a policy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown {what} `{name}` (expected one of: {known})")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

impl Policy {
    /// Whether a tool is available. Exclusion takes precedence.
    #[must_use]
    pub fn offers(&self, name: &str, toolset: Toolset, effect: Effect) -> bool {
        self.left_out_by(name, toolset, effect).is_none()
    }

    /// The setting that leaves a tool out, if one does.
    #[must_use]
    pub fn left_out_by(
        &self,
        name: &str,
        toolset: Toolset,
        effect: Effect,
    ) -> Option<&'static str> {
        let has = |names: &[String], name: &str| names.iter().any(|named| named == name);
        if has(&self.exclude, name) {
            return Some("--exclude-tools");
        }
        if self.read_only && effect != Effect::Read {
            return Some("--read-only");
        }
        if has(&self.toolsets, toolset.name()) || has(&self.tools, name) {
            return None;
        }
        match (self.toolsets.is_empty(), self.tools.is_empty()) {
            (true, true) => None,
            (true, false) => Some("--tools"),
            (false, true) => Some("--toolsets"),
            (false, false) => Some("--toolsets and --tools"),
        }
    }

    /// The flag that a tool needs and that is not set.
    #[must_use]
    pub fn missing_opt_in(&self, needed: Option<OptIn>) -> Option<&'static str> {
        needed
            .filter(|needed| !self.opt_ins.contains(needed))
            .map(OptIn::flag)
    }

    /// The names in it that match no tool or toolset: a misspelt exclusion would silently have no effect.
    #[must_use]
    pub fn unknown_names<'a>(&self, tools: impl IntoIterator<Item = &'a str>) -> Vec<UnknownName> {
        let tools: BTreeSet<&str> = tools.into_iter().collect();
        let toolsets = Toolset::ALL.iter().map(|toolset| toolset.name()).collect();
        let named_tools = self.tools.iter().chain(&self.exclude);
        unknown("tool", named_tools, &tools)
            .chain(unknown("toolset", self.toolsets.iter(), &toolsets))
            .collect()
    }
}

fn unknown<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a String>,
    known: &BTreeSet<&str>,
) -> impl Iterator<Item = UnknownName> {
    names
        .filter(|name| !known.contains(name.as_str()))
        .map(|name| UnknownName {
            what,
            name: quotable(name).to_owned(),
            known: known.iter().copied().collect::<Vec<_>>().join(", "),
        })
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELETE: Effect = Effect::Delete { idempotent: true };

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn excluding_setting_is_named() {
        let by = |policy: &Policy| policy.left_out_by("persons-split", Toolset::Delete, DELETE);
        let mut policy = Policy::default();
        assert_eq!(by(&policy), None);
        policy.tools = names(&["persons-list"]);
        assert_eq!(by(&policy), Some("--tools"));
        policy.toolsets = names(&["persons"]);
        assert_eq!(by(&policy), Some("--toolsets and --tools"));
        policy.toolsets = names(&["delete"]);
        assert_eq!(by(&policy), None);
        policy.read_only = true;
        assert_eq!(by(&policy), Some("--read-only"));
        policy.exclude = names(&["persons-split"]);
        assert_eq!(by(&policy), Some("--exclude-tools"));
    }

    #[test]
    fn a_tool_that_needs_an_opt_in_names_its_flag() {
        let mut policy = Policy::default();
        assert_eq!(policy.missing_opt_in(None), None);
        let missing = policy.missing_opt_in(Some(OptIn::Merge));
        assert_eq!(missing, Some("--allow-merge"));
        policy.opt_ins = vec![OptIn::Merge];
        assert_eq!(policy.missing_opt_in(Some(OptIn::Merge)), None);
    }

    #[test]
    fn exclusion_takes_precedence() {
        let policy = Policy {
            read_only: false,
            toolsets: names(&["persons"]),
            tools: names(&["persons-bulk-delete", "persons-split"]),
            exclude: names(&["persons-split", "persons-list"]),
            opt_ins: Vec::new(),
        };
        assert!(policy.offers("persons-retrieve", Toolset::Persons, Effect::Read));
        assert!(!policy.offers("persons-list", Toolset::Persons, Effect::Read));
        assert!(policy.offers("persons-bulk-delete", Toolset::Delete, DELETE));
        assert!(!policy.offers("persons-split", Toolset::Delete, DELETE));
        assert!(!policy.offers("persons-funnel", Toolset::Insights, Effect::Read));
        let read_only = Policy {
            read_only: true,
            ..policy
        };
        assert!(!read_only.offers("persons-bulk-delete", Toolset::Delete, DELETE));
        assert!(!read_only.offers("persons-update", Toolset::Write, Effect::Change));
    }

    #[test]
    fn an_unknown_name_is_reported_with_the_known_ones() {
        let policy = Policy {
            toolsets: names(&["reads"]),
            exclude: names(&["persons_list"]),
            ..Policy::default()
        };
        let problems: Vec<String> = policy
            .unknown_names(["persons-list"])
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            problems,
            [
                "unknown tool `persons_list` (expected one of: persons-list)",
                "unknown toolset `reads` (expected one of: delete, export, history, insights, persons, write)",
            ]
        );
    }
}
