//! The audit log: one line for each change and deletion that was sent, on the disk before it was, without anybody's data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use posthog_persons_mcp::policy::Confirm;
use posthog_persons_mcp::server::audit::AuditLog;
use posthog_sandbox::{Era, Fault, FaultKind, Sandbox};
use rmcp::ClientLifecycleMode;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ProtocolVersion};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::human::{Human, Reaction};
use crate::process::{binary, conversation, exit, run, send};
use crate::stdio::{connected, sandbox};
use crate::wire::{PATIENCE, WITH_HANDSHAKE};
use crate::writing::{GRACE, QA, confirmed, inject_fault, writing_calls, written};
use crate::{ADA, NOBODY, Session, Setup, connect_with};

const UPDATE: &str = "persons-update";
const DELETE: &str = "persons-bulk-delete";

/// A file of this test's own, which goes with it.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        let name = format!("audit-{}.jsonl", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// The outcomes, in the order of the lines.
    fn outcomes(&self) -> Vec<String> {
        let lines = self.lines();
        let outcome = |line: &Value| line["outcome"].as_str().unwrap().to_owned();
        lines.iter().map(outcome).collect()
    }

    /// Waits until the lines are so.
    async fn until(&self, so: impl Fn(&[Value]) -> bool) {
        let waiting = async {
            while !so(&self.lines()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = timeout(PATIENCE, waiting).await.is_ok();
        assert!(reached, "{}", self.text());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A session that keeps a log, and its user.
async fn logged(log: &Log, human: Human, confirm: Confirm) -> Session {
    connect_with(Setup {
        human,
        confirm,
        audit: Some(AuditLog::open(&log.0).unwrap()),
        ..Setup::default()
    })
    .await
}

async fn agreeing(log: &Log) -> Session {
    logged(log, Human::answering_with(Reaction::Tick), Confirm::Auto).await
}

#[tokio::test]
async fn each_write_has_a_line_that_says_what_and_not_which_value() {
    let log = Log::new();
    let session = agreeing(&log).await;
    let arguments =
        json!({"id": 101, "properties": {"email": "secret@example.com", "plan": "secret plan"}});
    session.call(UPDATE, arguments).await;
    let arguments =
        json!({"distinct_id": "ada@example.com", "key": "company", "value": {"secret": "value"}});
    session.call("persons-property-set", arguments).await;
    let arguments = json!({"id": ADA, "unset": ["plan", "seats"]});
    session.call("persons-property-delete", arguments).await;
    let arguments = json!({"distinct_id": "luigi@example.com"});
    session.call("persons-reset-distinct-id", arguments).await;
    let arguments = json!({"id": 102, "distinct_ids_to_split": ["katherine@example.com"]});
    session.call("persons-split", arguments).await;
    let arguments =
        json!({"distinct_ids": ["qa-1", "qa-2", "nobody@example.com"], "delete_events": true});
    session.call(DELETE, arguments).await;

    let line = |tool: &str, persons: &[&str], keys: &[&str], confirmation: &str| {
        json!({
            "tool": tool,
            "project": Sandbox::PROJECT,
            "persons": persons,
            "property_keys": keys,
            "confirmation": confirmation,
            "outcome": "queued",
        })
    };
    let mut lines = log.lines();
    for line in &mut lines {
        let fields = line.as_object_mut().unwrap();
        let time = fields.remove("time").unwrap();
        let finished = fields.remove("finished").unwrap();
        for moment in [&time, &finished] {
            let moment = moment.as_str().unwrap();
            assert_eq!(moment.len(), "2026-11-02T09:00:00.000Z".len(), "{moment}");
            assert!(
                moment.starts_with("20") && moment.ends_with('Z'),
                "{moment}"
            );
        }
        assert!(time.as_str() <= finished.as_str(), "{time} {finished}");
    }
    let none: &[&str] = &[];
    assert_eq!(
        lines,
        [
            line(UPDATE, &[ADA], &["email", "plan"], "not needed"),
            line("persons-property-set", &[ADA], &["company"], "not needed"),
            line(
                "persons-property-delete",
                &[ADA],
                &["plan", "seats"],
                "not needed"
            ),
            line("persons-reset-distinct-id", &[], none, "not needed"),
            line("persons-split", &[GRACE], none, "elicitation"),
            line(DELETE, &[QA[0], QA[1]], none, "elicitation"),
        ]
    );
    let text = log.text();
    for secret in ["secret", "@", "qa-1", Sandbox::KEY, "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn a_line_says_who_agreed() {
    let deletion = json!({"ids": [QA[0]]});
    let confirmation = |log: &Log| log.lines()[0]["confirmation"].clone();

    let log = Log::new();
    confirmed(
        &logged(&log, Human::default(), Confirm::Auto).await,
        DELETE,
        deletion.clone(),
    )
    .await;
    assert_eq!(confirmation(&log), "token");

    let log = Log::new();
    logged(&log, Human::default(), Confirm::Off)
        .await
        .call(DELETE, deletion.clone())
        .await;
    assert_eq!(confirmation(&log), "off");

    let log = Log::new();
    let session = connect_with(Setup {
        human: Human::answering_with(Reaction::Tick),
        lifecycle: ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
        audit: Some(AuditLog::open(&log.0).unwrap()),
        ..Setup::default()
    })
    .await;
    session.call(DELETE, deletion).await;
    assert_eq!(confirmation(&log), "input required");
}

#[tokio::test]
async fn what_is_not_sent_leaves_no_line() {
    let log = Log::new();
    let deletion = json!({"ids": [QA[0]]});
    for reaction in [
        Reaction::LeaveUnticked,
        Reaction::Decline,
        Reaction::Dismiss,
    ] {
        let session = logged(&log, Human::answering_with(reaction), Confirm::Auto).await;
        session.error(DELETE, deletion.clone()).await;
    }
    let strict = logged(&log, Human::default(), Confirm::Strict).await;
    strict.error(DELETE, deletion.clone()).await;

    let session = logged(&log, Human::default(), Confirm::Auto).await;
    session.call("persons-retrieve", json!({"id": ADA})).await;
    session.call(DELETE, deletion.clone()).await;
    let mut forged = deletion.clone();
    forged["confirmation"] = json!("forged");
    session.error(DELETE, forged).await;
    let mut looked_at = deletion;
    looked_at["dry_run"] = json!(true);
    session.call(DELETE, looked_at).await;
    session.error(DELETE, json!({"ids": [NOBODY]})).await;
    session
        .error(UPDATE, json!({"id": ADA, "properties": {}}))
        .await;
    session
        .error(UPDATE, json!({"id": 999_999, "properties": {"plan": 1}}))
        .await;
    assert_eq!(log.text(), "");
    assert_eq!(written(&session), []);
}

/// One line for each call, whatever came of it.
#[tokio::test]
async fn a_line_says_what_became_of_the_request() {
    let log = Log::new();
    let mut setup = Setup {
        human: Human::answering_with(Reaction::Tick),
        audit: Some(AuditLog::open(&log.0).unwrap()),
        ..Setup::default()
    };
    setup.sandbox.era = Era::June2026;
    let session = connect_with(setup).await;
    let update = json!({"id": ADA, "properties": {"plan": "team"}});
    let patch = format!("PATCH B/{ADA}/");
    let mut expected = Vec::new();

    session.call(UPDATE, update.clone()).await;
    expected.push("queued");
    for (what, outcome) in [
        (FaultKind::ServerError { status: 502 }, "unknown"),
        (FaultKind::DropAfterEffect, "unknown"),
        (FaultKind::Throttle { retry_after: 57 }, "not done"),
        (
            FaultKind::json(
                400,
                &json!({"type": "validation_error", "code": "invalid_input", "detail": "No.", "attr": null}),
            ),
            "not done",
        ),
        (
            FaultKind::json(
                404,
                &json!({"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": null}),
            ),
            "not done",
        ),
    ] {
        inject_fault(&session, &patch, what);
        session.error(UPDATE, update.clone()).await;
        expected.push(outcome);
    }
    session.call(DELETE, json!({"ids": [QA[0]]})).await;
    expected.push("done");
    session.sandbox.update_behaviors(|behaviors| {
        behaviors.deletion_fails_at = Some("delete_postgres".to_owned())
    });
    session.call(DELETE, json!({"ids": [QA[1], QA[2]]})).await;
    expected.push("partly done");
    session.call(DELETE, json!({"ids": [QA[1]]})).await;
    expected.push("not done");
    inject_fault(&session, "POST B/bulk_delete/", FaultKind::DropBeforeEffect);
    session.error(DELETE, json!({"ids": [QA[1]]})).await;
    expected.push("unknown");

    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.restricted_properties = vec!["seats".to_owned()]);
    let some = json!({"id": ADA, "unset": ["plan", "seats"]});
    session.call("persons-property-delete", some).await;
    expected.push("partly done");
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.capture_down = true);
    session
        .error(
            "persons-property-delete",
            json!({"id": ADA, "unset": "plan"}),
        )
        .await;
    expected.push("not done");

    assert_eq!(log.outcomes(), expected);
    assert!(log.lines().iter().all(|line| line["finished"].is_string()));
}

#[tokio::test]
async fn a_split_that_was_seen_is_done() {
    let log = Log::new();
    let session = agreeing(&log).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = true);
    let arguments =
        json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com"], "wait_seconds": 1});
    session.call("persons-split", arguments.clone()).await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = false);
    let moved = json!({"results": {"katherine@example.com": {
        "id": 1001, "uuid": "cb6afac3-9b8e-52f6-90cd-885fdcc94639", "name": "", "distinct_ids": ["katherine@example.com"], "properties": {},
    }}});
    inject_fault(
        &session,
        "POST B/batch_by_distinct_ids/",
        FaultKind::json(200, &moved),
    );
    session.call("persons-split", arguments).await;
    assert_eq!(log.outcomes(), ["queued", "done"]);
}

/// The intent is on the disk while the request is under way.
#[tokio::test]
async fn the_line_is_there_before_the_answer() {
    let log = Log::new();
    let session = agreeing(&log).await;
    for (tool, arguments, request) in writing_calls().await {
        let before = log.lines().len();
        inject_fault(
            &session,
            &request,
            FaultKind::Delay(Duration::from_millis(300)),
        );
        let call = session.call(tool, arguments);
        let look = async {
            log.until(|lines| lines.len() > before).await;
            let line = log.lines()[before].clone();
            assert_eq!(line["tool"], tool);
            assert_eq!(line["outcome"], "started", "{tool}");
            assert_eq!(line.get("finished"), None, "{tool}");
        };
        futures::future::join(call, look).await;
        assert_eq!(log.outcomes()[before], "queued", "{tool}");
    }
}

/// The request may have arrived: what became of it is still written down.
#[tokio::test]
async fn a_cancelled_call_completes_its_line() {
    let log = Log::new();
    let session = agreeing(&log).await;
    let request = format!("PATCH B/{ADA}/");
    inject_fault(
        &session,
        &request,
        FaultKind::Delay(Duration::from_millis(200)),
    );
    let arguments = json!({"id": ADA, "properties": {"plan": "team"}});
    let call =
        CallToolRequestParams::new(UPDATE).with_arguments(arguments.as_object().unwrap().clone());
    let pending = session
        .client
        .send_cancellable_request(
            ClientRequest::CallToolRequest(CallToolRequest::new(call)),
            PeerRequestOptions::no_options(),
        )
        .await
        .unwrap();
    log.until(|lines| lines.len() == 1).await;
    assert_eq!(log.outcomes(), ["started"]);
    pending.cancel(Some("enough".to_owned())).await.unwrap();
    log.until(|lines| lines[0]["outcome"] != "started").await;
    assert_eq!(log.outcomes(), ["queued"]);
    assert_eq!(written(&session).len(), 1);
}

#[tokio::test]
async fn many_writes_at_once_each_have_a_whole_line() {
    let log = Log::new();
    let (one, other) = (agreeing(&log).await, agreeing(&log).await);
    let calls = (0..60).map(|number| {
        let session = if number % 2 == 0 { &one } else { &other };
        let arguments = json!({"id": ADA, "properties": {format!("key {number}"): number}});
        session.call(UPDATE, arguments)
    });
    futures::future::join_all(calls).await;
    let mut keys: Vec<String> = log
        .lines()
        .iter()
        .map(|line| line["property_keys"][0].as_str().unwrap().to_owned())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 60);
    assert!(log.outcomes().iter().all(|outcome| outcome == "queued"));
}

#[tokio::test]
async fn what_was_in_the_log_stays() {
    let log = Log::new();
    for _ in 0..2 {
        agreeing(&log)
            .await
            .call(UPDATE, json!({"id": ADA, "properties": {"plan": 1}}))
            .await;
    }
    assert_eq!(log.outcomes(), ["queued", "queued"]);
}

/// A key is whatever a caller makes of it.
#[tokio::test]
async fn a_hostile_property_name_stays_in_its_line() {
    let log = Log::new();
    let key = "plan\n{\"tool\": \"forged\"}\"\u{2028}\\";
    agreeing(&log)
        .await
        .call(UPDATE, json!({"id": ADA, "properties": {key: 1}}))
        .await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["property_keys"], json!([key]));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let log = Log::new();
    AuditLog::open(&log.0).unwrap();
    let mode = std::fs::metadata(&log.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A disk that is full: without its line nothing is sent.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    let session = connect_with(Setup {
        human: Human::answering_with(Reaction::Tick),
        audit: Some(AuditLog::open(Path::new("/dev/full")).unwrap()),
        ..Setup::default()
    })
    .await;
    for (tool, arguments, _) in writing_calls().await {
        let error = session.error(tool, arguments).await;
        assert!(
            error.starts_with("The audit log cannot be written"),
            "{tool}: {error}"
        );
        assert!(error.contains("Nothing was sent"), "{tool}: {error}");
        assert_eq!(written(&session), [], "{tool}");
    }
    // Reading needs no line.
    session.call("persons-retrieve", json!({"id": ADA})).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_words_about_it_have_no_gap() {
    let session = connect_with(Setup {
        audit: Some(AuditLog::open(Path::new("/dev/full")).unwrap()),
        ..Setup::default()
    })
    .await;
    let arguments = json!({"id": ADA, "properties": {"plan": 1}});
    let error = session.error(UPDATE, arguments).await;
    assert!(!error.contains("  "), "{error}");
}

// Through the binary.

#[tokio::test]
async fn a_log_that_cannot_be_opened_stops_the_start() {
    let directory = std::env::temp_dir();
    let nowhere = directory.join("no such directory").join("audit.jsonl");
    for path in [directory, nowhere] {
        let path = path.to_str().unwrap();
        for command in [
            &["--sandbox", "--audit-log", path][..],
            &["call", "persons-list", "--sandbox", "--audit-log", path],
        ] {
            let ended = run(binary(command), "").await;
            assert!(ended.refusal().contains(path), "{}", ended.stderr);
        }
        let mut command = binary(&["--sandbox"]);
        command.env("POSTHOG_MCP_AUDIT_LOG", path);
        assert!(run(command, "").await.refusal().contains(path));
    }
}

#[tokio::test]
async fn the_flag_keeps_a_log() {
    let log = Log::new();
    let arguments = json!({"id": ADA, "properties": {"plan": "secret"}});
    let input = conversation(
        WITH_HANDSHAKE[2],
        &[(UPDATE, arguments), (DELETE, json!({"ids": [QA[0]]}))],
    );
    let command = binary(&[
        "--sandbox",
        "--confirm",
        "off",
        "--audit-log",
        log.0.to_str().unwrap(),
    ]);
    let ended = run(command, &input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.answer(3)["result"]["isError"], false);
    let mut tools: Vec<String> = log
        .lines()
        .iter()
        .map(|line| line["tool"].as_str().unwrap().to_owned())
        .collect();
    tools.sort_unstable();
    assert_eq!(tools, [DELETE, UPDATE]);
    assert_eq!(log.outcomes(), ["queued", "queued"]);
    assert!(!log.text().contains("secret"), "{}", log.text());
}

/// Clients ask a server that does not end by itself to terminate.
#[cfg(unix)]
#[tokio::test]
async fn a_write_that_is_under_way_is_written_down_before_a_signal_ends_the_process() {
    for signal in ["-TERM", "-INT"] {
        let sandbox = sandbox().await;
        let slow = FaultKind::Delay(Duration::from_secs(1));
        sandbox.inject(Fault::always("update_property", slow));
        let log = Log::new();
        // There to look at before the process has begun.
        AuditLog::open(&log.0).unwrap();
        let arguments = ["--audit-log", log.0.to_str().unwrap()];
        let mut command = connected(&arguments, &sandbox.url(), Sandbox::KEY);
        let mut child = command.spawn().unwrap();
        let call = json!({"id": ADA, "key": "plan", "value": "pro"});
        let input = conversation(WITH_HANDSHAKE[3], &[("persons-property-set", call)]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        log.until(|lines| lines.len() == 1).await;
        assert_eq!(log.outcomes(), ["started"]);
        send(&child, signal).await;
        assert_eq!(exit(child).await, Some(0), "{signal}");
        assert_eq!(log.outcomes(), ["queued"], "{signal}");
    }
}

#[tokio::test]
async fn the_setting_for_confirmation_reaches_the_gate() {
    for (mode, says) in [
        ("auto", "Nothing was sent yet."),
        ("strict", "Rejected: "),
        ("off", "Queued, not done yet"),
    ] {
        let input = conversation(WITH_HANDSHAKE[2], &[(DELETE, json!({"ids": [QA[0]]}))]);
        let mut command = binary(&["--sandbox"]);
        command.env("POSTHOG_MCP_CONFIRM", mode);
        let ended = run(command, &input).await;
        let answer = ended.answer(2);
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(says), "{mode}: {text}");
    }
    // A token would be worth nothing to the next process.
    let arguments = json!({"ids": [QA[0]]}).to_string();
    let ended = run(binary(&["call", DELETE, &arguments, "--sandbox"]), "").await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("Rejected: "), "{}", ended.stdout);
}

/// Whatever is asked for in logs.
#[tokio::test]
async fn the_logs_hold_nothing_of_a_write() {
    let log = Log::new();
    let secret = json!({"email": "secret@example.com", "plan": "secret"});
    let calls = [
        (UPDATE, json!({"id": ADA, "properties": secret})),
        (
            "persons-property-set",
            json!({"distinct_id": "ada@example.com", "key": "plan", "value": "secret"}),
        ),
        (
            "persons-property-delete",
            json!({"distinct_id": "ada@example.com", "unset": ["secret"]}),
        ),
        (
            "persons-reset-distinct-id",
            json!({"distinct_id": "secret@example.com"}),
        ),
        (
            "persons-split",
            json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com"]}),
        ),
        (
            DELETE,
            json!({"distinct_ids": ["qa-1", "secret@example.com"]}),
        ),
    ];
    for mode in ["auto", "off"] {
        let mut command = binary(&[
            "--sandbox",
            "--log",
            "trace",
            "--confirm",
            mode,
            "--audit-log",
            log.0.to_str().unwrap(),
        ]);
        command.env("RUST_LOG", "trace");
        let ended = run(command, &conversation(WITH_HANDSHAKE[3], &calls)).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("called"), "{}", ended.stderr);
        for secret in ["secret", "@", "qa-1", Sandbox::KEY, ADA, GRACE, "rs1."] {
            assert!(!ended.stderr.contains(secret), "{secret}: {}", ended.stderr);
        }
    }
}
