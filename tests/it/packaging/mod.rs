//! What people install, and what tells them how: each says again what the code knows, and is held to it here.

mod bundle;
mod generated;
mod links;
mod manual;
mod registry;

use std::collections::BTreeSet;

use posthog_persons_mcp::cli;

/// Every variable that sets something: those of the flags, and the key's.
fn variables() -> BTreeSet<String> {
    let command = cli::command();
    let mut variables = BTreeSet::from(["POSTHOG_PERSONAL_API_KEY".to_owned()]);
    for command in std::iter::once(&command).chain(command.get_subcommands()) {
        let named = command.get_arguments().filter_map(clap::Arg::get_env);
        variables.extend(named.map(|name| name.to_str().unwrap().to_owned()));
    }
    variables
}
