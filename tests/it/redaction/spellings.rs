//! A redacted or masked value is withheld in every spelling, by every tool.

use std::collections::BTreeSet;

use posthog_persons_mcp::output::{OutputOptions, Redaction};
use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::calls::calls;
use crate::{Session, Setup, connect_with};

/// An address whose letters have several cases and forms.
const EMAIL: &str = "Größe.İpek/K\u{212a}=ẞ&x@Mühle.test";

/// Each spelling of a text, with its name.
fn spellings(text: &str) -> Vec<(&'static str, String)> {
    let percent = |text: &str| {
        let bytes = text.bytes().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        });
        bytes.collect::<String>()
    };
    let every = |spell: &dyn Fn(char) -> String| text.chars().map(spell).collect::<String>();
    let special = |spell: &dyn Fn(char) -> String| {
        every(&|c| {
            if c.is_ascii_alphanumeric() {
                c.to_string()
            } else {
                spell(c)
            }
        })
    };
    let between = |hidden: &str| every(&|c| format!("{c}{hidden}"));
    let utf16 = |c: char| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units).iter();
        units
            .map(|unit| format!("\\u{unit:04x}"))
            .collect::<String>()
    };
    vec![
        ("as it is", text.to_owned()),
        ("upper case", text.to_uppercase()),
        ("lower case", text.to_lowercase()),
        ("percent", percent(text)),
        ("percent, lower case", percent(text).to_lowercase()),
        ("double percent", percent(&percent(text))),
        (
            "four times percent",
            percent(&percent(&percent(&percent(text)))),
        ),
        (
            "five times percent",
            percent(&percent(&percent(&percent(&percent(text))))),
        ),
        (
            "every byte percent",
            text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        ),
        (
            "decimal entities",
            every(&|c| format!("&#{};", u32::from(c))),
        ),
        (
            "hexadecimal entities",
            special(&|c| format!("&#x{:X};", u32::from(c))),
        ),
        (
            "named entities",
            text.replace('&', "&amp;")
                .replace('@', "&commat;")
                .replace('ö', "&ouml;")
                .replace('ü', "&uuml;")
                .replace('=', "&equals;")
                .replace('/', "&sol;"),
        ),
        (
            "entities in entities",
            special(&|c| format!("&amp;#{};", u32::from(c))),
        ),
        ("\\u escapes", special(&utf16)),
        (
            "\\u escapes in JSON in JSON",
            special(&|c| format!("\\\\\\{}", utf16(c))),
        ),
        ("NFD", text.nfd().collect()),
        ("NFKC", text.nfkc().collect()),
        ("full width", text.replace('@', "＠").replace('.', "．")),
        ("zero-width spaces", between("\u{200b}")),
        ("soft hyphens", between("\u{ad}")),
        ("percent in entities", percent(text).replace('%', "&#37;")),
    ]
}

/// The first part of a spelling that a text contains.
fn part_in<'a>(spelling: &str, text: &'a str) -> Option<&'a str> {
    let visible = |c: &char| !matches!(c, '\u{200b}' | '\u{ad}');
    let spelling: Vec<char> = spelling.chars().filter(visible).collect();
    spelling.windows(6).find_map(|part| {
        let part: String = part.iter().collect();
        // Backslashes around one letter are those of JSON in JSON, and no part of an address.
        if part.chars().filter(|character| *character != '\\').count() < 2 {
            return None;
        }
        let at = text.find(&part)?;
        text.get(at..at + part.len())
    })
}

async fn session(redaction: Redaction) -> Session {
    connect_with(Setup {
        key: Sandbox::LEGACY_KEY,
        limits: OutputOptions {
            redaction,
            structured: true,
            ..OutputOptions::default()
        },
        ..Setup::default()
    })
    .await
}

/// A person that has the address, and a spelling of it wherever a person can have text but the distinct ids.
async fn person(session: &Session, spelling: &str) -> Value {
    const ID: &str = "one-of-many-spellings";
    let set = json!({"$set": {
        "email": EMAIL,
        "name": format!("Name {spelling}"),
        "note": format!("see {spelling}, please"),
        "$current_url": format!("https://x.test/a/?q={spelling}&z=1"),
        format!("about {spelling}"): 1,
        format!("dotted.{spelling}.key"): {"box": spelling},
        "nested": {spelling: [{"deep": [spelling, {format!("k.{spelling}"): spelling}]}]},
        "json": json!({"box": {"text": spelling}}).to_string(),
        "list": [spelling, 5],
        "contact.email": "other.address@elsewhere.test",
    }});
    for event in ["sign up", "purchase", "$pageview"] {
        let set = set.as_object().unwrap().clone();
        session.sandbox.capture(ID, event, set);
    }
    session
        .call("persons-retrieve", json!({"distinct_id": ID}))
        .await;
    let http = crate::evals::harness::score::SandboxClient::new(&session.sandbox.url()).unwrap();
    let path = format!("api/projects/1/persons/?distinct_id={ID}");
    http.get(&path).await.unwrap().1["results"][0].clone()
}

async fn shown(session: &Session, tool: &'static str, arguments: &Value) -> String {
    let arguments = arguments.as_object().unwrap().clone();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments);
    match session.client.call_tool(request).await {
        Ok(result) => serde_json::to_value(result).unwrap().to_string(),
        Err(error) => error.to_string(),
    }
}

/// The calls of a tool about a person that do not quote the address themselves.
fn calls_about(tool: &str, person: &Value) -> Vec<Value> {
    let quotes = |call: &Value| {
        let call = call.to_string();
        spellings(EMAIL)
            .iter()
            .any(|(_, spelling)| part_in(spelling, &call).is_some())
            || call.contains('%')
            || call.contains("\\u")
            || call.contains("&#")
    };
    let mut calls = calls(tool, person);
    calls.retain(|call| !quotes(call));
    let (uuid, id) = (&person["uuid"], &person["distinct_ids"][0]);
    match tool {
        "persons-list" => calls.push(json!({"distinct_id": id, "format": "csv"})),
        "persons-properties-timeline-retrieve" => calls.push(
            json!({"id": uuid, "date_from": "-1d", "properties": [{"key": "note", "operator": "is_set"}], "breakdown": "nested"}),
        ),
        "persons-properties-at-time-retrieve" => calls.push(
            json!({"person_id": uuid, "timestamp": "2026-11-03T00:00:00Z", "select": ["*"]}),
        ),
        _ => {}
    }
    calls
}

async fn assert_withheld(redaction: Redaction, tools: impl Fn(&str) -> bool) {
    let mut leaks = BTreeSet::new();
    for (name, spelling) in spellings(EMAIL) {
        let session = session(redaction.clone()).await;
        let person = person(&session, &spelling).await;
        assert_eq!(
            person["properties"]["note"],
            format!("see {spelling}, please")
        );
        let mut check = |what: &str, tool: &str, text: &str| {
            // The result is JSON, in which a backslash is two.
            let escaped = spelling.replace('\\', "\\\\");
            for spelling in [spelling.as_str(), escaped.as_str(), EMAIL] {
                if let Some(part) = part_in(spelling, text) {
                    leaks.insert(format!(
                        "{name}: {tool} {what} shows {part} in {text:.2000}"
                    ));
                }
            }
        };
        for tool in catalog().iter().filter(|tool| tools(tool.name)) {
            let calls = calls_about(tool.name, &person);
            assert!(!calls.is_empty(), "{}", tool.name);
            for arguments in &calls {
                check("", tool.name, &shown(&session, tool.name, arguments).await);
            }
            let quote = format!("nobody is {spelling}, sorry");
            for (status, body) in [
                (400, json!({"detail": quote})),
                (400, json!({"detail": "no", "attr": spelling})),
                (
                    403,
                    json!({"detail": format!("API key missing required scope '{spelling}'")}),
                ),
                (500, json!({"success": false, "error": quote})),
                (200, json!({"results": [{"uuid": quote}], &spelling: quote})),
            ] {
                let fault = FaultKind::json(status, &body);
                session.sandbox.inject(Fault::once("", fault));
                let text = shown(&session, tool.name, &calls[0]).await;
                session.sandbox.clear_faults();
                check("error", tool.name, &text);
            }
            if tool.effect != Effect::Read {
                // The next tool finds the person as it was.
                let set = json!({"$set": person["properties"]});
                let id = person["distinct_ids"][0].as_str().unwrap();
                let set = set.as_object().unwrap().clone();
                session.sandbox.capture(id, "$set", set);
            }
        }
    }
    let all: Vec<String> = leaks.into_iter().collect();
    assert!(all.is_empty(), "{} in all\n{}", all.len(), all.join("\n"));
}

/// The values of a property that is not redacted are not searched for those of one that is: nothing is known of the persons
/// who have them.
#[tokio::test]
async fn redacted_values_are_withheld_in_every_spelling() {
    let redaction = Redaction::new(&["email".to_owned()], false);
    assert_withheld(redaction, |tool| tool != "persons-values-retrieve").await;
}

#[tokio::test]
async fn masked_addresses_are_withheld_in_every_spelling() {
    assert_withheld(Redaction::new(&[], true), |_| true).await;
}

#[tokio::test]
async fn keys_that_contain_a_redacted_one_are_redacted() {
    let session = session(Redaction::new(&["email".to_owned()], false)).await;
    let person = person(&session, "nothing").await;
    for arguments in [
        json!({"id": person["uuid"], "select": ["*"]}),
        json!({"id": person["uuid"], "select": ["contact.email"]}),
    ] {
        let text = shown(&session, "persons-retrieve", &arguments).await;
        assert!(!text.contains("elsewhere"), "{text}");
    }
    let arguments = json!({"key": "contact.email"});
    let text = shown(&session, "persons-values-retrieve", &arguments).await;
    assert!(!text.contains("elsewhere"), "{text}");
}

/// A person whose redacted values are too many to search for is withheld, and the result says so.
#[tokio::test]
async fn too_many_redacted_values_withhold_the_person() {
    let session = session(Redaction::new(&["email".to_owned()], false)).await;
    let values: Vec<String> = (0..20_000)
        .map(|i| format!("someone{i}@elsewhere.test"))
        .collect();
    let set = json!({"$set": {"email": values, "plan": "professional"}});
    session
        .sandbox
        .capture("many-values", "$set", set.as_object().unwrap().clone());
    let arguments = json!({"distinct_id": "many-values", "select": ["*"]});
    let text = shown(&session, "persons-retrieve", &arguments).await;
    assert!(!text.contains("professional"), "{text}");
    assert!(text.contains("too large to be searched"), "{text}");
}
