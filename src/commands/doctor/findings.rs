//! What was found so far, and what it means for each tool.

use std::collections::BTreeSet;

use super::report::{Check, Project, Report, Scopes, Status, TOOLS, Tool, Works};
use crate::config::Settings;
use crate::tools::{self, Entry, catalog};
use posthog_client::{BATCH_SIZE, Grants, Opens};

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) host: Option<String>,
    pub(super) checks: Vec<Check>,
    pub(super) project: Option<Project>,
    pub(super) no_project: bool,
    pub(super) grants: Option<Grants>,
    pub(super) oauth: bool,
    pub(super) batches_closed: bool,
}

impl Findings {
    /// What it all means for the tools.
    pub(super) fn report(mut self, settings: &Settings) -> Report {
        let catalog = catalog();
        let tools: Vec<Tool> = catalog
            .iter()
            .map(|tool| self.judged(tool, settings))
            .collect();
        if let Some(grants) = &self.grants {
            let scopes = self.scopes(grants, &catalog, &tools);
            self.checks.push(scopes);
            if !self.no_project {
                self.checks.push(self.counted(&tools));
            }
        }
        Report {
            ok: self
                .checks
                .iter()
                .all(|check| check.status != Status::Problem),
            version: env!("CARGO_PKG_VERSION"),
            host: self.host,
            checks: self.checks,
            project: self.project,
            scopes: self.grants.map(|grants| match grants {
                Grants::Everything => Scopes {
                    unlimited: true,
                    granted: Vec::new(),
                    complete: true,
                },
                Grants::Listed(granted) => Scopes {
                    unlimited: false,
                    granted,
                    complete: true,
                },
                Grants::Tried { has, .. } => Scopes {
                    unlimited: false,
                    granted: has,
                    complete: false,
                },
            }),
            tools,
        }
    }

    /// Whether a tool will work.
    fn judged(&self, tool: &Entry, settings: &Settings) -> Tool {
        let left_out = settings
            .policy()
            .left_out_by(tool.name, tool.toolset, tool.effect);
        let (status, reason, scope) = match (left_out, &self.grants) {
            (Some(setting), _) => (Works::LeftOut, Some(format!("by {setting}")), None),
            (None, None) => (
                Works::Unknown,
                Some("PostHog could not be asked".to_owned()),
                None,
            ),
            (None, Some(grants)) => match grants.open(tool.access) {
                Opens::Lacks(scope) => (
                    Works::Fails,
                    Some(format!("the key lacks {scope}")),
                    Some(scope),
                ),
                Opens::Closed => (
                    Works::Fails,
                    Some("PostHog closes it to keys with scopes".to_owned()),
                    None,
                ),
                _ if self.no_project => (Works::Fails, Some("no project to use".to_owned()), None),
                Opens::Yes => (Works::Works, None, None),
                Opens::Unknown(Some(scope)) => (
                    Works::Unknown,
                    Some(format!(
                        "whether the key has {scope} could not be found out"
                    )),
                    Some(scope),
                ),
                Opens::Unknown(None) => (
                    Works::Unknown,
                    Some("whether the key is from before scopes could not be found out".to_owned()),
                    None,
                ),
            },
        };
        Tool {
            tool: tool.name,
            status,
            reason,
            scope,
        }
    }

    /// Which scopes the key has and lacks, of those that the tools ask for.
    fn scopes(&self, grants: &Grants, catalog: &[Entry], tools: &[Tool]) -> Check {
        let known = match grants {
            Grants::Everything => {
                "none, and so all: the key is from before there were scopes".to_owned()
            }
            Grants::Listed(scopes) if scopes.is_empty() => "none".to_owned(),
            Grants::Listed(scopes) if scopes.iter().any(|scope| scope == "*") => {
                "* (all)".to_owned()
            }
            Grants::Listed(scopes) => {
                let wanted = tools::scopes(catalog);
                let (ours, others): (Vec<&str>, Vec<&str>) = scopes
                    .iter()
                    .map(String::as_str)
                    .partition(|scope| wanted.contains(scope));
                let others = match others.len() {
                    0 => String::new(),
                    count => format!(" and {count} that no tool asks for"),
                };
                format!("{}{others}", ours.join(", "))
            }
            Grants::Tried { has, .. } => format!(
                "PostHog does not tell; found by trying: {}",
                if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                }
            ),
        };
        let missing: BTreeSet<&str> = tools
            .iter()
            .filter(|tool| tool.status == Works::Fails)
            .filter_map(|tool| tool.scope)
            .collect();
        if missing.is_empty() {
            return Check::ok("scopes", known);
        }
        let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
        let host = self.host.as_deref().unwrap_or_default();
        let place = if self.oauth {
            "when you sign in to the application that got the token".to_owned()
        } else {
            format!("at {host}/settings/user-api-keys")
        };
        Check::warning("scopes", format!("{known}; missing: {missing}")).advice(format!(
            "Add what is missing {place}, or leave the tools out (--read-only, --exclude-tools)."
        ))
    }

    fn counted(&self, tools: &[Tool]) -> Check {
        let count = |works| tools.iter().filter(|tool| tool.status == works).count();
        let offered = tools.len() - count(Works::LeftOut);
        let works = count(Works::Works);
        let found = match count(Works::Unknown) {
            0 => format!("{works} of {offered} will work"),
            unknown => {
                format!("{works} of {offered} will work; of {unknown} it could not be found out")
            }
        };
        // A PostHog that answers none of the questions will not answer an assistant's.
        let check = if works == 0 {
            Check::problem(TOOLS, found)
        } else if tools
            .iter()
            .any(|tool| tool.status != Works::Works && tool.scope.is_some())
        {
            Check::warning(TOOLS, found)
        } else {
            Check::ok(TOOLS, found)
        };
        if self.batches_closed {
            return check.advice(format!(
                "Batches are closed to this key: several persons are looked up one by one instead, at most {BATCH_SIZE} in a call."
            ));
        }
        check
    }
}
