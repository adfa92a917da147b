//! Runs every tool against every fault: each call returns in time with a valid result or the expected error, no write
//! is sent twice, and the next call works.

use std::time::Duration;

use futures::future::join_all;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Fault, FaultKind, ResponseFault, Sandbox};
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::result_invariants::example;
use crate::unknown_outcome::{UNKNOWN, suggested_read};
use crate::writing::{approving_with, full_path, writes, writing_calls};
use crate::{Session, text};

/// For concurrent calls of all tools; many times what they need.
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The client's timeout for faults without a response.
const SHORT_TIMEOUT: Duration = Duration::from_secs(3);

/// A fault and its expected effect.
struct Case {
    fault: FaultKind,
    /// An error contains one of these.
    messages: &'static [&'static str],
    fails: Fails,
    /// Whether a failed write may have been performed.
    may_be_done: bool,
    max_response_bytes: usize,
    timeout: Duration,
}

/// Which tools fail.
#[derive(PartialEq)]
enum Fails {
    All,
    /// At least one: those that read the part that the fault changes.
    Some,
    None,
}

impl Case {
    fn new(fault: FaultKind, messages: &'static [&'static str]) -> Self {
        Self {
            fault,
            messages,
            fails: Fails::All,
            may_be_done: true,
            max_response_bytes: 1024 * 1024,
            timeout: Duration::from_secs(60),
        }
    }

    /// Some tools do not read the part that the fault changes.
    fn some(fault: FaultKind, messages: &'static [&'static str]) -> Self {
        Self {
            fails: Fails::Some,
            ..Self::new(fault, messages)
        }
    }

    fn harmless(fault: FaultKind) -> Self {
        Self {
            fails: Fails::None,
            ..Self::new(fault, &[])
        }
    }

    /// A failed write was definitely not performed.
    fn not_done(mut self) -> Self {
        self.may_be_done = false;
        self
    }

    fn max_response_bytes(mut self, max_response_bytes: usize) -> Self {
        self.max_response_bytes = max_response_bytes;
        self
    }

    fn short_timeout(mut self) -> Self {
        self.timeout = SHORT_TIMEOUT;
        self
    }
}

/// The example call of every tool.
fn every_call() -> Vec<(&'static str, Value)> {
    let tools = catalog().into_iter();
    tools.map(|tool| (tool.name, example(&tool))).collect()
}

async fn call_concurrently(
    session: &Session,
    calls: &[(&'static str, Value)],
) -> Vec<CallToolResult> {
    let calls = calls
        .iter()
        .map(|(tool, arguments)| session.result(tool, arguments.clone()));
    timeout(CALL_TIMEOUT, join_all(calls))
        .await
        .expect("in time")
}

/// Repeats the calls without the fault.
async fn recover(session: &Session, case: &Case, calls: &[(&'static str, Value)]) {
    session.sandbox.clear_faults();
    for ((tool, _), result) in calls.iter().zip(call_concurrently(session, calls).await) {
        let text = text(&result);
        assert_eq!(
            result.is_error,
            Some(false),
            "{tool} after {:?}: {text}",
            case.fault
        );
    }
    writes(session);
}

/// Checks the result of one tool under the fault; returns whether it failed.
fn check_result(case: &Case, tool: &str, times: usize, result: &CallToolResult) -> bool {
    let (text, lower) = (text(result), text(result).to_lowercase());
    let context = format!("{tool}, sent {times} times: {text}");
    if !matches!(case.fault, FaultKind::Throttle { .. }) {
        assert!(times <= 1, "{context}");
    }
    if result.is_error != Some(true) {
        return false;
    }
    let expected = case.messages.iter().any(|message| text.contains(message));
    assert!(expected, "{context}");
    if times > 0 && case.may_be_done {
        assert!(text.starts_with(UNKNOWN), "{context}");
        assert!(text.contains(suggested_read(tool)), "{context}");
    } else {
        assert!(!lower.contains("unknown"), "{context}");
    }
    if times > 0 && !case.may_be_done {
        assert!(lower.contains("nothing was"), "{context}");
    }
    true
}

fn check_failures(case: &Case, failed: &[bool]) {
    let count = failed.iter().filter(|failed| **failed).count();
    let expected = match case.fails {
        Fails::All => count == failed.len(),
        Fails::Some => count > 0,
        Fails::None => count == 0,
    };
    assert!(expected, "{count} of {} failed", failed.len());
}

async fn run_case(case: Case) {
    let session = approving_with(|setup| {
        // Supported by every endpoint.
        setup.key = Sandbox::LEGACY_KEY;
        setup.max_response_bytes = case.max_response_bytes;
        setup.timeout = case.timeout;
    })
    .await;
    let write_calls = writing_calls().await;
    let times = |requests: &[String], tool: &str| {
        let write = write_calls.iter().find(|(name, ..)| *name == tool);
        let same = |request: &&String| write.is_some_and(|(_, _, write)| write == *request);
        requests.iter().filter(same).count()
    };

    // Every request fails, including the reads before a deletion, which is then not sent.
    let all = every_call();
    session
        .sandbox
        .inject(Fault::always("", case.fault.clone()));
    let results = call_concurrently(&session, &all).await;
    let requests = writes(&session);
    let failed = all
        .iter()
        .zip(&results)
        .map(|((tool, _), result)| check_result(&case, tool, times(&requests, tool), result));
    check_failures(&case, &failed.collect::<Vec<_>>());
    recover(&session, &case, &all).await;

    // Only the write fails.
    for (_, _, request) in &write_calls {
        let fault = Fault::always(&full_path(request), case.fault.clone());
        session.sandbox.inject(fault);
    }
    let all = write_calls
        .clone()
        .into_iter()
        .map(|(tool, arguments, _)| (tool, arguments));
    let all: Vec<_> = all.collect();
    let results = call_concurrently(&session, &all).await;
    let requests = writes(&session);
    let failed = all.iter().zip(&results).map(|((tool, _), result)| {
        let times = times(&requests, tool);
        assert!(times > 0, "{tool}");
        check_result(&case, tool, times, result)
    });
    let failed: Vec<bool> = failed.collect();
    if case.fails != Fails::Some {
        check_failures(&case, &failed);
    }
    recover(&session, &case, &all).await;
}

async fn run_cases(cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        let name = format!("{:.120}", format!("{:?}", case.fault));
        eprintln!("{name}");
        run_case(case).await;
    }
}

#[tokio::test]
async fn server_errors_and_rejections() {
    let failed = |status| FaultKind::ServerError { status };
    let envelope = json!({"type": "authentication_error", "code": "authentication_failed", "detail": "Invalid key.", "attr": null});
    run_cases([
        Case::new(failed(500), &["PostHog failed (status 500)"]),
        Case::new(failed(502), &["PostHog failed (status 502)"]),
        Case::new(failed(503), &["PostHog failed (status 503)"]),
        Case::new(failed(504), &["PostHog failed (status 504)"]),
        Case::new(failed(512), &["PostHog failed (status 512)"]),
        Case::new(
            FaultKind::json(401, &envelope),
            &["rejected the API key", "rejected the project's token"],
        )
        .not_done(),
        Case::new(FaultKind::Throttle { retry_after: 0 }, &["rate limit"]).not_done(),
        Case::new(
            FaultKind::Throttle { retry_after: 57 },
            &["Wait 57 seconds"],
        )
        .not_done(),
    ])
    .await;
}

#[tokio::test]
async fn broken_connections() {
    const LOST: &[&str] = &["was lost"];
    run_cases([
        Case::new(FaultKind::DropBeforeEffect, LOST),
        Case::new(FaultKind::DropAfterEffect, LOST),
        Case::new(FaultKind::CutResponse { after_bytes: 12 }, LOST),
        Case::some(FaultKind::CutResponse { after_bytes: 180 }, LOST),
    ])
    .await;
}

#[tokio::test]
async fn responses_of_another_server() {
    const PAGE: &[&str] = &["web page"];
    const ELSEWHERE: &[&str] = &["redirects to another address"];
    run_cases([
        Case::new(FaultKind::page(200), PAGE),
        Case::new(FaultKind::page(403), PAGE),
        Case::new(FaultKind::page(404), PAGE),
        Case::new(FaultKind::page(502), &["PostHog failed (status 502)"]),
        Case::new(
            FaultKind::redirect(302, "https://login.example/"),
            ELSEWHERE,
        )
        .not_done(),
        Case::new(FaultKind::redirect(307, "http://127.0.0.1:1/"), ELSEWHERE).not_done(),
    ])
    .await;
}

/// These wait for real timeouts, so they run concurrently.
#[tokio::test]
async fn missing_and_slow_responses() {
    const LATE: &[&str] = &["did not respond in time"];
    let drip = |bytes, milliseconds| {
        let every = Duration::from_millis(milliseconds);
        FaultKind::AlterResponse(ResponseFault::Drip { bytes, every })
    };
    join_all([
        run_case(Case::new(FaultKind::Stall, LATE).short_timeout()),
        run_case(Case::some(drip(1, 1000), LATE).short_timeout()),
        run_case(Case::harmless(FaultKind::Delay(Duration::from_millis(100)))),
        run_case(Case::harmless(drip(500, 1))),
    ])
    .await;
}

#[tokio::test]
async fn responses_of_unexpected_shape() {
    const INVALID: &[&str] = &["response is invalid", "response was invalid"];
    let wrong =
        |field: &str, json: &str| Case::some(FaultKind::replace_field(field, json), INVALID);
    let whole = |body: Value| Case::some(FaultKind::json(200, &body), INVALID);
    run_cases([
        wrong("distinct_ids", "\"ada@example.com\""),
        wrong("distinct_ids", "[1, 2]"),
        wrong("properties", "[\"email\"]"),
        wrong("properties", "7"),
        wrong("results", "{\"uuid\": \"x\"}"),
        wrong("uuid", "5"),
        wrong("persons_found", "\"two\""),
        wrong("results", "[{}]"),
        // Invalid JSON that Python writes by default.
        wrong("properties", "{\"score\": NaN}"),
        wrong("results", "[{\"uuid\": "),
        whole(json!([])),
        whole(json!("done")),
        whole(json!({})),
        whole(Value::Null),
    ])
    .await;
}

/// Data of end users must not make other data unreadable.
#[tokio::test]
async fn hostile_properties() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for levels in [100, 120, 123, 124, 125, 126, 127, 128, 5000] {
        let (arrays, objects) = (deep(levels), objects(levels));
        let properties =
            format!("{{\"email\": {arrays}, \"$geoip_country_code\": {objects}, \"plan\": 1}}");
        run_case(Case::harmless(FaultKind::replace_field(
            "properties",
            properties,
        )))
        .await;
    }
    run_cases([
        Case::harmless(FaultKind::replace_field("after", deep(5000))),
        Case::some(
            FaultKind::replace_field("name", deep(5000)),
            &["response is invalid"],
        ),
        // Unpaired surrogates, which JSON can encode but no string can hold.
        Case::harmless(FaultKind::replace_field(
            "properties",
            r#"{"\ud800": 1, "email": "\udc00", "plan": 1}"#,
        )),
        Case::harmless(FaultKind::replace_field(
            "properties",
            r#"{"email": 1e999, "": -0.0, "__proto__": {}, "plan": 1}"#,
        )),
    ])
    .await;
}

#[tokio::test]
async fn oversized_responses() {
    const LONG: &[&str] = &[
        "exceeds the limit of 1048576 bytes",
        "response was too large",
    ];
    const LONG_BY_DEFAULT: &[&str] = &[
        "exceeds the limit of 33554432 bytes",
        "response was too large",
    ];
    const DEFAULT: usize = 32 * 1024 * 1024;
    let property = |bytes| {
        let email = "x".repeat(bytes);
        FaultKind::replace_field(
            "properties",
            format!("{{\"email\": \"{email}\", \"plan\": 1}}"),
        )
    };
    let (padded, bomb) = (
        ResponseFault::Pad { bytes: 100_000_000 },
        ResponseFault::GzipBomb { mebibytes: 110 },
    );
    run_cases([
        Case::some(FaultKind::AlterResponse(padded), LONG),
        Case::some(FaultKind::AlterResponse(bomb), LONG),
        Case::harmless(property(300_000)).max_response_bytes(DEFAULT),
        Case::some(property(5_000_000), LONG_BY_DEFAULT).max_response_bytes(DEFAULT),
    ])
    .await;
}
