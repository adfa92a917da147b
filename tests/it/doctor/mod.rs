//! `doctor`: what it finds, what it advises, and what it keeps to itself.

mod tls;

use std::time::Duration;

use clap::Parser;
use posthog_client::{Region, RequiredScopes};
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands::doctor::{Doctor, Report, Status, ToolStatus};
use posthog_persons_mcp::config::{ApiKey, ApiKeySource, Config};
use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::{Clock, Fault, FaultKind, Key, Sandbox, SandboxOptions};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::process::{Ended, binary, run};
use crate::{ADA, Setup, connect_with, line};

const KEY: &str = "POSTHOG_PERSONAL_API_KEY";
const PROJECT: &str = "POSTHOG_PROJECT_ID";
/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";
/// A key that a test makes for itself.
const OWN: &str = "phx_test_own";

async fn sandbox() -> Sandbox {
    sandbox_with(Vec::new(), false).await
}

async fn sandbox_with(keys: Vec<Key>, batch_closed_to_keys: bool) -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        clock: Clock::Manual,
        keys,
        batch_closed_to_keys,
        ..SandboxOptions::default()
    };
    Sandbox::start(listener, options).await.unwrap()
}

/// The binary, set to a PostHog at this address.
fn doctor(host: &str, key: &str, arguments: &[&str]) -> Command {
    let mut command = binary(&[&["doctor"], arguments].concat());
    command
        .env("POSTHOG_HOST", host)
        .env(PROJECT, Sandbox::PROJECT.to_string())
        .env(KEY, key);
    command
}

/// What it prints, with this exit code, and nothing on standard error.
async fn printed(command: Command, code: i32) -> String {
    let ended = run(command, "").await;
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.code, Some(code), "{}", ended.stdout);
    ended.stdout
}

/// As [`printed`], for a key at a sandbox, whose address is left out.
async fn examined(sandbox: &Sandbox, key: &str, arguments: &[&str], code: i32) -> String {
    let command = doctor(&sandbox.url(), key, arguments);
    let printed = printed(command, code).await;
    let printed = printed.replace(&sandbox.url(), "http://sandbox");
    assert_eq!(sandbox.violations(), Vec::<String>::new());
    assert!(!printed.contains(key), "{printed}");
    printed
}

/// The beginning of the page, up to the table of tools.
fn checks(page: &str) -> &str {
    page.split("\n\n").next().unwrap()
}

/// One check's lines, joined.
fn check(page: &str, name: &str) -> String {
    let mut lines = checks(page)
        .lines()
        .skip_while(|line| line.get(9..).is_none_or(|rest| !rest.starts_with(name)));
    let first = lines
        .next()
        .unwrap_or_else(|| panic!("no {name} in\n{page}"));
    let more = lines.take_while(|line| line.starts_with(' '));
    let words = [first]
        .into_iter()
        .chain(more)
        .flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// The lines of the table of tools that begin with this status.
fn tools<'a>(page: &'a str, status: &str) -> Vec<&'a str> {
    let table = page.split("\n\n").nth(1).unwrap();
    let lines = table.lines().filter(|line| line.starts_with(status));
    lines.map(|line| line[9..].trim()).collect()
}

#[tokio::test]
async fn a_key_with_all_scopes_works_and_the_page_says_so() {
    let sandbox = sandbox().await;
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    insta::assert_snapshot!("all_scopes", page);
    let mut requests: Vec<String> = sandbox.requests().iter().map(line).collect();
    requests.sort();
    // Only reads; the first without the key, and one of a batch of nobody.
    assert_eq!(
        requests,
        [
            "GET /api/personal_api_keys/@current/",
            "GET /api/projects/1/",
            "GET /api/users/@me/",
            "GET /api/users/@me/",
            "GET B/deletion_status/?limit=1",
            "POST B/batch_by_distinct_ids/",
        ]
    );
    assert_eq!(sandbox.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn missing_scopes_are_named_with_the_tools_that_want_them() {
    let sandbox = sandbox().await;
    let page = examined(&sandbox, Sandbox::READ_KEY, &[], 0).await;
    insta::assert_snapshot!("person_read", page);
}

#[tokio::test]
async fn a_key_from_before_scopes_opens_every_tool() {
    let sandbox = sandbox().await;
    let page = examined(&sandbox, Sandbox::LEGACY_KEY, &[], 0).await;
    assert_eq!(
        check(&page, "scopes"),
        "ok scopes full access: a legacy key without scopes"
    );
    assert_eq!(tools(&page, "works").len(), catalog().len());
    assert!(page.ends_with("\nThe server works.\n"), "{page}");
}

#[tokio::test]
async fn the_sandbox_can_be_examined_without_any_setting() {
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
async fn what_the_settings_leave_out_is_said_of_each_tool() {
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
        tools(&page, "works"),
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
    // What is not offered need not be allowed.
    assert_eq!(
        check(&page, "scopes"),
        "warning scopes person:read; missing: cohort:read -> Add the missing scopes at http://sandbox/settings/user-api-keys, \
         or exclude the tools (--read-only, --exclude-tools)."
    );
    assert_eq!(check(&page, "tools"), "warning tools 3 of 4 will work");
}

#[tokio::test]
async fn a_key_that_opens_none_of_the_tools_is_a_problem() {
    let sandbox = sandbox().await;
    let arguments = ["--tools", "persons-update"];
    let page = examined(&sandbox, Sandbox::READ_KEY, &arguments, 1).await;
    assert_eq!(check(&page, "tools"), "PROBLEM tools 0 of 1 will work");
    assert!(
        page.ends_with("\nThe server does not work: 1 problem.\n"),
        "{page}"
    );
}

#[tokio::test]
async fn a_wrong_key_of_ones_own_posthog_is_told_and_sent_nowhere_else() {
    let ours = sandbox().await;
    let page = examined(&ours, "phx_wrong", &[], 1).await;
    assert!(
        check(&page, "access")
            .starts_with("PROBLEM access PostHog at http://sandbox rejected the key -> "),
        "{page}"
    );
    let clouds = Clouds::start(Vec::new(), vec![Key::legacy("phx_wrong")]).await;
    let report = clouds.examine(&ours.url(), "phx_wrong").await;
    assert_eq!(found(&report, "access").0, Status::Problem);
    assert!(clouds.us.requests().is_empty() && clouds.eu.requests().is_empty());
}

/// Two sandboxes that stand for PostHog's clouds.
struct Clouds {
    us: Sandbox,
    eu: Sandbox,
}

impl Clouds {
    async fn start(us: Vec<Key>, eu: Vec<Key>) -> Self {
        Self {
            us: sandbox_with(us, false).await,
            eu: sandbox_with(eu, false).await,
        }
    }

    async fn examine(&self, host: &str, key: &str) -> Report {
        examine(host, key, &self.us.url(), &self.eu.url()).await
    }
}

async fn examine(host: &str, key: &str, us: &str, eu: &str) -> Report {
    let region = |name: &str, host: &str| Region {
        name: name.to_owned(),
        host: host.to_owned(),
    };
    let doctor = Doctor {
        regions: vec![region("US", us), region("EU", eu)],
        ..Doctor::default()
    };
    doctor.examine(&config(host, key)).await
}

fn config(host: &str, key: &str) -> Config {
    let arguments = [
        "posthog-persons-mcp",
        "--host",
        host,
        "--project",
        "1",
        "doctor",
    ];
    let settings = CliArguments::try_parse_from(arguments).unwrap().settings;
    Config {
        api_key: Ok(Some(ApiKey {
            secret: SecretString::from(key),
            source: ApiKeySource::Environment,
        })),
        ..Config::new(settings)
    }
}

/// A check of a report: its status, what was found, and the advice.
fn found(report: &Report, name: &str) -> (Status, String, String) {
    let check = report.checks.iter().find(|check| check.check == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in\n{report}"));
    let advice = check.advice.clone().unwrap_or_default();
    (check.status, check.found.clone(), advice)
}

#[tokio::test]
async fn a_key_of_the_other_region_is_told_with_the_host_to_set() {
    let clouds = Clouds::start(Vec::new(), vec![Key::scoped(OWN, &["person:read"])]).await;
    let report = clouds.examine(&clouds.us.url(), OWN).await;
    assert!(!report.ok);
    let (status, said, advice) = found(&report, "access");
    assert_eq!(status, Status::Problem);
    assert_eq!(
        said,
        format!(
            "the key belongs to PostHog Cloud EU, not to {}",
            clouds.us.url()
        )
    );
    assert_eq!(advice, format!("Set POSTHOG_HOST={}", clouds.eu.url()));
    // The advice works.
    let report = clouds.examine(&clouds.eu.url(), OWN).await;
    assert!(report.ok, "{report}");
    assert_eq!(
        found(&report, "access").1,
        "PostHog Cloud EU accepted the key"
    );
}

#[tokio::test]
async fn a_key_that_its_own_region_knows_is_not_shown_to_the_other() {
    let clouds = Clouds::start(Vec::new(), Vec::new()).await;
    assert!(clouds.examine(&clouds.us.url(), Sandbox::KEY).await.ok);
    assert!(clouds.eu.requests().is_empty());
}

#[tokio::test]
async fn a_key_is_called_wrong_only_when_no_region_knows_it() {
    let clouds = Clouds::start(Vec::new(), Vec::new()).await;
    let report = clouds.examine(&clouds.eu.url(), OWN).await;
    assert!(!clouds.us.requests().is_empty());
    let (status, said, advice) = found(&report, "access");
    assert_eq!(status, Status::Problem);
    assert_eq!(
        said,
        "neither PostHog Cloud US nor EU accepts the key: it is invalid, revoked or expired"
    );
    assert_eq!(
        advice,
        format!(
            "Create one at {}/settings/user-api-keys, and copy all of it.",
            clouds.eu.url()
        )
    );
}

#[tokio::test]
async fn a_region_that_cannot_be_asked_is_not_taken_for_one_that_does_not_know() {
    let us = sandbox().await;
    let report = examine(&us.url(), OWN, &us.url(), NOWHERE).await;
    let (status, said, advice) = found(&report, "access");
    assert_eq!(status, Status::Problem);
    let begin = format!(
        "{} rejected the key, and {NOWHERE} could not be reached: ",
        us.url()
    );
    assert!(said.starts_with(&begin), "{said}");
    assert!(
        advice.contains(&format!("set POSTHOG_HOST={NOWHERE}")),
        "{advice}"
    );
}

#[tokio::test]
async fn what_cannot_be_a_key_is_said_without_sending_or_repeating_it() {
    let sandbox = sandbox().await;
    for token in [Sandbox::PROJECT_TOKEN, "phs_secret_of_a_project"] {
        let page = examined(&sandbox, token, &[], 1).await;
        assert!(
            check(&page, "key").contains("use a personal API key (phx_...)"),
            "{page}"
        );
        assert!(check(&page, "host").starts_with("ok host"), "{page}");
    }
    let page = examined(&sandbox, "\"phx_sandbox_all_scopes\"", &[], 1).await;
    assert!(check(&page, "key").contains("Check for quotes"), "{page}");
    let mut command = doctor(&sandbox.url(), "", &[]);
    command.env_remove(KEY);
    let page = printed(command, 1).await;
    assert!(
        check(&page, "key").starts_with("PROBLEM key No API key is set. Set "),
        "{page}"
    );
}

#[tokio::test]
async fn everything_wrong_with_the_settings_is_said_at_once() {
    let mut command = doctor("us.posthog.com", "phc_token", &["--tools", "persons-lst"]);
    command
        .env(PROJECT, "mine")
        .env("POSTHOG_MCP_AUDIT_LOG", "/nowhere/audit.log");
    let page = printed(command, 1).await;
    let settings = check(&page, "settings");
    for word in [PROJECT, "/nowhere/audit.log", "`persons-lst`"] {
        assert!(settings.contains(word), "{word}: {page}");
    }
    assert!(check(&page, "key").contains(KEY), "{page}");
    assert!(check(&page, "host").contains("POSTHOG_HOST"), "{page}");
}

#[tokio::test]
async fn a_key_that_was_pasted_in_a_wrong_place_is_not_repeated() {
    for arguments in [&["doctor"][..], &["stdio"], &["call", "persons-list"]] {
        for variable in ["POSTHOG_HOST", PROJECT, "POSTHOG_PERSONAL_API_KEY_FILE"] {
            let mut command = binary(arguments);
            command.env(variable, "phx_pasted_here");
            let ended = run(command, "").await;
            assert_eq!(ended.code, Some(1));
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!said.contains("phx_pasted_here"), "{variable}: {said}");
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_reached_is_told_by_what_is_in_the_way() {
    let long = format!("http://{}", "a".repeat(70));
    let sandbox = sandbox().await;
    let not_tls = sandbox.url().replace("http", "https");
    for (host, said, advice) in [
        (
            NOWHERE,
            "connection refused",
            "Check POSTHOG_HOST, its port",
        ),
        (
            &long,
            "the host name does not resolve",
            "Check the spelling of POSTHOG_HOST",
        ),
        (&not_tls, "TLS failed: ", "serves https"),
    ] {
        let page = printed(doctor(host, "phx_test", &["--allow-insecure-http"]), 1).await;
        let check = check(&page, "host");
        assert!(
            check.starts_with("PROBLEM host no connection to "),
            "{page}"
        );
        assert!(check.contains(said) && check.contains(advice), "{page}");
    }
    let page = printed(doctor("http://posthog.example", "phx_test", &[]), 1).await;
    assert!(check(&page, "host").contains("uses plain HTTP"), "{page}");
}

#[tokio::test]
async fn the_proxy_on_the_way_is_named_without_its_password() {
    let mut command = doctor("https://posthog.example", "phx_test", &[]);
    command.env("HTTPS_PROXY", "http://somebody:hunter2@127.0.0.1:1");
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let page = printed(command, 1).await;
    let host = check(&page, "host");
    assert!(
        host.contains("through the proxy 127.0.0.1:1: connection refused"),
        "{page}"
    );
    assert!(host.contains("NO_PROXY"), "{page}");
    assert!(!page.contains("hunter2"), "{page}");
}

#[tokio::test]
async fn a_proxy_that_does_not_let_through_is_told_from_a_host_that_does_not_answer() {
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = proxy.local_addr().unwrap();
    let mut command = doctor("https://posthog.example", "phx_test", &[]);
    command.env("HTTPS_PROXY", format!("http://{address}"));
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let refusing = async {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    };
    let ((), page) = tokio::join!(refusing, printed(command, 1));
    let host = check(&page, "host");
    let said = format!("through the proxy {address}: the proxy rejected the connection: ");
    assert!(host.contains(&said), "{page}");
}

/// Lets a sandbox answer everything with this.
fn answering(
    sandbox: &Sandbox,
    status: u16,
    content_type: &str,
    body: &str,
    headers: &[(&str, &str)],
) {
    let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    sandbox.inject(Fault {
        path_contains: String::new(),
        times: usize::MAX,
        kind: FaultKind::Response {
            status,
            content_type: content_type.to_owned(),
            body: body.to_owned(),
            headers: headers.iter().map(header).collect(),
        },
    });
}

#[tokio::test]
async fn what_is_not_posthog_gets_no_key() {
    let page = "<!doctype html><html>Welcome</html>";
    for (status, headers, said) in [
        (200, &[][..], "is not PostHog's API (status 200)"),
        (
            401,
            &[],
            "A login page or a firewall may be in front of it.",
        ),
        (
            302,
            &[("location", "https://posthog.example/login?a=b")],
            "set POSTHOG_HOST=https://posthog.example",
        ),
        (
            302,
            &[("location", "/login")],
            "redirects to another page of the same host",
        ),
        (502, &[], "failed (status 502)"),
    ] {
        let sandbox = sandbox().await;
        answering(&sandbox, status, "text/html", page, headers);
        let page = examined(&sandbox, Sandbox::KEY, &[], 1).await;
        let host = check(&page, "host");
        assert!(
            host.starts_with("PROBLEM host") && host.contains(said),
            "{page}"
        );
        assert_eq!(
            checks(&page).lines().last(),
            page.lines().rev().nth(2),
            "{page}"
        );
        let requests = sandbox.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].header("authorization"), None);
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_a_warning() {
    for (date, said) in [
        ("Tue, 01 Jan 2019 00:00:00 GMT", "ahead of PostHog's"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "behind PostHog's"),
    ] {
        let sandbox = sandbox().await;
        let body = json!({"type": "authentication_error", "code": "not_authenticated", "detail": "No.", "attr": null});
        answering(
            &sandbox,
            401,
            "application/json",
            &body.to_string(),
            &[("date", date)],
        );
        let page = examined(&sandbox, Sandbox::KEY, &[], 1).await;
        let clock = check(&page, "clock");
        assert!(
            clock.starts_with("warning clock this machine's clock is "),
            "{page}"
        );
        assert!(clock.contains(said), "{page}");
    }
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let sandbox = sandbox().await;
    // Everything after the first visit.
    for path in ["/personal_api_keys/", "/users/"] {
        sandbox.inject(Fault {
            path_contains: path.to_owned(),
            times: usize::MAX,
            kind: FaultKind::Stall,
        });
    }
    let impatient = |milliseconds| Doctor {
        request_timeout: Duration::from_millis(milliseconds),
        ..Doctor::default()
    };
    let config = config(&sandbox.url(), Sandbox::KEY);
    let report = impatient(50).examine(&config).await;
    assert!(
        found(&report, "host").1.ends_with(": no response in time"),
        "{report}"
    );
    sandbox.clear_faults();
    sandbox.inject(Fault {
        path_contains: "/projects/".to_owned(),
        times: usize::MAX,
        kind: FaultKind::Stall,
    });
    let report = impatient(2000).examine(&config).await;
    assert_eq!(
        found(&report, "project"),
        (
            Status::Warning,
            "1, Difference Engine; could not determine whether the key has access".to_owned(),
            String::new()
        )
    );
}

#[tokio::test]
async fn a_posthog_of_which_nothing_is_found_out_is_not_said_to_work() {
    let sandbox = sandbox().await;
    for path in ["/personal_api_keys/", "/projects/"] {
        sandbox.inject(Fault {
            path_contains: path.to_owned(),
            times: usize::MAX,
            kind: FaultKind::ServerError { status: 503 },
        });
    }
    let page = examined(&sandbox, Sandbox::KEY, &[], 1).await;
    assert_eq!(
        check(&page, "tools"),
        "PROBLEM tools 0 of 18 will work; 18 could not be determined"
    );
}

#[tokio::test]
async fn a_project_that_the_key_may_not_use_is_a_problem() {
    let mut own = Key::scoped(OWN, &["*"]);
    own.scoped_teams = Some(vec![7, 8]);
    let sandbox = sandbox_with(vec![own], false).await;
    for (key, project, said) in [
        (Sandbox::KEY, "2", "the key has no access to project 2"),
        (
            OWN,
            "1",
            "the key has no access to project 1; it is limited to 7, 8",
        ),
    ] {
        let mut command = doctor(&sandbox.url(), key, &[]);
        command.env(PROJECT, project);
        let page = printed(command, 1).await;
        assert!(
            check(&page, "project")
                .starts_with(&format!("PROBLEM project {said} -> Set {PROJECT}")),
            "{page}"
        );
        // A table of tools would tell nothing.
        assert!(!page.contains("persons-list"), "{page}");
    }
}

#[tokio::test]
async fn the_selected_project_is_found_out_and_better_set() {
    let sandbox = sandbox().await;
    let mut command = doctor(&sandbox.url(), Sandbox::KEY, &[]);
    command.env(PROJECT, "@current");
    let page = printed(command, 0).await;
    assert_eq!(
        check(&page, "project"),
        "warning project 1, Difference Engine: selected by the key's owner in PostHog -> Set POSTHOG_PROJECT_ID=1, so that \
         selecting another project in PostHog does not change it."
    );
    let mut command = doctor(&sandbox.url(), Sandbox::READ_KEY, &[]);
    command.env_remove(PROJECT);
    let page = printed(command, 1).await;
    assert!(
        check(&page, "project")
            .starts_with("PROBLEM project could not determine which project to use: "),
        "{page}"
    );
}

#[tokio::test]
async fn a_project_that_its_owner_has_not_selected_is_told_for_the_cohorts() {
    let sandbox = sandbox().await;
    sandbox.update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    assert!(
        check(&page, "project").starts_with(
            "warning project 1, Difference Engine; the key's owner has selected project 2 in PostHog"
        ),
        "{page}"
    );
}

#[tokio::test]
async fn a_token_of_oauth_is_asked_for_its_scopes() {
    let token = Key::scoped("pha_test_own", &["person:read", "user:read", "query:read"]);
    let sandbox = sandbox_with(vec![token], false).await;
    let page = examined(&sandbox, "pha_test_own", &[], 0).await;
    assert_eq!(
        check(&page, "key"),
        "ok key an OAuth access token (pha_...)"
    );
    assert_eq!(
        check(&page, "scopes"),
        "warning scopes person:read, user:read and 1 that no tool needs; missing: activity_log:read, cohort:read, person:write \
         -> Add the missing scopes when you authorize the application that received the token, or exclude the tools (--read-only, \
         --exclude-tools)."
    );
}

#[tokio::test]
async fn a_token_of_oauth_works_on_the_selected_project() {
    let token = Key::scoped("pha_test_own", &["person:read", "user:read"]);
    let sandbox = sandbox_with(vec![token], false).await;
    let mut command = doctor(&sandbox.url(), "pha_test_own", &["--read-only"]);
    command.env_remove(PROJECT);
    let page = printed(command, 0).await;
    let project = "warning project 1, Difference Engine: selected by the key's owner";
    assert!(check(&page, "project").starts_with(project), "{page}");
}

/// Lets a sandbox tell nothing about its keys.
fn secretive(sandbox: &Sandbox) {
    sandbox.inject(Fault {
        path_contains: "personal_api_keys".to_owned(),
        times: usize::MAX,
        kind: FaultKind::ServerError { status: 500 },
    });
}

#[tokio::test]
async fn scopes_that_posthog_does_not_tell_are_tried_by_reading() {
    let keys = vec![Key::scoped(OWN, &["person:write", "cohort:read"])];
    let sandbox = sandbox_with(keys, false).await;
    secretive(&sandbox);
    let page = examined(&sandbox, OWN, &[], 0).await;
    assert_eq!(
        check(&page, "scopes").split(" -> ").next().unwrap(),
        "warning scopes PostHog does not list them; determined by probing: person:read, cohort:read; missing: activity_log:read"
    );
    // Nothing is written to find out whether it may be.
    let unknown = tools(&page, "unknown");
    assert_eq!(
        unknown.len(),
        catalog()
            .iter()
            .filter(|tool| tool.access == RequiredScopes::Scopes(&["person:write"]))
            .count()
    );
    assert!(
        unknown[0].ends_with("could not determine whether the key has person:write"),
        "{page}"
    );
    assert_eq!(tools(&page, "fails").len(), 5);
    for request in sandbox.requests() {
        let read = request.method == "GET" || request.path.ends_with("/batch_by_distinct_ids/");
        assert!(read, "{} {}", request.method, request.path);
    }
}

#[tokio::test]
async fn a_key_from_before_scopes_is_recognized_by_trying() {
    let sandbox = sandbox().await;
    secretive(&sandbox);
    let page = examined(&sandbox, Sandbox::LEGACY_KEY, &[], 0).await;
    assert_eq!(tools(&page, "works").len(), catalog().len(), "{page}");
}

#[tokio::test]
async fn batches_that_are_closed_to_the_key_are_told_with_the_way_round() {
    let sandbox = sandbox_with(Vec::new(), true).await;
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    assert_eq!(
        check(&page, "tools"),
        "ok tools 14 of 18 will work -> This key cannot use the batch endpoints: persons are looked up one by one, at most \
         200 per call."
    );
}

#[tokio::test]
async fn the_json_holds_the_same_and_its_fields_are_documented() {
    let sandbox = sandbox().await;
    let json = examined(&sandbox, Sandbox::READ_KEY, &["--json"], 0).await;
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        report["project"],
        json!({"number": 1, "name": null, "set": true})
    );
    assert_eq!(
        report["scopes"],
        json!({"unlimited": false, "granted": ["person:read"], "complete": true})
    );
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "settings", "key", "host", "clock", "access", "project", "scopes", "tools"
        ]
    );
    assert_eq!(checks[6]["status"], "warning");
    let tools = report["tools"].as_array().unwrap();
    assert_eq!(tools.len(), catalog().len());
    assert_eq!(
        tools[3],
        json!({"tool": "persons-cohorts-retrieve", "status": "fails", "reason": "the key lacks cohort:read", "scope": "cohort:read"})
    );
    let help = run(binary(&["doctor", "--help"]), "").await.stdout;
    let page = include_str!("../../../docs/troubleshooting.md");
    for object in [
        &report,
        &checks[6],
        &tools[3],
        &report["project"],
        &report["scopes"],
    ] {
        for field in object.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{field}`")), "{field}");
        }
    }
    for field in report.as_object().unwrap().keys() {
        assert!(help.contains(field.as_str()), "{field}: {help}");
    }
    // Where it does not work, the object is whole all the same.
    let ended: Ended = run(doctor(NOWHERE, OWN, &["--json"]), "").await;
    assert_eq!(ended.code, Some(1));
    let broken: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(broken["ok"], false);
    assert!(
        report
            .as_object()
            .unwrap()
            .keys()
            .eq(broken.as_object().unwrap().keys())
    );
    assert_eq!(broken["tools"][0]["status"], "unknown");
}

/// Arguments with which a tool reaches what it asks of a key.
fn sample(tool: &str) -> Value {
    let steps = json!([{"id": "sign up", "order": 0}, {"id": "purchase", "order": 1}]);
    match tool {
        "persons-list" | "persons-activity-retrieve" | "persons-deletion-status-list" => json!({}),
        "persons-retrieve" | "persons-properties-timeline-retrieve" => json!({"id": ADA}),
        "persons-values-retrieve" => json!({"key": "plan"}),
        "persons-cohorts-retrieve" => json!({"person_id": ADA}),
        "persons-batch-retrieve" => json!({"uuids": [ADA]}),
        "persons-properties-at-time-retrieve" => {
            json!({"person_id": ADA, "timestamp": "2026-04-01T00:00:00Z"})
        }
        "persons-funnel" => json!({"events": steps, "funnel_step": 1}),
        "persons-trends" => json!({"entity_id": "$pageview"}),
        "persons-lifecycle" => {
            json!({"target_date": "2026-10-28", "lifecycle_type": "new", "events": [{"id": "$pageview"}]})
        }
        "persons-update" => json!({"id": ADA, "properties": {"plan": "free"}}),
        "persons-property-set" => json!({"id": ADA, "key": "plan", "value": "free"}),
        "persons-property-delete" => json!({"id": ADA, "unset": "plan"}),
        "persons-reset-distinct-id" => json!({"distinct_id": "ada@example.com"}),
        "persons-split" => {
            json!({"id": "707be5a0-b120-5ae0-b57a-f77976f29c41", "distinct_ids_to_split": ["katherine-laptop"]})
        }
        "persons-bulk-delete" => json!({"ids": [ADA]}),
        other => panic!("say with which arguments {other} is called"),
    }
}

/// What a tool answers to a key with these scopes.
async fn called(tool: &ToolDefinition, scopes: &[&str]) -> (bool, String) {
    let mut setup = Setup {
        key: OWN,
        confirm: Confirm::Off,
        ..Setup::default()
    };
    setup.sandbox.keys.push(Key::scoped(OWN, scopes));
    let session = connect_with(setup).await;
    let result = session.result(tool.name, sample(tool.name)).await;
    (result.is_error == Some(true), crate::text(&result))
}

#[tokio::test]
async fn what_a_tool_says_it_asks_of_a_key_is_what_it_asks() {
    for tool in catalog() {
        match tool.access {
            RequiredScopes::ClosedToScopedKeys => {
                let (failed, text) = called(&tool, &["*"]).await;
                assert!(
                    failed && text.starts_with("PostHog does not serve this endpoint"),
                    "{}: {text}",
                    tool.name
                );
            }
            RequiredScopes::Scopes(scopes) => {
                let (failed, text) = called(&tool, scopes).await;
                assert!(!failed, "{}: {text}", tool.name);
                for missing in scopes {
                    // To write includes to read.
                    let others: Vec<&str> = [
                        "person:read",
                        "person:write",
                        "cohort:read",
                        "activity_log:read",
                        "user:read",
                    ]
                    .into_iter()
                    .filter(|scope| scope.split(':').next() != missing.split(':').next())
                    .chain((*missing == "person:write").then_some("person:read"))
                    .collect();
                    let (failed, text) = called(&tool, &others).await;
                    let said = format!("The API key lacks the scope {missing}.");
                    assert!(
                        failed && text.contains(&said),
                        "{} without {missing}: {text}",
                        tool.name
                    );
                }
            }
        }
    }
}

#[test]
fn the_readme_names_every_scope_that_a_tool_asks_for() {
    let readme = include_str!("../../../README.md");
    for tool in catalog() {
        if let RequiredScopes::Scopes(scopes) = tool.access {
            for scope in scopes {
                assert!(
                    readme.contains(&format!("`{scope}`")),
                    "{}: {scope}",
                    tool.name
                );
            }
        }
    }
}

/// Every heading of the page that quotes a message does so in the words of the source; `…` stands for what varies.
#[test]
fn the_troubleshooting_page_quotes_what_the_server_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = ["src", "crates/posthog-client/src"].map(|folder| source(&root.join(folder)));
    let source = source.concat();
    let page = include_str!("../../../docs/troubleshooting.md");
    let quoted: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert!(quoted.len() > 20, "{quoted:?}");
    for message in quoted {
        let parts: Vec<&str> = message.split('…').map(str::trim).collect();
        // What stands between two places that vary can be too little to be recognized.
        let parts = parts.iter().filter(|part| part.len() > 3);
        assert!(parts.clone().count() > 0, "{message}");
        for part in parts {
            assert!(source.contains(part), "nobody says: {part}");
        }
    }
}

/// All code, with texts of several lines made whole.
fn source(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&source(&path));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap().replace("\\\"", "\"");
        let mut lines = text.split("\\\n");
        all.push_str(lines.next().unwrap());
        lines.for_each(|line| all.push_str(line.trim_start()));
    }
    all
}

#[tokio::test]
async fn nothing_is_known_of_tools_where_posthog_is_not_reached() {
    let report = examine(NOWHERE, OWN, NOWHERE, NOWHERE).await;
    assert!(
        report
            .tools
            .iter()
            .all(|tool| tool.status == ToolStatus::Unknown)
    );
    assert!(!report.to_string().contains("persons-list"), "{report}");
}
