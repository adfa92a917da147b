//! The findings so far, and what they mean for each tool.

use std::collections::BTreeSet;

use super::report::{Check, Project, Report, Scopes, Status, TOOLS, Tool, ToolStatus};
use crate::output::{Redaction, Sanitizer};
use crate::policy::Policy;
use crate::tools::{self, ToolDefinition, catalog};
use posthog_client::{BATCH_SIZE, GrantedScopes, Permission};

/// The findings so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) host: Option<String>,
    pub(super) checks: Vec<Check>,
    pub(super) project: Option<Project>,
    pub(super) no_project: bool,
    pub(super) grants: Option<GrantedScopes>,
    pub(super) oauth: bool,
    pub(super) batches_unsupported: bool,
    /// Tools whose endpoint PostHog does not serve, and why.
    pub(super) unserved: Vec<(&'static str, &'static str)>,
}

impl Findings {
    /// The report, with the status of each tool.
    pub(super) fn report(mut self, policy: &Policy) -> Report {
        let catalog = catalog();
        let tools: Vec<Tool> = catalog
            .iter()
            .map(|tool| self.tool_status(tool, policy))
            .collect();
        if let Some(grants) = &self.grants {
            let scopes = self.scopes(grants, &catalog, &tools);
            self.checks.push(scopes);
            if !self.no_project {
                self.checks.push(self.summary_check(&tools));
            }
        }
        let sanitizer = Sanitizer::names_only(Redaction::default());
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
                GrantedScopes::Everything => Scopes {
                    unlimited: true,
                    granted: Vec::new(),
                    complete: true,
                },
                GrantedScopes::Listed(granted) => Scopes {
                    unlimited: false,
                    granted: granted.iter().map(|scope| sanitizer.text(scope)).collect(),
                    complete: true,
                },
                GrantedScopes::Probed { has, .. } => Scopes {
                    unlimited: false,
                    granted: has.into_iter().map(str::to_owned).collect(),
                    complete: false,
                },
            }),
            tools,
        }
    }

    /// Whether a tool will work.
    fn tool_status(&self, tool: &ToolDefinition, policy: &Policy) -> Tool {
        let missing = policy.missing_opt_in(tool.opt_in);
        let left_out = policy.left_out_by(tool.name, tool.toolset, tool.effect);
        let left_out = match missing {
            Some(flag) => Some(format!("without {flag}")),
            None => left_out.map(|setting| format!("by {setting}")),
        };
        let (status, reason, scope) = match (left_out, &self.grants) {
            (Some(reason), _) => (ToolStatus::Excluded, Some(reason), None),
            (None, None) => (
                ToolStatus::Unknown,
                Some("PostHog was not reached".to_owned()),
                None,
            ),
            (None, Some(grants)) => match grants.check(tool.access) {
                Permission::Missing(scope) => (
                    ToolStatus::Fails,
                    Some(format!("the key lacks {scope}")),
                    Some(scope),
                ),
                _ if self.no_project => (
                    ToolStatus::Fails,
                    Some("no project to use".to_owned()),
                    None,
                ),
                Permission::Granted => match self.unserved(tool.name) {
                    Some(reason) => (ToolStatus::Fails, Some(reason.to_owned()), None),
                    None => (ToolStatus::Available, without_parts(tool, grants), None),
                },
                Permission::Unknown(scope) => (
                    ToolStatus::Unknown,
                    Some(format!("could not determine whether the key has {scope}")),
                    Some(scope),
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

    /// Why PostHog does not serve the endpoint of a tool.
    fn unserved(&self, tool: &str) -> Option<&'static str> {
        let mut unserved = self.unserved.iter();
        unserved
            .find(|(name, _)| *name == tool)
            .map(|(_, reason)| *reason)
    }

    /// The scopes that the key has and lacks, of those that the tools need.
    fn scopes(&self, grants: &GrantedScopes, catalog: &[ToolDefinition], tools: &[Tool]) -> Check {
        let known = match grants {
            GrantedScopes::Everything => "full access: a legacy key without scopes".to_owned(),
            GrantedScopes::Listed(scopes) if scopes.is_empty() => "none".to_owned(),
            GrantedScopes::Listed(scopes) if scopes.iter().any(|scope| *scope == *"*") => {
                "* (all)".to_owned()
            }
            GrantedScopes::Listed(scopes) => {
                let needed = tools::scopes(catalog);
                let ours: Vec<&str> = scopes
                    .iter()
                    .filter_map(|scope| needed.iter().find(|needed| *scope == ***needed).copied())
                    .collect();
                let others = match scopes.len() - ours.len() {
                    0 => String::new(),
                    count => format!(" and {count} that no tool needs"),
                };
                format!("{}{others}", ours.join(", "))
            }
            GrantedScopes::Probed { has, .. } => format!(
                "PostHog does not list them; determined by probing: {}",
                if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                }
            ),
        };
        let missing: BTreeSet<&str> = tools
            .iter()
            .filter(|tool| tool.status == ToolStatus::Fails)
            .filter_map(|tool| tool.scope)
            .collect();
        if missing.is_empty() {
            return Check::ok("scopes", known);
        }
        let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
        let host = self.host.as_deref().unwrap_or_default();
        let place = if self.oauth {
            "when you authorize the application that received the token".to_owned()
        } else {
            format!("at {host}/settings/user-api-keys")
        };
        Check::warning("scopes", format!("{known}; missing: {missing}")).advice(format!(
            "Add the missing scopes {place}, or exclude the tools (--read-only, --exclude-tools)."
        ))
    }

    fn summary_check(&self, tools: &[Tool]) -> Check {
        let count = |works| tools.iter().filter(|tool| tool.status == works).count();
        let offered = tools.len() - count(ToolStatus::Excluded);
        let works = count(ToolStatus::Available);
        let found = match count(ToolStatus::Unknown) {
            0 => format!("{works} of {offered} will work"),
            unknown => {
                format!("{works} of {offered} will work; {unknown} could not be determined")
            }
        };
        // If every probe failed, tool calls will fail too.
        let check = if works == 0 {
            Check::problem(TOOLS, found)
        } else if tools
            .iter()
            .any(|tool| tool.status != ToolStatus::Available && tool.scope.is_some())
        {
            Check::warning(TOOLS, found)
        } else {
            Check::ok(TOOLS, found)
        };
        if self.batches_unsupported {
            return check.advice(format!(
                "This key cannot use the batch endpoints: persons are looked up one by one, at most {BATCH_SIZE} per call."
            ));
        }
        check
    }
}

/// What the result of a tool lacks with these scopes.
fn without_parts(tool: &ToolDefinition, grants: &GrantedScopes) -> Option<String> {
    let parts = tool.parts.iter();
    let missing = parts.filter(|(_, scope)| grants.has(scope) == Some(false));
    let missing: Vec<String> = missing
        .map(|(part, scope)| format!("{part} ({scope})"))
        .collect();
    (!missing.is_empty()).then(|| format!("without {}", missing.join(", ")))
}
