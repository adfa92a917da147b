//! Numbers keep their digits: from an argument to the request, and from a response to the result.

use posthog_sandbox::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::{ADA, Session, connect};

/// Numbers that a 64-bit integer or float cannot hold, and spellings that it would not keep.
const NUMBERS: [&str; 7] = [
    "48.137154321098765",
    "340282366920938463463",
    "123456789012345678901234567890123456789012345678901234567890",
    "-0.10000000000000000000000000001",
    "1.50",
    "1e+400",
    "18446744073709551615",
];

fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The bodies of the requests that are not reads.
fn written(session: &Session) -> Vec<Value> {
    let bodies = session.bodies();
    bodies.into_iter().filter(|body| !body.is_null()).collect()
}

#[tokio::test]
async fn values_to_set_are_sent_digit_for_digit() {
    for text in NUMBERS {
        let session = connect().await;
        let set = json!({"id": ADA, "key": "n", "value": number(text)});
        session.call("persons-property-set", set).await;
        let nested = json!({"one": number(text), "many": [{"deep": number(text)}]});
        let update = json!({"id": ADA, "properties": nested});
        session.call("persons-update", update).await;
        let bodies = written(&session);
        let sent: Vec<String> = bodies.iter().map(Value::to_string).collect();
        assert_eq!(
            sent,
            [
                format!(r#"{{"key":"n","value":{text}}}"#),
                format!(r#"{{"properties":{{"many":[{{"deep":{text}}}],"one":{text}}}}}"#),
            ]
        );
    }
}

#[tokio::test]
async fn filters_are_sent_digit_for_digit() {
    let session = connect().await;
    for text in NUMBERS {
        for value in [json!(number(text)), json!([number(text), "x"]), json!(text)] {
            let filter = json!([{"key": "n", "value": value}]);
            let page = session.call("persons-list", json!({"properties": filter}));
            page.await;
            let request = session.requests().pop().unwrap();
            assert!(request.contains(&format!(r#""{text}""#)), "{request}");
        }
        let filter = json!([{"key": "seats", "operator": "gt", "value": text}]);
        let result = session.result("persons-list", json!({"properties": filter}));
        result.await;
        // PostHog fails, and the type of the property says why.
        let requests = session.requests();
        let value = format!(r#""value":{text}"#);
        let sent = requests.iter().any(|request| request.contains(&value));
        assert!(sent, "{requests:?}");
    }
}

#[tokio::test]
async fn values_are_shown_digit_for_digit() {
    let session = connect().await;
    for text in NUMBERS {
        let properties = format!(r#"{{"n": {text}, "list": [{text}, {{"deep": {text}}}]}}"#);
        for (tool, arguments) in [
            ("persons-retrieve", json!({"id": ADA, "select": ["*"]})),
            (
                "persons-list",
                json!({"email": "ada@example.com", "select": ["n", "list"]}),
            ),
        ] {
            let fault = FaultKind::replace_field("properties", properties.clone());
            session.sandbox.inject(Fault::once("persons/", fault));
            let result = session.text(tool, arguments).await;
            assert_eq!(result.matches(text).count(), 3, "{tool}: {result}");
        }
        let fault = FaultKind::replace_field("properties", properties);
        session.sandbox.inject(Fault::once("persons/", fault));
        let person = json!({"id": ADA, "select": ["n"]});
        let person = session.call("persons-retrieve", person).await;
        assert_eq!(person["properties"]["n"].to_string(), text);
    }
}
