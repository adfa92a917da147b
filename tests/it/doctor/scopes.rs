//! The scopes of a key, and the tools that they allow.

use crate::exports::Folder;
use posthog_client::RequiredScopes;
use posthog_persons_mcp::tools::{catalog, offered_by_default, scopes};
use posthog_sandbox::{Key, Sandbox};

use super::{TEST_KEY, UNREACHABLE, check, examined, sandbox, sandbox_with, tools};
use crate::process::{binary, run};
use crate::request_line;

/// The page without what follows from the catalog: how many tools work, and their table.
fn without_tools(page: &str) -> String {
    let [checks, _, end] = page.split("\n\n").collect::<Vec<_>>()[..] else {
        panic!("{page}")
    };
    let checks = checks.lines().filter(|line| &line[9..15] != "tools ");
    format!("{}\n\n{end}", checks.collect::<Vec<_>>().join("\n"))
}

/// The table of tools for a key with these scopes, and how many of them work.
fn check_tools(page: &str, granted: &[&str]) {
    let expected: Vec<String> = catalog()
        .iter()
        .map(|tool| match (tool.access, tool.opt_in) {
            (_, Some(opt_in)) => format!("excluded {} without {}", tool.name, opt_in.flag()),
            (RequiredScopes(scopes), None) => {
                match scopes.iter().find(|scope| !granted.contains(scope)) {
                    Some(scope) => format!("fails {} the key lacks {scope}", tool.name),
                    None => {
                        let missing = tool
                            .parts
                            .iter()
                            .filter(|(_, scope)| !granted.contains(scope));
                        let missing: Vec<String> = missing
                            .map(|(part, scope)| format!("{part} ({scope})"))
                            .collect();
                        match missing.is_empty() {
                            true => format!("works {}", tool.name),
                            false => format!("works {} without {}", tool.name, missing.join(", ")),
                        }
                    }
                }
            }
        })
        .collect();
    let table = page.split("\n\n").nth(1).unwrap().lines();
    let table = table.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(table.collect::<Vec<_>>(), expected);
    let works = tools(page, "works").len();
    let count = format!("{works} of {} will work", offered_by_default().len());
    assert!(check(page, "tools").contains(&count), "{page}");
}

#[tokio::test]
async fn key_with_all_scopes_works() {
    let sandbox = sandbox().await;
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    check_tools(&page, &scopes(&catalog()).into_iter().collect::<Vec<_>>());
    insta::assert_snapshot!("all_scopes", without_tools(&page));
    let mut requests: Vec<String> = sandbox.requests().iter().map(request_line).collect();
    requests.sort();
    // The persons of the timeline and of the cohorts do not exist. It shows whether the key has scopes at all: PostHog lists both as `*`.
    for of_nobody in ["/properties_timeline/", "B/cohorts/?person_id="] {
        let found = requests
            .iter()
            .position(|request| request.contains(of_nobody));
        requests.remove(found.unwrap());
    }
    // Only reads; the first without the key, and one of an empty batch.
    assert_eq!(
        requests,
        [
            "GET /api/personal_api_keys/@current/",
            "GET /api/projects/1/",
            "GET /api/schema/?format=json",
            "GET /api/users/@me/",
            "GET /api/users/@me/",
            "GET B/deletion_status/?limit=1",
            "GET B/deletion_status/?limit=1",
            "GET B/properties_at_time/",
            "POST B/batch_by_distinct_ids/",
        ]
    );
    assert_eq!(sandbox.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn missing_scopes_are_listed_with_their_tools() {
    let sandbox = sandbox().await;
    let page = examined(&sandbox, Sandbox::READ_KEY, &[], 0).await;
    check_tools(&page, &["person:read", "user:read"]);
    insta::assert_snapshot!("person_read", without_tools(&page));
}

#[tokio::test]
async fn legacy_key_has_access_to_every_tool() {
    let sandbox = sandbox().await;
    let page = examined(&sandbox, Sandbox::LEGACY_KEY, &[], 0).await;
    assert_eq!(
        check(&page, "scopes"),
        "ok scopes full access: a legacy key without scopes"
    );
    assert_eq!(tools(&page, "works").len(), offered_by_default().len());
    assert!(page.ends_with("\nThe server works.\n"), "{page}");
}

#[tokio::test]
async fn sandbox_needs_no_settings() {
    let ended = run(binary(&["--sandbox", "doctor"]), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("the sandbox, in this process"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.ends_with("\nThe server works.\n"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn excluded_tools_name_the_setting() {
    let sandbox = sandbox().await;
    let arguments = [
        "--read-only",
        "--toolsets",
        "persons,write",
        "--exclude-tools",
        "persons-list",
    ];
    let page = examined(&sandbox, Sandbox::READ_KEY, &arguments, 0).await;
    assert_eq!(
        tools(&page, "works")
            .iter()
            .filter_map(|line| line.split(' ').next())
            .collect::<Vec<_>>(),
        [
            "persons-retrieve",
            "persons-values-retrieve",
            "persons-batch-retrieve"
        ]
    );
    let left_out = tools(&page, "excluded");
    for (tool, setting) in [
        ("persons-list", "--exclude-tools"),
        ("persons-update", "--read-only"),
        ("persons-funnel", "--toolsets"),
    ] {
        let line = left_out.iter().find(|line| line.starts_with(tool)).unwrap();
        assert!(line.ends_with(&format!("by {setting}")), "{line}");
    }
    // Excluded tools need no scopes.
    assert_eq!(
        check(&page, "scopes"),
        "warning scopes person:read; missing: cohort:read, query:read -> Add the missing scopes at http://sandbox/settings/user-api-keys, \
         or exclude the tools (--read-only, --exclude-tools)."
    );
    assert_eq!(check(&page, "tools"), "warning tools 3 of 5 will work");
}

#[tokio::test]
async fn key_without_access_to_any_tool_is_a_problem() {
    let sandbox = sandbox().await;
    let arguments = ["--tools", "persons-update"];
    let page = examined(&sandbox, Sandbox::READ_KEY, &arguments, 1).await;
    assert_eq!(check(&page, "tools"), "PROBLEM tools 0 of 1 will work");
    assert!(
        page.ends_with("\nThe server does not work: 1 problem.\n"),
        "{page}"
    );
}

/// Merging needs another scope and another host.
#[tokio::test]
async fn merging_is_checked_where_it_is_allowed() {
    let scopes = &["person:write", "user:read"];
    let sandbox = sandbox_with(vec![Key::scoped(TEST_KEY, scopes)], false).await;
    let page = examined(&sandbox, TEST_KEY, &["--allow-merge"], 0).await;
    assert_eq!(
        check(&page, "capture"),
        "ok capture http://sandbox responds"
    );
    assert!(check(&page, "scopes").contains("missing: "), "{page}");
    let failing = tools(&page, "fails");
    let merge = failing
        .iter()
        .find(|line| line.starts_with("persons-merge "));
    assert!(
        merge.unwrap().ends_with("the key lacks project:read"),
        "{page}"
    );
    let elsewhere = ["--allow-merge", "--capture-host", UNREACHABLE];
    let page = examined(&sandbox, Sandbox::KEY, &elsewhere, 0).await;
    assert_eq!(
        check(&page, "capture"),
        "warning capture no connection to http://127.0.0.1:1: connection refused -> persons-merge fails without it. Check \
         --capture-host, the network and firewalls."
    );
    // The key was not sent there.
    for request in sandbox.requests() {
        let at_capture_host = request.path == "/i/v0/e/";
        assert!(!at_capture_host || request.header("authorization").is_none());
    }
}

/// An export of a key with few scopes lacks parts, and the doctor says which.
#[tokio::test]
async fn parts_of_an_export_name_their_scopes() {
    let sandbox = sandbox().await;
    let folder = Folder::new();
    let arguments = [
        "--toolsets",
        "export",
        "--export-dir",
        folder.0.to_str().unwrap(),
    ];
    let page = examined(&sandbox, Sandbox::KEY, &arguments, 0).await;
    assert_eq!(tools(&page, "works"), ["persons-export"]);
    let page = examined(&sandbox, Sandbox::READ_KEY, &arguments, 0).await;
    let line = page.lines().find(|line| line.contains("persons-export"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "works persons-export without events (query:read), recordings (session_recording:read), activity (activity_log:read), \
         cohorts (cohort:read)"
    );
}
