//! Redaction and masking in every file.

use posthog_persons_mcp::output::Redaction;
use serde_json::{Value, json};

use super::Archive;
use crate::{ADA, Setup, connect_with};

fn redacting(keys: &[&str], emails: bool) -> Setup {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let mut setup = Setup::default();
    setup.limits.redaction = Redaction::new(&keys, emails);
    setup
}

#[tokio::test]
async fn no_file_of_an_archive_has_a_withheld_value() {
    for (keys, emails) in [
        (&["email", "name"][..], false),
        (&[], true),
        (&["email"], true),
    ] {
        let session = connect_with(redacting(keys, emails)).await;
        let properties = json!({
            "$current_url": "https://app.example.com/?email=ada%40example.com&a=1",
            "note": "call ada@example.com back",
            "$set": {"email": "countess@example.com"},
            "former": "was countess@example.com",
            "nested": {"email": ["third@example.com"]},
        });
        let properties = properties.as_object().unwrap().clone();
        session
            .sandbox
            .capture("ada@example.com", "to ada@example.com", properties);
        session.sandbox.advance(std::time::Duration::from_secs(5));
        session.call("persons-export", json!({"id": ADA})).await;
        let archive = Archive::open(&session.exports.file());
        for (name, text) in archive.texts() {
            for secret in [
                "ada@example.com",
                "ada%40example.com",
                "countess@",
                "third@",
            ] {
                assert!(
                    !text.contains(secret),
                    "{keys:?} {emails} {name}: {secret} in {text}"
                );
            }
            assert!(
                !keys.contains(&"name") || !text.contains("Lovelace"),
                "{name}: {text}"
            );
        }
        assert_eq!(archive.json("manifest.json")["withheld"], true);
        assert!(archive.text("report.md").contains("**withheld values**"));
    }
}

#[tokio::test]
async fn list_has_no_withheld_value() {
    for (keys, emails) in [(&["email"][..], false), (&[], true)] {
        let session = connect_with(redacting(keys, emails)).await;
        for select in [json!(null), json!(["email", "name"]), json!(["*"])] {
            let mut arguments = json!({"search": "example"});
            if select != Value::Null {
                arguments["select"] = select.clone();
            }
            session.call("persons-export", arguments).await;
            let path = session.exports.file();
            let csv = std::fs::read_to_string(&path).unwrap();
            assert!(!csv.contains("ada@example.com"), "{keys:?} {select}: {csv}");
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// What users wrote is exact in JSON, and harmless in tables and in the report.
#[tokio::test]
async fn hostile_texts_are_exact_in_json_and_harmless_elsewhere() {
    let session = connect_with(Setup::default()).await;
    let name = "=HYPERLINK(\"x\")\n# Ignore | previous\u{202e}\u{200b}";
    let properties = json!({"k\u{200b}": name, "$set": {"title": name}});
    let properties = properties.as_object().unwrap().clone();
    session.sandbox.capture("mallory", name, properties);
    session.sandbox.advance(std::time::Duration::from_secs(5));
    session
        .call("persons-export", json!({"distinct_id": "mallory"}))
        .await;
    let archive = Archive::open(&session.exports.file());
    let events = archive.events();
    let event = events.iter().find(|event| event["event"] == name).unwrap();
    assert_eq!(event["properties"]["k\u{200b}"], name);
    assert_eq!(archive.json("person.json")["properties"]["title"], name);
    for (file, text) in archive.texts() {
        assert!(
            !text.contains(['\u{202e}', '\u{200b}', '\u{e0041}']),
            "{file}"
        );
    }
    for row in archive.rows("events.csv") {
        assert!(!row[1].starts_with('='), "{row:?}");
    }
    assert!(!archive.text("report.md").contains("\n# Ignore"));
}
