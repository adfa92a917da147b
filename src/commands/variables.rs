//! The environment variables that no setting reads: misspelt ones would silently have no effect.

use std::collections::BTreeSet;

use clap::CommandFactory;

use crate::cli::CliArguments;
use crate::config::{AUTH_TOKEN, STATE_KEY};

const PREFIX: &str = "POSTHOG_MCP_";
/// What Kubernetes sets in every container for a service named `posthog-mcp`.
const SERVICE_LINKS: [&str; 2] = ["POSTHOG_MCP_SERVICE_", "POSTHOG_MCP_PORT"];
/// A variable this close to a known one is meant to be that.
const MAX_EDITS: usize = 2;

/// A variable that no setting reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownVariable {
    /// Its name.
    pub(super) name: String,
    /// The variable that it seems to be meant for.
    pub(super) meant: Option<String>,
}

/// Those of these variables that look like settings and are none.
pub(super) fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<UnknownVariable> {
    let mut names = names
        .into_iter()
        .filter(|name| {
            name.starts_with(PREFIX) && !SERVICE_LINKS.iter().any(|link| name.starts_with(link))
        })
        .peekable();
    if names.peek().is_none() {
        return Vec::new();
    }
    let known = known_variables();
    let mut unknown: Vec<_> = names
        .filter(|name| !known.contains(name))
        .map(|name| {
            let near = known
                .iter()
                .map(|known| (strsim::levenshtein(known, &name), known));
            let meant = near.filter(|(edits, _)| *edits <= MAX_EDITS).min();
            UnknownVariable {
                meant: meant.map(|(_, known)| known.clone()),
                name,
            }
        })
        .collect();
    unknown.sort_by(|one, other| one.name.cmp(&other.name));
    unknown
}

fn known_variables() -> BTreeSet<String> {
    let command = CliArguments::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let variables = commands
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    variables
        .chain([AUTH_TOKEN, STATE_KEY].map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_variables_are_told_from_foreign_ones() {
        let meant = |name: &str| match unknown_variables([name.to_owned()]).pop() {
            None => "known or ignored".to_owned(),
            Some(UnknownVariable { meant: None, .. }) => "foreign".to_owned(),
            Some(UnknownVariable {
                meant: Some(meant), ..
            }) => meant,
        };
        for (name, expected) in [
            ("POSTHOG_MCP_TOOLS", "known or ignored"),
            ("POSTHOG_MCP_STATE_KEY", "known or ignored"),
            ("POSTHOG_MCP_REDAKT", "POSTHOG_MCP_REDACT"),
            ("POSTHOG_MCP_TOOL", "POSTHOG_MCP_TOOLS"),
            ("POSTHOG_MCP_READONLY", "POSTHOG_MCP_READ_ONLY"),
            ("POSTHOG_MCP_AUTH_TOKENS", "POSTHOG_MCP_AUTH_TOKEN"),
            ("POSTHOG_MCP_SOMETHING_ELSE", "foreign"),
            ("POSTHOG_MCP_SERVICE_HOST", "known or ignored"),
            ("POSTHOG_MCP_SERVICE_PORT_HTTP", "known or ignored"),
            ("POSTHOG_MCP_PORT", "known or ignored"),
            ("POSTHOG_MCP_PORT_8808_TCP_ADDR", "known or ignored"),
            ("POSTHOG_MPC_TOOLS", "known or ignored"),
            ("PATH", "known or ignored"),
        ] {
            assert_eq!(meant(name), expected, "{name}");
        }
    }
}
