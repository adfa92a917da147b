//! CSV as a tool result: the selected columns, valid whatever a value holds.

use serde_json::{Map, Value, json};

use crate::{ADA, Session, Setup, connect, connect_with};

const TOOL: &str = "persons-list";

fn records(csv: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(csv.as_bytes());
    reader.records().map(Result::unwrap).collect()
}

async fn set(session: &Session, distinct_id: &str, key: &str, value: Value) {
    let set = Map::from_iter([(key.to_owned(), value)]);
    let properties = Map::from_iter([("$set".to_owned(), set.into())]);
    session.sandbox.capture(distinct_id, "sign up", properties);
}

#[tokio::test]
async fn csv_holds_the_selected_columns() {
    let session = connect().await;
    let arguments = json!({"format": "csv", "email": "ada@example.com", "select": ["plan", "email", "renewal"]});
    let result = session.call(TOOL, arguments).await;
    assert_eq!(
        result["csv"],
        format!("uuid,plan,email,renewal\n{ADA},pro,ada@example.com,\n")
    );
    assert_eq!(
        result["notes"],
        json!(["No person here has \"renewal\". Property names are case-sensitive."])
    );
}

#[tokio::test]
async fn csv_is_valid_whatever_a_value_holds() {
    let session = connect_with(Setup::default().budget(8_000)).await;
    let values = [
        "a\nb",
        "=HYPERLINK(\"http://x\")",
        "\"",
        ",",
        "'",
        "\r\n",
        "-5",
        "\u{202e}x",
    ];
    for (number, value) in values.iter().enumerate() {
        set(&session, &format!("odd-{number}"), "note", json!(value)).await;
    }
    set(&session, "odd-huge", "note", json!("\"x".repeat(60_000))).await;
    let arguments = json!({"format": "csv", "search": "odd-", "select": ["note"]});
    let result = session.call(TOOL, arguments.clone()).await;
    let csv = result["csv"].as_str().unwrap();
    let rows = records(csv);
    assert_eq!(rows.len(), 1 + values.len(), "{csv}");
    assert_eq!(csv.lines().count(), rows.len(), "{csv}");
    let notes: Vec<&str> = rows[1..].iter().map(|row| &row[1]).collect();
    assert!(notes.contains(&"a b"), "{csv}");
    assert!(notes.contains(&"'=HYPERLINK(\"http://x\")"), "{csv}");
    let huge = session
        .call("persons-retrieve", json!({"distinct_id": "odd-huge"}))
        .await;
    let note = result["notes"][0].as_str().unwrap();
    assert!(note.contains(huge["uuid"].as_str().unwrap()), "{note}");
    assert!(
        !result["notes"].to_string().contains("more persons match"),
        "{note}"
    );
    let text = session.text(TOOL, arguments).await;
    assert!(text.starts_with(csv), "{text}");
}
