//! Packages and installation metadata, each of which repeats facts from the code and must match it.

mod bundle;
mod generated;
mod links;
mod manual;
mod names;
mod registry;
mod release;
mod security;

use std::collections::BTreeSet;

use posthog_persons_mcp::cli;

/// Every environment variable: those of the flags, and the API key's.
fn variables() -> BTreeSet<String> {
    let command = cli::command();
    let mut variables = BTreeSet::from(["POSTHOG_PERSONAL_API_KEY".to_owned()]);
    for command in std::iter::once(&command).chain(command.get_subcommands()) {
        let named = command.get_arguments().filter_map(clap::Arg::get_env);
        variables.extend(named.map(|name| name.to_str().unwrap().to_owned()));
    }
    variables
}
