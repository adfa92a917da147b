//! Distinct ids and property names that hold characters that no reader sees: shown apart, and accepted as shown.

use serde_json::{Map, Value, json};

use crate::{Session, connect};

/// Each looks like `ann@example.com`.
const ALIKE: [(&str, &str); 3] = [
    ("ann@example.com", "ann@example.com"),
    ("ann@example.com\u{200b}", r#""ann@example.com\u200b""#),
    ("\u{feff}ann@example.com\n", r#""\ufeffann@example.com\n""#),
];

async fn session() -> Session {
    let session = connect().await;
    for (id, _) in ALIKE {
        let set = json!({"$set": {"plan\nb": id.len()}});
        let set = set.as_object().unwrap().clone();
        session.sandbox.capture(id, "sign up", set);
    }
    session
}

#[tokio::test]
async fn identifiers_that_look_alike_are_shown_apart_and_accepted_as_shown() {
    let session = session().await;
    for (id, shown) in ALIKE {
        let literal = session
            .call("persons-retrieve", json!({"distinct_id": id}))
            .await;
        assert_eq!(literal["distinct_ids"], json!([shown]));
        let as_shown = session
            .call("persons-retrieve", json!({"distinct_id": shown}))
            .await;
        assert_eq!(as_shown["uuid"], literal["uuid"]);
        let text = session
            .text("persons-retrieve", json!({"distinct_id": shown}))
            .await;
        assert!(
            text.contains(&format!("distinct_ids (1): {shown}\n")),
            "{text}"
        );
        let select = json!({"distinct_id": shown, "select": [r#""plan\nb""#]});
        let selected = session.call("persons-retrieve", select).await;
        assert_eq!(selected["properties"], json!({r#""plan\nb""#: id.len()}));
        // A tool that writes resolves it as well.
        let set = json!({"distinct_id": shown, "key": "plan", "value": "pro"});
        let set = session.call("persons-property-set", set).await;
        assert_eq!(set["person_uuid"], literal["uuid"]);
    }
    session.requests();
}

#[tokio::test]
async fn identifier_that_literally_is_an_escaped_one_wins_and_both_are_refused() {
    let session = session().await;
    let literal = r#""bob\u200b""#;
    session.sandbox.capture(literal, "sign up", Map::new());
    let arguments = json!({"distinct_id": literal});
    let person = session.call("persons-retrieve", arguments.clone()).await;
    session
        .sandbox
        .capture("bob\u{200b}", "sign up", Map::new());
    let other = session
        .call("persons-retrieve", json!({"distinct_id": "bob\u{200b}"}))
        .await;
    let error = session.error("persons-retrieve", arguments).await;
    for uuid in [&person["uuid"], &other["uuid"]].map(Value::as_str) {
        assert!(error.contains(uuid.unwrap()), "{error}");
    }
    let error = session
        .error(
            "persons-retrieve",
            json!({"distinct_id": r#""nobody\u200b""#}),
        )
        .await;
    assert!(error.starts_with("PostHog found no person"), "{error}");
}

#[tokio::test]
async fn property_names_as_shown_are_accepted_by_the_tools_that_change_them() {
    let session = session().await;
    let (name, shown) = ("plan\nb", r#""plan\nb""#);
    let sent = |session: &Session| {
        let write = session.sandbox.requests().into_iter().next_back().unwrap();
        session.sandbox.clear_requests();
        write.body
    };
    for (id, id_shown) in ALIKE {
        let person = session.call("persons-retrieve", json!({"distinct_id": id}));
        let uuid = person.await["uuid"].clone();
        let subject = json!({"distinct_id": id_shown, "key": shown, "value": 1});
        let set = session.call("persons-property-set", subject).await;
        assert_eq!(set["person_uuid"], uuid);
        assert_eq!(sent(&session)["key"], name);
        let unset = json!({"distinct_id": id_shown, "unset": [shown, name]});
        let unset = session.call("persons-property-delete", unset).await;
        assert_eq!(unset["person_uuid"], uuid);
        assert_eq!(sent(&session)["$unset"], name);
        // A name that the person has in neither form is taken literally.
        let set = json!({"distinct_id": id_shown, "key": r#""new""#, "value": 1});
        session.call("persons-property-set", set).await;
        assert_eq!(sent(&session)["key"], r#""new""#);
    }
    let set = json!({"$set": {name: 1, shown: 1}});
    let set = set.as_object().unwrap().clone();
    session.sandbox.capture("ada@example.com", "sign up", set);
    let both = json!({"id": crate::ADA, "key": shown, "value": 1});
    let error = session.error("persons-property-set", both).await;
    assert!(error.contains("literally"), "{error}");
}
