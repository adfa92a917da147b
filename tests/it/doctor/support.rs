//! Runs the doctor, as a process or in this process, and reads its report.

use clap::Parser;
use posthog_client::Region;
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands::doctor::{Doctor, Report, Status};
use posthog_persons_mcp::config::{ApiKey, ApiKeySource, Config};
use posthog_sandbox::{Clock, Fault, FaultKind, Key, Sandbox, SandboxOptions};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::process::{binary, run};

pub(super) const KEY: &str = "POSTHOG_PERSONAL_API_KEY";
pub(super) const PROJECT: &str = "POSTHOG_PROJECT_ID";
/// An address without a listener.
pub(super) const UNREACHABLE: &str = "http://127.0.0.1:1";
/// A key that a test adds to the sandbox.
pub(super) const TEST_KEY: &str = "phx_test_own";

pub(super) async fn sandbox() -> Sandbox {
    sandbox_with(Vec::new(), false).await
}

pub(super) async fn sandbox_with(keys: Vec<Key>, batch_closed_to_keys: bool) -> Sandbox {
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
pub(super) fn doctor(host: &str, key: &str, arguments: &[&str]) -> Command {
    let mut command = binary(&[&["doctor"], arguments].concat());
    command
        .env("POSTHOG_HOST", host)
        .env(PROJECT, Sandbox::PROJECT.to_string())
        .env(KEY, key);
    command
}

/// Its standard output; asserts the exit code and an empty standard error.
pub(super) async fn printed(command: Command, code: i32) -> String {
    let ended = run(command, "").await;
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.code, Some(code), "{}", ended.stdout);
    ended.stdout
}

/// As [`printed`], for a key at a sandbox, whose address is left out.
pub(super) async fn examined(
    sandbox: &Sandbox,
    key: &str,
    arguments: &[&str],
    code: i32,
) -> String {
    let command = doctor(&sandbox.url(), key, arguments);
    let printed = printed(command, code).await;
    let printed = printed.replace(&sandbox.url(), "http://sandbox");
    assert_eq!(sandbox.violations(), Vec::<String>::new());
    assert!(!printed.contains(key), "{printed}");
    printed
}

/// The report up to the table of tools.
pub(super) fn checks(page: &str) -> &str {
    page.split("\n\n").next().unwrap()
}

/// One check's lines, joined.
pub(super) fn check(page: &str, name: &str) -> String {
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
pub(super) fn tools<'a>(page: &'a str, status: &str) -> Vec<&'a str> {
    let table = page.split("\n\n").nth(1).unwrap();
    let lines = table.lines().filter(|line| line.starts_with(status));
    lines.map(|line| line[9..].trim()).collect()
}

/// Two sandboxes that stand for PostHog's clouds.
pub(super) struct Regions {
    pub(super) us: Sandbox,
    pub(super) eu: Sandbox,
}

impl Regions {
    pub(super) async fn start(us: Vec<Key>, eu: Vec<Key>) -> Self {
        Self {
            us: sandbox_with(us, false).await,
            eu: sandbox_with(eu, false).await,
        }
    }

    pub(super) async fn examine(&self, host: &str, key: &str) -> Report {
        examine(host, key, &self.us.url(), &self.eu.url()).await
    }
}

pub(super) async fn examine(host: &str, key: &str, us: &str, eu: &str) -> Report {
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

pub(super) fn config(host: &str, key: &str) -> Config {
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

/// A check of a report: its status, the finding and the remediation.
pub(super) fn finding(report: &Report, name: &str) -> (Status, String, String) {
    let check = report.checks.iter().find(|check| check.check == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in\n{report}"));
    let advice = check.advice.clone().unwrap_or_default();
    (check.status, check.found.clone(), advice)
}

/// Makes a sandbox return this response to every request.
pub(super) fn respond_with(
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
