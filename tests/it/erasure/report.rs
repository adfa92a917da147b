//! `erasure-report`: what the log says, what PostHog shows, and how that changes.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, json};

use super::support::*;
use crate::ADA;
use crate::writing::{DELETION_DELAY, QA};

const WEEK: Duration = Duration::from_secs(8 * 24 * 3600);

#[tokio::test]
async fn report_follows_an_erasure_to_its_end() {
    let sandbox = sandbox_now(0).await;
    let directory = Directory::new();
    let log = directory.file("audit.jsonl");
    let all = json!({"ids": [QA[0]], "delete_events": true, "delete_recordings": true});
    delete(&sandbox, &log, all).await;
    let events = json!({"ids": [ADA], "delete_events": true, "keep_person": true});
    delete(&sandbox, &log, events).await;

    let first = report(&sandbox, &log).await;
    assert_eq!(first["log"]["is_intact"], true);
    assert_eq!(first["deletions"][0]["confirmation"], "off");
    assert_eq!(first["deletions"][0]["key"], first["key"]);
    assert_eq!(first["deletions"][1]["deletes"], json!(["events"]));
    assert_eq!(
        states(&first),
        json!([
            ["pending", "there", "pending"],
            ["pending", "not deleted (there)", "pending"],
        ])
    );
    assert_eq!(first["persons"][0]["recordings"], "cannot be verified");
    assert_eq!(first["persons"][1]["recordings"], "not deleted");

    sandbox.advance(DELETION_DELAY);
    sandbox.advance(WEEK);
    assert_eq!(
        states(&report(&sandbox, &log).await),
        json!([
            ["verified_gone", "gone", "verified gone"],
            ["verified_gone", "not deleted (there)", "verified gone"],
        ])
    );
    sandbox.capture("qa-1", "$pageview", Map::new());
    let last = report(&sandbox, &log).await;
    assert_eq!(last["persons"][0]["state"], "came_back");
    let text = last.to_string();
    for personal in ["qa-1", "ada@example.com", "@"] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
}

#[tokio::test]
async fn report_is_a_page_in_a_private_file() {
    let sandbox = sandbox_now(0).await;
    let directory = Directory::new();
    let log = directory.file("audit.jsonl");
    delete(
        &sandbox,
        &log,
        json!({"ids": [QA[0]], "delete_events": true}),
    )
    .await;
    let page = directory.file("report.md");
    std::fs::write(&page, "older").unwrap();
    let ended = report_with(&sandbox, &log, &["--out", &page]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ended.stderr
    );
    assert_eq!(mode(Path::new(&page)), 0o600);
    let text = std::fs::read_to_string(&page).unwrap();
    for says in [
        "# Erasure report",
        "verified: no line was changed",
        "| pending | 1 |",
        "no: confirmation was off",
        QA[0],
        "PostHog does not report it",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let files = std::fs::read_dir(&directory.0).unwrap().count();
    assert_eq!(files, 2, "no part of a file is left");
    let refused = report_with(&sandbox, &log, &["--out", &directory.file("report.txt")]).await;
    assert!(refused.startup_error().contains("--out must end with .md"));
}

/// Who can write the log can say anything in it, but not as a line or a cell of the page, and hide nothing by its time.
#[tokio::test]
async fn hostile_lines_stay_in_their_cells() {
    const HOSTILE: &str = "| a | b |\n\n# VERIFIED\n<script>[x](http://evil.example) `all`";
    let sandbox = sandbox_now(0).await;
    let directory = Directory::new();
    let log = directory.file("audit.jsonl");
    let line = |id: &str, time: &str, host: &str| {
        json!({
            "time": time, "id": id, "tool": "persons-bulk-delete", "host": host, "project": 1, "key": HOSTILE,
            "persons": [ADA, HOSTILE], "deletes": ["profile", HOSTILE], "confirmation": HOSTILE, "outcome": HOSTILE, "prev": HOSTILE,
        })
    };
    let moments = [
        "2026-11-02T09:00:00Z",
        "9999-12-31T23:59:59Z",
        "-262143-01-01T00:00:00Z",
    ];
    let lines = moments.map(|time| line(time, time, HOSTILE).to_string());
    let here = line("here", moments[1], &sandbox.url()).to_string();
    std::fs::write(
        &log,
        format!("{}\n{here}\n{}", lines.join("\n"), "[".repeat(100_000)),
    )
    .unwrap();
    let ended = report_with(&sandbox, &log, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let page = ended.stdout;
    assert!(
        page.contains("DAMAGED") && page.contains("| all | 2 |"),
        "{page}"
    );
    assert!(
        !page.contains(['<', '`', '[']) && !page.contains("\n# VERIFIED"),
        "{page}"
    );
    let (_, deletions) = page.split_once("## Deletions").unwrap();
    let (deletions, _) = deletions.split_once("##").unwrap();
    let rows: Vec<&str> = deletions
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    // With the two lines of its head.
    assert_eq!(rows.len(), 6, "{deletions}");
    for row in rows {
        assert_eq!(row.matches('|').count(), 9, "{row}");
    }
}

/// On another instance everyone would seem to be gone.
#[tokio::test]
async fn deletions_of_another_posthog_cannot_be_known() {
    let (sandbox, other) = (sandbox_now(0).await, sandbox_now(0).await);
    let directory = Directory::new();
    let log = directory.file("audit.jsonl");
    delete(&sandbox, &log, json!({"ids": [QA[0]]})).await;
    other.clear_requests();
    let ended = report_with(&other, &log, &["--json"]).await;
    assert_eq!(ended.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["persons"][0]["state"], "cannot_be_known");
    let reason = report["persons"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("run the report with that host"), "{reason}");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn damaged_log_is_reported_and_other_lines_are_skipped() {
    let sandbox = sandbox_now(0).await;
    let directory = Directory::new();
    let log = directory.file("audit.jsonl");
    delete(&sandbox, &log, json!({"ids": [QA[0]]})).await;
    let text = std::fs::read_to_string(&log).unwrap();
    let changed = text.replacen("queued", "done", 1)
        + "{\"time\":\"2026-11-02T09:00:00Z\",\"id\":\"x\",\"tool\":\"persons-export\",\"outcome\":\"done\",\"prev\":\"\"}\nnot JSON\n";
    // The preview of a deletion, recorded as a read.
    let shown = json!({
        "time": "2026-11-02T09:00:00Z", "id": "y", "tool": DELETE, "project": 1, "persons": [ADA],
        "fields": ["name"], "withheld": [], "outcome": "shown", "prev": "",
    });
    let changed = format!("{changed}{shown}\n");
    std::fs::write(&log, changed).unwrap();
    let ended = report_with(&sandbox, &log, &[]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("DAMAGED"), "{}", ended.stdout);
    assert!(ended.stdout.contains("| all | 1 |"), "{}", ended.stdout);
    let later = report_with(&sandbox, &log, &["--json", "--until", "2020-01-01"]).await;
    assert!(later.stdout.contains("\"persons\": []"), "{}", later.stdout);
}
