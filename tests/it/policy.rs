//! Tool selection: an excluded tool is not listed, and unknown when it is called.

use posthog_persons_mcp::policy::{Effect, OptIn, Policy, Toolset};
use posthog_persons_mcp::tools::catalog;
use rmcp::model::CallToolRequestParams;
use rmcp::service::ServiceError;

use crate::exports::Folder;
use crate::process::{binary, run, session_input, tool_names};
use crate::wire::{WITH_HANDSHAKE, versions};
use crate::writing::writing_calls;
use crate::{Session, Setup, connect_with};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The tools of a process that match the predicate.
fn offered_where(
    opt_in: Option<OptIn>,
    matches: impl Fn(&str, Toolset, Effect) -> bool,
) -> Vec<String> {
    catalog()
        .iter()
        .filter(|tool| tool.opt_in.is_none() || tool.opt_in == opt_in)
        .filter(|tool| matches(tool.name, tool.toolset, tool.effect))
        .map(|tool| tool.name.to_owned())
        .collect()
}

/// The tools of the catalog that match the predicate.
fn tools_where(matches: impl Fn(&str, Toolset, Effect) -> bool) -> Vec<String> {
    catalog()
        .iter()
        .filter(|tool| matches(tool.name, tool.toolset, tool.effect))
        .map(|tool| tool.name.to_owned())
        .collect()
}

fn reading_tools() -> Vec<String> {
    tools_where(|_, _, effect| effect == Effect::Read)
}

async fn connect_with_policy(policy: Policy) -> Session {
    connect_with(Setup {
        policy,
        ..Setup::default()
    })
    .await
}

async fn offered_tools(session: &Session) -> Vec<String> {
    let tools = session.client.list_all_tools().await.unwrap();
    tools
        .into_iter()
        .map(|tool| tool.name.into_owned())
        .collect()
}

/// Asserts that the tool is rejected like one that does not exist.
async fn assert_unknown(session: &Session, tool: &'static str, arguments: &serde_json::Value) {
    let arguments = arguments.as_object().unwrap().clone();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    let Err(ServiceError::McpError(error)) = session.client.call_tool(request).await else {
        panic!("{tool} was called")
    };
    assert_eq!(error.code.0, -32602, "{tool}");
    assert_eq!(error.message, format!("unknown tool: {tool}"));
}

#[tokio::test]
async fn read_only_offers_only_reading_tools() {
    let session = connect_with_policy(Policy {
        read_only: true,
        ..Policy::default()
    })
    .await;
    let listed = offered_tools(&session).await;
    assert_eq!(listed, reading_tools());
    for (tool, arguments, _) in writing_calls().await {
        assert!(!listed.contains(&tool.to_owned()), "{tool}");
        assert_unknown(&session, tool, &arguments).await;
    }
    assert_eq!(session.requests(), Vec::<String>::new());
    let instructions = session.client.peer_info().unwrap().instructions.clone();
    assert!(!instructions.unwrap_or_default().contains("dry_run"));
}

#[tokio::test]
async fn toolsets_and_tools_are_combined_and_exclusions_win() {
    let session = connect_with_policy(Policy {
        toolsets: names(&["history"]),
        tools: names(&["persons-bulk-delete", "persons-activity-retrieve"]),
        exclude: names(&["persons-deletion-status-list", "persons-update"]),
        ..Policy::default()
    })
    .await;
    let expected = tools_where(|name, toolset, _| {
        name == "persons-bulk-delete"
            || toolset == Toolset::History && name != "persons-deletion-status-list"
    });
    assert_eq!(offered_tools(&session).await, expected);
    assert!(expected.len() > 2);
    for (tool, arguments, _) in writing_calls().await {
        if tool != "persons-bulk-delete" {
            assert_unknown(&session, tool, &arguments).await;
        }
    }
    assert_eq!(session.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn read_only_wins_over_named_writing_tools() {
    let session = connect_with_policy(Policy {
        read_only: true,
        toolsets: names(&["persons", "write", "delete"]),
        tools: names(&["persons-split", "persons-activity-retrieve"]),
        ..Policy::default()
    })
    .await;
    let expected = tools_where(|name, toolset, _| {
        toolset == Toolset::Persons || name == "persons-activity-retrieve"
    });
    assert_eq!(offered_tools(&session).await, expected);
}

#[tokio::test]
async fn excluding_a_tool_keeps_the_others() {
    let session = connect_with_policy(Policy {
        exclude: names(&["persons-bulk-delete"]),
        ..Policy::default()
    })
    .await;
    assert_eq!(
        offered_tools(&session).await,
        tools_where(|name, _, _| name != "persons-bulk-delete")
    );
}

// With the binary.

/// The tools of the binary with these flags and variables, from `tools/list` and from `tools`.
async fn process_tools(flags: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let set = |arguments: &[&str]| {
        let mut command = binary(&[arguments, flags].concat());
        command.envs(variables.iter().copied());
        command
    };
    let input = session_input(WITH_HANDSHAKE[3], &[]);
    let ended = run(set(&["--sandbox"]), &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let names = tool_names(&ended.response(1));
    let printed = run(set(&["tools"]), "").await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let first_words = printed
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    assert_eq!(
        first_words.collect::<Vec<_>>(),
        names,
        "{flags:?} {variables:?}"
    );
    names
}

#[tokio::test]
async fn flags_and_variables_select_tools() {
    let tools_where = |matches: fn(&str, Toolset, Effect) -> bool| offered_where(None, matches);
    let all = || tools_where(|_, _, _| true);
    let reading = || tools_where(|_, _, effect| effect == Effect::Read);
    let folder = Folder::new();
    let directory = folder.0.to_string_lossy();
    let exporting = || offered_where(Some(OptIn::Export), |_, _, _| true);
    let merging = || offered_where(Some(OptIn::Merge), |_, _, _| true);
    let persons_and_history =
        || tools_where(|_, toolset, _| matches!(toolset, Toolset::Persons | Toolset::History));
    for (flags, variables, expected) in [
        (&[][..], &[][..], all()),
        (&["--allow-merge"], &[], merging()),
        (&[], &[("POSTHOG_MCP_ALLOW_MERGE", "1")], merging()),
        (
            &["--allow-merge", "--tools", "persons-merge"],
            &[],
            names(&["persons-merge"]),
        ),
        (&["--export-dir", &directory], &[], exporting()),
        (
            &[
                "--export-dir",
                &directory,
                "--read-only",
                "--toolsets",
                "export",
            ],
            &[],
            names(&["persons-export"]),
        ),
        (&["--allow-merge", "--read-only"], &[], reading()),
        (&["--read-only"], &[], reading()),
        (&[], &[("POSTHOG_MCP_READ_ONLY", "true")], reading()),
        (&[], &[("POSTHOG_MCP_READ_ONLY", "1")], reading()),
        (&[], &[("POSTHOG_MCP_READ_ONLY", "false")], all()),
        (&[], &[("POSTHOG_MCP_READ_ONLY", "")], all()),
        (
            &["--toolsets", "persons,history"],
            &[],
            persons_and_history(),
        ),
        (
            &["--toolsets", "persons", "--toolsets", "history"],
            &[],
            persons_and_history(),
        ),
        (
            &[],
            &[("POSTHOG_MCP_TOOLSETS", "persons, history,")],
            persons_and_history(),
        ),
        (&[], &[("POSTHOG_MCP_TOOLSETS", "")], all()),
        (
            &["--tools", "persons-list,persons-split"],
            &[],
            names(&["persons-list", "persons-split"]),
        ),
        (
            &["--tools", "persons-list,persons-split"],
            &[("POSTHOG_MCP_READ_ONLY", "true")],
            names(&["persons-list"]),
        ),
        (
            &["--exclude-tools", "persons-split,persons-bulk-delete"],
            &[],
            tools_where(|name, _, _| !matches!(name, "persons-split" | "persons-bulk-delete")),
        ),
        (
            &["--tools", "persons-list", "--exclude-tools", "persons-list"],
            &[],
            Vec::new(),
        ),
        (
            &["--toolsets", "delete"],
            &[("POSTHOG_MCP_EXCLUDE_TOOLS", "persons-split")],
            tools_where(|name, toolset, _| toolset == Toolset::Delete && name != "persons-split"),
        ),
        // The flag wins over the variable.
        (
            &["--toolsets", "delete"],
            &[("POSTHOG_MCP_TOOLSETS", "persons")],
            tools_where(|_, toolset, _| toolset == Toolset::Delete),
        ),
    ] {
        assert_eq!(
            process_tools(flags, variables).await,
            expected,
            "{flags:?} {variables:?}"
        );
    }
}

#[tokio::test]
async fn read_only_process_has_no_writing_tools() {
    let calls: Vec<_> = writing_calls()
        .await
        .into_iter()
        .map(|(tool, arguments, _)| (tool, arguments))
        .collect();
    for version in versions() {
        let input = session_input(version, &calls);
        let ended = run(binary(&["--sandbox", "--read-only"]), &input).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let reading = offered_where(None, |_, _, effect| effect == Effect::Read);
        assert_eq!(tool_names(&ended.response(1)), reading, "{version}");
        for ((tool, _), id) in calls.iter().zip(2..) {
            let response = ended.response(id);
            assert_eq!(
                response["error"]["code"], -32602,
                "{version} {tool}: {response}"
            );
        }
    }
}

/// A misspelt name in a filter would silently exclude nothing.
#[tokio::test]
async fn unknown_tool_name_fails_the_start_with_the_valid_names() {
    for (flags, variables, wrong, known) in [
        (
            &["--tools", "persons-lst"][..],
            &[][..],
            "persons-lst",
            "persons-list",
        ),
        (
            &["--exclude-tools", "persons_split"],
            &[],
            "persons_split",
            "persons-split",
        ),
        (
            &["--toolsets", "persons,writes"],
            &[],
            "writes",
            "delete, export, history, insights, persons, write",
        ),
        (&["--toolsets", "Persons"], &[], "Persons", "persons"),
        (
            &[],
            &[("POSTHOG_MCP_TOOLS", "persons-lst")],
            "persons-lst",
            "persons-bulk-delete",
        ),
        (
            &[],
            &[("POSTHOG_MCP_EXCLUDE_TOOLS", "*")],
            "*",
            "persons-list",
        ),
        (&[], &[("POSTHOG_MCP_TOOLSETS", "all")], "all", "persons"),
    ] {
        for command in [
            &["--sandbox"][..],
            &["tools"],
            &["call", "persons-list", "--sandbox"],
        ] {
            let mut command = binary(&[command, flags].concat());
            command.envs(variables.iter().copied());
            let ended = run(command, "").await;
            let error = ended.startup_error();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
            assert!(error.contains(known), "{error}");
        }
    }
}

/// A tool that is named and not offered would be missing without a word.
#[tokio::test]
async fn tool_that_needs_another_setting_fails_the_start() {
    let ended = run(binary(&["--sandbox", "--tools", "persons-merge"]), "").await;
    let error = ended.startup_error();
    assert!(
        error.contains("--tools: persons-merge is only offered with --allow-merge"),
        "{error}"
    );
    let plain = ["--allow-merge", "--capture-host", "http://events.example"];
    for (flags, says) in [
        (
            &["--capture-host", "secret"][..],
            "--capture-host is not a URL",
        ),
        (
            &plain,
            "--capture-host: the capture host http://events.example uses plain HTTP",
        ),
    ] {
        let mut command = binary(flags);
        command.env("POSTHOG_PERSONAL_API_KEY", "phx_test");
        let ended = run(command, "").await;
        let error = ended.startup_error();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn call_rejects_tools_that_are_not_offered() {
    let arguments = r#"{"ids": ["326043c7-9577-586f-b399-8da3ff6a80ff"]}"#;
    let call = [
        "call",
        "persons-bulk-delete",
        arguments,
        "--sandbox",
        "--read-only",
    ];
    let ended = run(binary(&call), "").await;
    let error = ended.startup_error();
    assert!(
        error.contains("unknown tool: persons-bulk-delete"),
        "{error}"
    );
}
