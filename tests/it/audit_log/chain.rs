//! The chain of the lines: what becomes of the file while a server writes to it, and what `audit verify` finds.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use posthog_persons_mcp::audit::{AuditLog, ChainKey, Line, Write};
use proptest::prelude::*;
use serde_json::Value;

use super::support::*;
use crate::process::{ProcessOutput, binary, run};

fn write() -> Write {
    Write {
        tool: UPDATE,
        host: "https://eu.posthog.com".to_owned(),
        project: 1,
        key: "0123456789abcdef".to_owned(),
        persons: vec!["018f0000-0000-7000-8000-00000000000a".to_owned()],
        property_keys: Vec::new(),
        deletes: Vec::new(),
        merged_into: None,
        confirmation: "not needed",
    }
}

async fn begin(log: &AuditLog) -> Line {
    log.begin(write()).await.unwrap()
}

/// One write with its outcome: two lines.
async fn one(log: &AuditLog) {
    begin(log).await.complete("queued").await.unwrap();
}

async fn verify_with(path: &Path, more: &[&str]) -> ProcessOutput {
    let mut arguments = vec!["audit", "verify", path.to_str().unwrap()];
    arguments.extend(more);
    run(binary(&arguments), "").await
}

async fn assert_intact(log: &Log, says: &str) {
    let checked = verify_with(&log.0, &[]).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert!(checked.stdout.starts_with(says), "{}", checked.stdout);
}

async fn assert_damaged(path: &Path, more: &[&str], says: &str) {
    let checked = verify_with(path, more).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stdout);
    assert!(checked.stdout.contains(says), "{}", checked.stdout);
}

fn head(checked: &ProcessOutput) -> String {
    let line = checked.stdout.lines().last().unwrap();
    line.strip_prefix("head ").unwrap().to_owned()
}

#[tokio::test]
async fn lines_of_several_processes_form_one_chain() {
    let log = Log::new();
    let (one, other) = (log.open(), log.open());
    let first = begin(&one).await;
    let second = begin(&other).await;
    first.complete("done").await.unwrap();
    let _unfinished = begin(&one).await;
    second.complete("not done").await.unwrap();
    assert_eq!(log.outcomes(), ["done", "not done", "started"]);
    assert_intact(&log, "5 lines in the chain, 1 writes without an outcome\n").await;
}

#[tokio::test]
async fn changed_removed_and_moved_lines_are_found() {
    let log = Log::new();
    let writer = log.open();
    for _ in 0..3 {
        one(&writer).await;
    }
    let intact = log.text();
    let lines: Vec<&str> = intact.lines().collect();
    let joined = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let mut moved = lines.clone();
    moved.swap(2, 3);
    let mut removed = lines.clone();
    removed.remove(2);
    let mut inserted = lines.clone();
    inserted.insert(3, lines[1]);
    for (text, says) in [
        (intact.replacen("queued", "failed", 1), "line 3: "),
        (joined(&moved), "line 3: "),
        (joined(&removed), "line 3: "),
        (joined(&inserted), "line 4: "),
        (joined(&lines[1..]), "line 1: "),
        (intact.replacen("{", "", 1), "line 1: damaged"),
    ] {
        fs::write(&log.0, text).unwrap();
        assert_damaged(&log.0, &[], says).await;
    }
}

/// A chain does not show that its end is missing; the hash of the last line does.
#[tokio::test]
async fn removed_end_is_found_with_the_head() {
    let log = Log::new();
    let writer = log.open();
    one(&writer).await;
    one(&writer).await;
    let head = head(&verify_with(&log.0, &[]).await);
    assert_eq!(verify_with(&log.0, &["--head", &head]).await.code, Some(0));
    let text = log.text();
    let shorter: Vec<&str> = text.lines().take(2).collect();
    fs::write(&log.0, shorter.join("\n") + "\n").unwrap();
    assert_intact(&log, "2 lines in the chain").await;
    assert_damaged(&log.0, &["--head", &head], "the last line is not the one").await;
}

/// Who has no key cannot rewrite a file so that it fits.
#[tokio::test]
async fn rewritten_file_is_found_with_a_key() {
    let log = Log::new();
    let key = "a key of at least thirty-two characters";
    let key_file = std::env::temp_dir().join(format!("key-{}", uuid::Uuid::new_v4()));
    fs::write(&key_file, key).unwrap();
    let with_key = ["--audit-key-file", key_file.to_str().unwrap()];
    let keyed = AuditLog::open(&log.0, ChainKey::new(Some(key.into()))).unwrap();
    one(&keyed).await;
    assert_eq!(verify_with(&log.0, &with_key).await.code, Some(0));
    assert_damaged(&log.0, &[], "line 2: it does not follow").await;
    fs::remove_file(&log.0).unwrap();
    one(&log.open()).await;
    assert_intact(&log, "2 lines in the chain").await;
    assert_damaged(&log.0, &with_key, "line 2: it does not follow").await;
    fs::remove_file(&key_file).unwrap();
}

/// `copytruncate` of logrotate, between the two lines of a write.
#[tokio::test]
async fn truncation_overwrites_no_line() {
    let log = Log::new();
    let writer = log.open();
    one(&writer).await;
    let last = head(&verify_with(&log.0, &[]).await);
    let started = begin(&writer).await;
    let other = log.open();
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&log.0)
        .unwrap();
    one(&other).await;
    one(&other).await;
    // The other process wrote less than there was before.
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&log.0)
        .unwrap();
    started.complete("done").await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["note"].is_string());
    assert_ne!(lines[0]["last"], Value::from(last));
    assert_eq!(lines[1]["outcome"], "done");
    assert_intact(&log, "2 lines in the chain, 1 notes").await;
}

#[cfg(unix)]
#[tokio::test]
async fn renamed_or_deleted_file_is_followed_by_a_new_one() {
    let log = Log::new();
    let writer = log.open();
    one(&writer).await;
    let rotated = log.0.with_extension("1");
    fs::rename(&log.0, &rotated).unwrap();
    let started = begin(&writer).await;
    let last = head(&verify_with(&rotated, &[]).await);
    let lines = log.lines();
    assert_eq!(lines[0]["last"], Value::from(last));
    fs::remove_file(&log.0).unwrap();
    started.complete("unknown").await.unwrap();
    let lines = log.lines();
    assert_eq!(lines[1]["outcome"], "unknown");
    assert_intact(&log, "2 lines in the chain, 1 notes").await;
    fs::remove_file(rotated).unwrap();
}

#[tokio::test]
async fn half_a_line_swallows_no_line() {
    let log = Log::new();
    one(&log.open()).await;
    let whole = log.text();
    let half = whole.len() - 30;
    fs::write(&log.0, &whole[..half]).unwrap();
    one(&log.open()).await;
    let text = log.text();
    assert_eq!(text.lines().count(), 4);
    let checked = verify_with(&log.0, &[]).await;
    let problems: Vec<&str> = checked
        .stdout
        .lines()
        .filter(|line| line.starts_with("line "))
        .collect();
    assert_eq!(
        problems,
        ["line 2: damaged: it is not a JSON object of the log"]
    );
}

/// Version 0.1 completed its lines in place, and did not chain them.
#[tokio::test]
async fn lines_of_version_one_stay_and_count_as_unchained() {
    let log = Log::new();
    let line = r#"{"time":"2026-11-01T09:00:00.000Z","tool":"persons-update","project":1,"persons":[],"property_keys":[],"confirmation":"not needed","outcome":"queued","finished":"2026-11-01T09:00:00.100Z"      }"#;
    fs::write(&log.0, format!("{line}\n{line}\n")).unwrap();
    one(&log.open()).await;
    assert!(log.text().starts_with(line));
    assert_intact(&log, "2 lines in the chain, 2 lines of version 0.1").await;
    let text = log
        .text()
        .replacen("queued", "done", 2)
        .replacen("done", "queued", 1);
    fs::write(&log.0, text).unwrap();
    // The last of them is held by the first line of the chain.
    assert_damaged(&log.0, &[], "line 3: ").await;
}

/// A reader that locks the file delays a write; it neither stops the server nor lets a write pass without a line.
#[tokio::test]
async fn foreign_lock_is_waited_for_and_then_refuses_the_write() {
    let log = Log::new();
    let writer = log.open();
    let reader = fs::File::open(&log.0).unwrap();
    reader.lock_shared().unwrap();
    let waiting = tokio::spawn({
        let writer = writer.clone();
        async move { writer.begin(write()).await }
    });
    // The reactor is free meanwhile: this is a runtime with one thread.
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    assert!(waiting.await.unwrap().is_err());
    assert_eq!(log.text(), "");
    reader.unlock().unwrap();
    one(&writer).await;
    assert_intact(&log, "2 lines in the chain").await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::cases(64), ..ProptestConfig::default() })]

    /// Whatever stands in the file, the lines of a write are appended whole, and what was there stays.
    #[test]
    fn any_content_is_kept_and_followed_by_whole_lines(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let log = Log::new();
        fs::OpenOptions::new().create(true).append(true).open(&log.0).unwrap().write_all(&content).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(one(&log.open()));
        let bytes = fs::read(&log.0).unwrap();
        prop_assert!(bytes.starts_with(&content));
        let text = String::from_utf8_lossy(&bytes[content.len()..]).into_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(lines.len(), 2);
        for line in lines {
            let line: Value = serde_json::from_str(line).unwrap();
            prop_assert!(line["outcome"].is_string());
        }
    }
}
