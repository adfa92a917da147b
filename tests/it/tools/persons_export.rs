//! `persons-export`.

use std::time::Duration;

use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Value, json};

use crate::exports::{Archive, rows};
use crate::{ADA, NOBODY, Session, Setup, connect, connect_as, connect_with};

const EXPORT: &str = "persons-export";

async fn exported(session: &Session, arguments: Value) -> (Value, Archive) {
    let result = session.call(EXPORT, arguments).await;
    (result, Archive::open(&session.exports.file()))
}

#[tokio::test]
async fn one_person_is_an_archive_with_everything() {
    let session = connect().await;
    let (result, archive) = exported(&session, json!({"distinct_id": "ada@example.com"})).await;
    assert_eq!(
        archive.names(),
        [
            "activity.json",
            "cohorts.json",
            "events.csv",
            "events.jsonl",
            "manifest.json",
            "person.json",
            "recordings.csv",
            "report.md"
        ]
    );
    let person = archive.json("person.json");
    assert_eq!(person["uuid"], ADA);
    assert_eq!(person["properties"]["email"], "ada@example.com");
    assert_eq!(person["distinct_ids"].as_array().unwrap().len(), 2);
    let events = archive.events();
    let times: Vec<&str> = events
        .iter()
        .map(|event| event["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let listed = session
        .call(
            "persons-events-list",
            json!({"id": ADA, "date_from": "2020-01-01", "limit": 1000}),
        )
        .await;
    assert_eq!(events.len(), listed["results"].as_array().unwrap().len());
    assert_eq!(result["events"], events.len());
    assert_eq!(result["complete"], true, "{result}");
    let recordings = archive.rows("recordings.csv");
    assert_eq!(recordings.len(), 3);
    let link = format!(
        "{}/project/1/replay/0195f1aa-0000-7000-8000-0000000ada03",
        session.sandbox.url()
    );
    assert_eq!(recordings[0][6], link);
    let cohorts = archive.json("cohorts.json");
    assert_eq!(cohorts[0]["name"], "Paying customers");
    assert_eq!(archive.json("activity.json").as_array().unwrap().len(), 2);
    let report = archive.text("report.md");
    for part in [
        "# Your data in PostHog",
        "| email | ada@example.com |",
        "| purchase | 1 |",
        "3, listed in recordings.csv",
        "- Paying customers (cohort 11)",
        "## What is missing, and why",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert_eq!(session.sandbox.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn result_is_a_summary_with_a_link() {
    let session = connect().await;
    let arguments = json!({"id": ADA, "date_from": "2026-10-01", "date_to": "2026-10-31"});
    let result = session.result(EXPORT, arguments).await;
    let name = session.exports.names().remove(0);
    assert!(
        name.starts_with("posthog-person-20") && name.ends_with(".zip"),
        "{name}"
    );
    let link = result.content[1].as_resource_link().unwrap();
    let path = session.exports.file();
    assert_eq!(link.uri, url::Url::from_file_path(&path).unwrap().as_str());
    assert_eq!(
        (link.name.as_str(), link.mime_type.as_deref()),
        (name.as_str(), Some("application/zip"))
    );
    assert_eq!(link.size, Some(std::fs::metadata(&path).unwrap().len()));
    let text = crate::text(&result);
    assert!(text.contains(&format!("  file\t{}\n", link.uri)), "{text}");
    assert!(text.len() / 4 < 1500, "{text}");
    for personal in ["ada@example.com", "Lovelace"] {
        assert!(
            !text.contains(personal) && !name.contains(personal),
            "{text}"
        );
    }
    let archive = Archive::open(&path);
    for event in archive.events() {
        assert!(
            event["timestamp"].as_str().unwrap().starts_with("2026-10"),
            "{event}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn directory_and_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let session = connect().await;
    session.call(EXPORT, json!({"id": ADA})).await;
    session.call(EXPORT, json!({"search": "example"})).await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&session.exports.0), 0o700);
    for name in session.exports.names() {
        assert_eq!(mode(&session.exports.0.join(&name)), 0o600, "{name}");
    }
    // What an interrupted process left is removed, what another one is writing is not.
    let left = session.exports.0.join(".posthog-export-left.tmp");
    std::fs::write(&left, "half").unwrap();
    let held = session.exports.0.join(".posthog-export-held.tmp");
    let lock = std::fs::File::create(&held).unwrap();
    lock.lock().unwrap();
    std::fs::set_permissions(&session.exports.0, PermissionsExt::from_mode(0o755)).unwrap();
    session.exports.exports();
    assert!(!left.exists() && held.exists());
    assert_eq!(mode(&session.exports.0), 0o700);
}

#[tokio::test]
async fn what_the_key_cannot_read_is_missing_and_says_why() {
    let session = connect_as(Sandbox::READ_KEY).await;
    let (result, archive) = exported(&session, json!({"id": ADA})).await;
    assert_eq!(
        archive.names(),
        ["manifest.json", "person.json", "report.md"]
    );
    assert_eq!(result["complete"], false);
    let manifest = archive.json("manifest.json");
    let missing: Vec<(&str, &str)> = manifest["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| {
            (
                part["what"].as_str().unwrap(),
                part["why"].as_str().unwrap(),
            )
        })
        .collect();
    for (what, scope) in [
        ("events", "query:read"),
        ("recordings", "session_recording:read"),
        ("activity", "activity_log:read"),
        ("cohorts", "cohort:read"),
    ] {
        let why = format!("The API key of the export lacks the scope {scope}.");
        assert!(missing.contains(&(what, why.as_str())), "{missing:?}");
        let report = archive.text("report.md").replace('\\', "");
        assert!(report.contains(&format!("- **{what}**: {why}")), "{report}");
        assert!(result.to_string().contains(&why), "{result}");
    }
}

#[tokio::test]
async fn list_is_one_csv_with_the_selected_columns() {
    let session = connect_with(Setup::persons(1500)).await;
    let arguments = json!({"search": "@example.net", "select": ["email", "plan"]});
    let result = session.call(EXPORT, arguments).await;
    let csv = std::fs::read_to_string(session.exports.file()).unwrap();
    assert!(csv.starts_with("uuid,email,plan\n"), "{csv:.100}");
    let rows = rows(&csv);
    let mut uuids: Vec<&String> = rows.iter().map(|row| &row[0]).collect();
    uuids.sort();
    uuids.dedup();
    assert_eq!((rows.len(), uuids.len()), (1500, 1500));
    assert_eq!(
        (&result["persons"], &result["counted"]),
        (&json!(1500), &json!(1500))
    );
    assert_eq!(result["complete"], true);
    assert!(rows.contains(&vec![
        "01850000-0000-4000-8000-000000000004".to_owned(),
        "user-0004@example.net".to_owned(),
        "free".to_owned()
    ]));
}

/// Persons that are created while pages are read shift them where the key cannot make queries.
#[tokio::test]
async fn pages_that_shift_leave_no_gap() {
    let session = connect_with(Setup {
        key: Sandbox::READ_KEY,
        ..Setup::persons(1200)
    })
    .await;
    let pause = Fault::always("persons/", FaultKind::Delay(Duration::from_millis(150)));
    session.sandbox.inject(pause);
    let arguments = json!({"all": true, "select": ["email"]});
    let changing = async {
        for number in 0..40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let id = format!("new-{number}");
            session
                .sandbox
                .capture(&id, "sign up", serde_json::Map::new());
        }
    };
    let (result, ()) = tokio::join!(session.call(EXPORT, arguments), changing);
    let csv = std::fs::read_to_string(session.exports.file()).unwrap();
    let rows = rows(&csv);
    let generated = rows
        .iter()
        .filter(|row| row[1].to_lowercase().contains("@example.net"))
        .count();
    assert!(generated >= 1200, "{generated}");
    let mut uuids: Vec<&String> = rows.iter().map(|row| &row[0]).collect();
    uuids.sort();
    uuids.dedup();
    assert_eq!(uuids.len(), rows.len(), "each once: {result}");
    let missing = result["missing"].to_string();
    assert!(missing.contains("scope query:read"), "{missing}");
}

#[tokio::test]
async fn invalid_arguments_make_no_request_and_no_file() {
    let session = connect().await;
    for (arguments, error) in [
        (json!({}), "Give one person"),
        (json!({"id": ADA, "search": "a"}), "Give either one person"),
        (
            json!({"id": ADA, "distinct_id": "ada@example.com"}),
            "Give exactly one of",
        ),
        (
            json!({"id": ADA, "select": ["email"]}),
            "`select` chooses the columns of a list",
        ),
        (
            json!({"search": "a", "date_from": "-7d"}),
            "`date_from` and `date_to` choose",
        ),
        (
            json!({"all": true, "search": "a"}),
            "`all` exports everybody",
        ),
        (
            json!({"id": ADA, "date_from": "2026-02-01", "date_to": "2026-01-01"}),
            "`date_from` must be",
        ),
        (json!({"id": ""}), "`id` is blank"),
        (
            json!({"distinct_id": null, "search": "a"}),
            "`distinct_id` is blank",
        ),
        (
            json!({"properties": [], "email": "a@example.com"}),
            "`properties` is blank",
        ),
        (
            json!({"properties": "[]", "all": true}),
            "`properties` is blank",
        ),
        (
            json!({"properties": [{"key": "plan", "operator": "hogql"}]}),
            "hogql",
        ),
        (json!({"all": true, "everything": 1}), "everything"),
    ] {
        let text = session.error(EXPORT, arguments.clone()).await;
        assert!(text.contains(error), "{arguments}: {text}");
    }
    assert_eq!(session.requests(), Vec::<String>::new());
    let text = session.error(EXPORT, json!({"id": NOBODY})).await;
    assert!(text.contains("PostHog found no person"), "{text}");
    assert_eq!(session.exports.names(), Vec::<String>::new());
}

#[tokio::test]
async fn failed_export_leaves_no_file() {
    let session = connect().await;
    let one = json!({"id": ADA});
    for (arguments, path, fault, error) in [
        (
            &one,
            "activity",
            FaultKind::ServerError { status: 500 },
            "PostHog failed (status 500)",
        ),
        (
            &one,
            "query",
            FaultKind::Throttle { retry_after: 3594 },
            "Wait 60 minutes",
        ),
        (
            &json!({"all": true}),
            "query",
            FaultKind::ServerError { status: 500 },
            "PostHog failed (status 500)",
        ),
    ] {
        session.sandbox.inject(Fault::always(path, fault));
        let text = session.error(EXPORT, arguments.clone()).await;
        let prefix = "The export ended, and no file was written. ";
        assert_eq!(text.starts_with(prefix), *arguments == one, "{text}");
        assert!(text.contains(error), "{text}");
        assert_eq!(session.exports.names(), Vec::<String>::new());
        session.sandbox.clear_faults();
    }
    session.call(EXPORT, json!({"id": ADA})).await;
}
