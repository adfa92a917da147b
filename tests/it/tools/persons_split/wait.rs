//! Waiting for the split.

use super::support::*;
use crate::text;
use crate::writing::{approving, approving_with, inject_fault, write_requests};
use insta::assert_snapshot;
use posthog_sandbox::{Clock, FaultKind};
use std::time::{Duration, Instant};

/// Takes as long as the sandbox's split, in real time.
#[tokio::test]
async fn wait_ends_when_every_distinct_id_has_moved() {
    let session = approving_with(|setup| setup.sandbox.clock = Clock::Real).await;
    let started = Instant::now();
    let result = session
        .result(TOOL, with(katherines(), "wait_seconds", 30))
        .await;
    let took = started.elapsed();
    assert!((4..15).contains(&took.as_secs()), "{took:?}");
    assert_snapshot!(text(&result), @r#"
    Done: moved, off person 707be5a0-b120-5ae0-b57a-f77976f29c41 "grace@example.com" of project 1, which keeps 2 distinct ids:
    - "katherine@example.com" to cb6afac3-9b8e-52f6-90cd-885fdcc94639 (moved)
    - "katherine-laptop" to 6651cb37-b670-5900-9cec-a4bd1bff21d0 (moved)
    "#);
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "done");
    assert_eq!(facts["moves"][0]["moved"], true);
    assert_eq!(write_requests(&session).len(), 1);
}

#[tokio::test]
async fn wait_timeout_lists_what_has_not_moved() {
    let session = approving().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = true);
    let result = session
        .result(TOOL, with(katherines(), "wait_seconds", 1))
        .await;
    assert_snapshot!(text(&result), @r#"
    Queued, not done yet: to be moved, off person 707be5a0-b120-5ae0-b57a-f77976f29c41 "grace@example.com" of project 1, which keeps 2 distinct ids:
    - "katherine@example.com" to cb6afac3-9b8e-52f6-90cd-885fdcc94639 (not moved yet)
    - "katherine-laptop" to 6651cb37-b670-5900-9cec-a4bd1bff21d0 (not moved yet)
    PostHog applies the split within seconds and reports no failure; verify with persons-batch-retrieve and the distinct ids.
    The person could not be compared with the plan yet: verify with persons-retrieve that it keeps its other distinct ids and its properties.
    "#);
    let facts = result.structured_content.unwrap();
    assert_eq!(facts["status"], "queued");
    assert_eq!(facts["moves"][0]["moved"], false);
    assert_eq!(facts["moves"][1]["moved"], false);
}

#[tokio::test]
async fn wait_lasts_wait_seconds() {
    let session = approving().await;
    session
        .sandbox
        .update_behaviors(|behaviors| behaviors.split_task_lost = true);
    let started = Instant::now();
    session
        .call(TOOL, with(katherines(), "wait_seconds", 1))
        .await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
}

/// A failed read while waiting neither undoes the split nor makes its outcome unknown.
#[tokio::test]
async fn failed_read_during_wait_is_no_failure() {
    let session = approving().await;
    inject_fault(
        &session,
        "POST B/batch_by_distinct_ids/",
        FaultKind::ServerError { status: 500 },
    );
    let result = session
        .call(TOOL, with(katherines(), "wait_seconds", 1))
        .await;
    assert_eq!(result["status"], "queued");
}
