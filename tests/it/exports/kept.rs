//! An export that PostHog's rate limit ends, and that goes on later.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use posthog_persons_mcp::output::Redaction;
use posthog_sandbox::{Fault, FaultKind, Key, Sandbox};
use serde_json::{Map, Value, json};

use super::Archive;
use crate::{Session, Setup, connect_to, connect_with, text};

const EXPORT: &str = "persons-export";
const OTHER_KEY: &str = "phx_another_4b1d";
const EVENTS: usize = 3000;

fn setup() -> Setup {
    let mut setup = Setup::persons(1600);
    setup.sandbox.events = EVENTS;
    setup.sandbox.keys = vec![Key::scoped(OTHER_KEY, &["*"])];
    setup
}

fn redacting() -> Setup {
    let mut setup = setup();
    setup.limits.redaction = Redaction::new(&["email".to_owned()], false);
    setup
}

fn person() -> Value {
    json!({"id": Sandbox::LONG_HISTORY})
}

fn list() -> Value {
    json!({"search": "@example.net", "select": ["email", "plan"]})
}

/// After this number of queries, one is refused for an hour.
fn limit_after(sandbox: &Sandbox, queries: usize) {
    let none = FaultKind::Delay(Duration::ZERO);
    sandbox.inject(Fault {
        times: queries,
        ..Fault::once("/query/", none)
    });
    let hour = FaultKind::Throttle { retry_after: 3594 };
    sandbox.inject(Fault::once("/query/", hour));
}

/// The text of an export that ends at a limit, with something kept.
async fn interrupted(session: &Session, arguments: Value, queries: usize) -> String {
    limit_after(&session.sandbox, queries);
    let text = session.error(EXPORT, arguments).await;
    session.sandbox.clear_faults();
    assert!(
        text.starts_with("The export is not complete, and there is no file yet.")
            && text.contains("Wait 60 minutes")
            && text.contains("the same export goes on from there."),
        "{text}"
    );
    text
}

/// The names of files that are kept.
fn kept(session: &Session) -> Vec<String> {
    let mut names = session.exports.names();
    names.retain(|name| name.ends_with(".partial"));
    names
}

/// The content of the file of a successful export, which is removed.
async fn exported(session: &Session, arguments: Value) -> (Value, Vec<u8>) {
    let result = session.call(EXPORT, arguments).await;
    let uri: url::Url = result["file"]["uri"].as_str().unwrap().parse().unwrap();
    let path = uri.to_file_path().unwrap();
    let content = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    (result, content)
}

/// The queries for events or persons since the last call.
fn pages(session: &Session) -> usize {
    let queries = session.queries().into_iter();
    let pages = queries.filter(|query| {
        query["query"]
            .to_string()
            .contains("order by timestamp asc")
            || query["select"][0] == "person"
    });
    let count = pages.count();
    session.sandbox.clear_requests();
    count
}

#[tokio::test]
async fn events_go_on_where_they_ended_without_a_gap_or_a_repetition() {
    let session = connect_with(setup()).await;
    let (whole, expected) = exported(&session, person()).await;
    let expected = Archive::read(&expected);
    let all = pages(&session);
    assert!(all >= 3, "{all} pages");

    let text = interrupted(&session, person(), 4).await;
    assert!(text.contains(&format!(" of {EVENTS})")), "{text}");
    assert_eq!(kept(&session).len(), 1);
    assert_eq!(session.exports.names().len(), 1);
    // What happens meanwhile is later than the first attempt.
    session.sandbox.advance(Duration::from_secs(3600));
    session
        .sandbox
        .capture("ines@example.com", "later", Map::new());
    session.sandbox.advance(Duration::from_secs(60));
    // Another process, and a limit once more.
    let (sandbox, exports) = (session.sandbox.clone(), Arc::clone(&session.exports));
    let session = connect_to(sandbox, exports, setup()).await;
    session.sandbox.clear_requests();
    interrupted(&session, person(), 1).await;
    let (result, archive) = exported(&session, person()).await;
    let queries = session.queries();
    let mut logs = queries.iter().filter(|query| {
        let text = query["query"].as_str().unwrap_or_default();
        text.contains("order by timestamp asc")
    });
    assert!(
        logs.all(|query| query["values"]["ts"].is_string()),
        "none begins at the beginning"
    );
    let archive = Archive::read(&archive);
    for file in [
        "events.jsonl",
        "events.csv",
        "recordings.csv",
        "cohorts.json",
    ] {
        assert_eq!(archive.text(file), expected.text(file), "{file}");
    }
    let of = |archive: &Archive, field: &str| archive.json("manifest.json")[field].clone();
    for field in [
        "began_at",
        "events",
        "events_from",
        "events_until",
        "missing",
    ] {
        assert_eq!(of(&archive, field), of(&expected, field), "{field}");
    }
    assert_eq!(result["events"], EVENTS);
    assert_eq!(result["complete"], whole["complete"]);
    assert_eq!(session.exports.names(), Vec::<String>::new());
    assert_eq!(session.sandbox.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn list_goes_on_where_it_ended() {
    // With queries, and by position.
    for (key, path) in [(Sandbox::KEY, "/query/"), (Sandbox::READ_KEY, "persons/")] {
        let session = connect_with(Setup { key, ..setup() }).await;
        let (whole, expected) = exported(&session, list()).await;
        let none = FaultKind::Delay(Duration::ZERO);
        session.sandbox.inject(Fault {
            times: 3,
            ..Fault::once(path, none)
        });
        let hour = FaultKind::Throttle { retry_after: 3594 };
        session.sandbox.inject(Fault::once(path, hour));
        let text = session.error(EXPORT, list()).await;
        assert!(text.contains("goes on from there"), "{text}");
        session.sandbox.clear_faults();
        // Who arrives now was not there when the export began.
        let set = json!({"$set": {"email": "late@example.net"}});
        let set = set.as_object().unwrap().clone();
        session.sandbox.capture("late", "sign up", set);
        session.sandbox.advance(Duration::from_secs(60));
        let (result, csv) = exported(&session, list()).await;
        assert!(csv == expected, "{key}");
        for field in ["sha256", "bytes"] {
            assert_eq!(result["file"][field], whole["file"][field], "{field}");
        }
        for field in ["persons", "counted", "complete", "missing"] {
            assert_eq!(result[field], whole[field], "{field}");
        }
        assert_eq!(session.exports.names(), Vec::<String>::new());
    }
}

/// Neither values that are withheld nor what is read to find them are on the disk, in whichever reading it ends.
#[tokio::test]
async fn kept_file_has_nothing_that_is_withheld() {
    let session = connect_with(redacting()).await;
    for email in ["earlier@example.com", "ines@example.com"] {
        let properties = json!({"$set": {"email": email}, "note": "not earlier@example.com"});
        let properties = properties.as_object().unwrap().clone();
        session
            .sandbox
            .capture("ines@example.com", "moved", properties);
        session.sandbox.advance(Duration::from_secs(60));
    }
    let (_, expected) = exported(&session, person()).await;
    let expected = Archive::read(&expected);
    let all = pages(&session);
    for queries in [4, 2 + all - 1] {
        interrupted(&session, person(), queries).await;
        let path = session.exports.file();
        let content = std::fs::read(&path).unwrap();
        let content = String::from_utf8_lossy(&content);
        for secret in ["earlier@", "ines@", "is_complete"] {
            let found = content
                .find(secret)
                .map(|at| &content[at.saturating_sub(200)..]);
            assert_eq!(
                found.map(|text| &text[..250.min(text.len())]),
                None,
                "{secret}"
            );
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let (_, archive) = exported(&session, person()).await;
        let archive = Archive::read(&archive);
        for file in ["events.jsonl", "events.csv", "person.json"] {
            assert_eq!(archive.text(file), expected.text(file), "{file}");
            assert!(!archive.text(file).contains("earlier@"), "{file}");
        }
    }
}

/// Whoever exports something else, or with another key or other settings, begins anew and leaves what is kept.
#[tokio::test]
async fn only_the_same_export_goes_on() {
    let session = connect_with(setup()).await;
    interrupted(&session, person(), 4).await;
    let name = kept(&session);
    let again = |setup: Setup| {
        let (sandbox, exports) = (session.sandbox.clone(), Arc::clone(&session.exports));
        connect_to(sandbox, exports, setup)
    };
    let limited = json!({"id": Sandbox::LONG_HISTORY, "date_from": "2025-01-01"});
    for (setup, arguments) in [
        (setup(), limited),
        (setup(), list()),
        (redacting(), person()),
        (
            Setup {
                key: OTHER_KEY,
                ..setup()
            },
            person(),
        ),
    ] {
        let other = again(setup).await;
        exported(&other, arguments).await;
        assert_eq!(kept(&session), name);
    }
    session.sandbox.clear_requests();
    exported(&again(setup()).await, person()).await;
    assert_eq!(session.exports.names(), Vec::<String>::new());
}

/// A kept file stays for a day, whether the process goes on or ends.
#[tokio::test]
async fn kept_file_goes_after_a_day() {
    let session = connect_with(setup()).await;
    interrupted(&session, list(), 2).await;
    let path = session.exports.file();
    session.exports.exports();
    assert!(path.exists(), "it is not old");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let yesterday = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    file.set_modified(yesterday).unwrap();
    let (_, whole) = exported(&session, list()).await;
    assert!(!whole.is_empty() && path.exists(), "it begins anew");
    session.exports.exports();
    assert!(!path.exists(), "removed at start");

    interrupted(&session, list(), 2).await;
    let path = session.exports.file();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(24 * 60 * 60 - 10)).await;
    assert!(path.exists());
    tokio::time::advance(Duration::from_secs(20)).await;
    tokio::time::resume();
    tokio::task::yield_now().await;
    assert!(!path.exists(), "removed by the process");
}

/// An export that goes on, and is cancelled or fails for good, leaves nothing.
#[tokio::test]
async fn failure_of_a_later_attempt_leaves_nothing() {
    let session = connect_with(setup()).await;
    interrupted(&session, person(), 4).await;
    let failure = FaultKind::ServerError { status: 500 };
    session.sandbox.inject(Fault::always("activity", failure));
    let result = session.result(EXPORT, person()).await;
    let text = text(&result);
    assert!(
        text.starts_with("The export ended, and no file was written."),
        "{text}"
    );
    assert_eq!(session.exports.names(), Vec::<String>::new());
}

/// The endpoint would show the cohorts of the project that the key's owner has selected.
#[tokio::test]
async fn cohorts_wait_for_a_rate_limit_as_everything_else_does() {
    let session = connect_with(setup()).await;
    // Two counts and three pages of events; then the cohorts.
    let text = interrupted(&session, person(), 5).await;
    assert!(text.contains(&format!("({EVENTS} of {EVENTS})")), "{text}");
    let requests = session.requests();
    assert!(
        !requests.iter().any(|request| request.contains("cohorts")),
        "{requests:?}"
    );
    exported(&session, person()).await;
    assert_eq!(session.exports.names(), Vec::<String>::new());
}
