//! Invariants of all tool results, checked on every call that a test makes.

use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::{ToolDefinition, catalog};
use posthog_sandbox::Sandbox;
use rmcp::model::CallToolResult;
use serde_json::Value;

use crate::{Setup, connect_as, connect_with, text};

/// The example of a tool.
pub(crate) fn example(tool: &ToolDefinition) -> Value {
    serde_json::from_str(tool.example).unwrap()
}

/// The example call of each reading tool, which makes [`requests_of`] it if the key permits them.
pub(crate) fn read_calls() -> Vec<(&'static str, Value)> {
    let tools = catalog().into_iter();
    let reads = tools.filter(|tool| tool.effect == Effect::Read);
    reads.map(|tool| (tool.name, example(&tool))).collect()
}

/// The requests of an example call. An export compares its rows with PostHog's count.
pub(crate) fn requests_of(tool: &str) -> usize {
    match tool {
        "persons-export" => 2,
        _ => 1,
    }
}

#[tokio::test]
async fn text_is_complete_without_structured_content() {
    let mut setup = Setup {
        key: Sandbox::LEGACY_KEY,
        ..Setup::default()
    };
    setup.limits.structured = false;
    let (with, without) = (
        connect_as(Sandbox::LEGACY_KEY).await,
        connect_with(setup).await,
    );
    for (tool, arguments) in read_calls() {
        let content = without.result(tool, arguments.clone()).await;
        assert_eq!(content.structured_content, None, "{tool}");
        let text = text(&content).replace(&without.sandbox.url(), &with.sandbox.url());
        let other = with.text(tool, arguments).await;
        assert_eq!(without_file(&text), without_file(&other));
    }
}

/// A text without the line of an exported file, whose name is its own.
pub(crate) fn without_file(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("  file\t")).collect()
}

pub(crate) fn check(tool: &str, key: &str, limits: &OutputOptions, result: &CallToolResult) {
    let text = text(result);
    assert!(!text.contains(key), "{tool} tells the key: {text}");
    assert!(text.len() <= limits.bytes, "{tool}: {} bytes", text.len());
    let hidden = text
        .chars()
        .find(|c| !matches!(c, '\n' | '\t') && is_hidden(*c));
    assert_eq!(hidden, None, "{tool}: {text:?}");
    let Some(content) = &result.structured_content else {
        assert!(
            result.is_error == Some(true) || !limits.structured,
            "{tool}"
        );
        return;
    };
    assert_eq!(result.is_error, Some(false), "{tool}: {text}");
    let bytes = content.to_string().len();
    assert!(bytes <= limits.bytes, "{tool}: {bytes} bytes");
    assert_no_hidden_characters(tool, content);
    for sentence in guidance(&text) {
        assert!(
            holds(content, sentence),
            "{tool}: {sentence:?} stands in the text alone: {content}"
        );
    }
    let tools = catalog();
    let schema = tools
        .iter()
        .find(|entry| entry.name == tool)
        .unwrap()
        .output_schema();
    assert_matches_schema(tool, &Value::Object(schema), content);
}

/// The lines of a text that say what to do or how to read it: not rows, not the lines of a person's card.
fn guidance(text: &str) -> impl Iterator<Item = &str> {
    const DATA: [&str; 10] = [
        "not found: ",
        "Not found (",
        "uuid: ",
        "name: ",
        "url: ",
        "created_at: ",
        "last_seen_at: ",
        "distinct_ids (",
        "not set: ",
        "other properties",
    ];
    text.lines().map(str::trim_end).filter(|line| {
        let data = line.starts_with("  ")
            || line.contains('\t')
            || DATA.iter().any(|start| line.starts_with(start));
        line.ends_with('.') && !data
    })
}

/// Whether some text among the fields contains this one.
fn holds(fields: &Value, text: &str) -> bool {
    match fields {
        Value::String(field) => field.contains(text),
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(fields) => fields.values().any(|field| holds(field, text)),
        _ => false,
    }
}

/// Characters that are invisible or change how other text is displayed.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || u32::from(character) & 0xfffe == 0xfffe
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{13430}'..='\u{13442}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

fn assert_no_hidden_characters(place: &str, value: &Value) {
    match value {
        Value::String(text) => {
            let lines = place.ends_with(".csv") || place.ends_with(".message");
            let hidden = text
                .chars()
                .find(|c| !(lines && matches!(c, '\n' | '\t')) && is_hidden(*c));
            assert_eq!(hidden, None, "{place}: {text:?}");
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| assert_no_hidden_characters(place, item)),
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(!name.chars().any(is_hidden), "{place}: {name:?}");
                assert_no_hidden_characters(&format!("{place}.{name}"), value);
            }
        }
        _ => {}
    }
}

/// Validates the subset of JSON Schema that the tools use. An unknown keyword fails the test.
fn assert_matches_schema(place: &str, schema: &Value, value: &Value) {
    if *schema == Value::Bool(true) {
        return;
    }
    let schema = schema.as_object().unwrap();
    for (keyword, expected) in schema {
        match keyword.as_str() {
            "type" => {
                let types = match expected {
                    Value::Array(types) => types.as_slice(),
                    one => std::slice::from_ref(one),
                };
                let matches = types
                    .iter()
                    .any(|kind| has_type(kind.as_str().unwrap(), value));
                assert!(matches, "{place}: {value} is no {expected}");
            }
            "enum" => assert!(
                expected.as_array().unwrap().contains(value),
                "{place}: {value}"
            ),
            "required" => {
                for name in expected.as_array().unwrap() {
                    assert!(
                        value.get(name.as_str().unwrap()).is_some(),
                        "{place} lacks {name}"
                    );
                }
            }
            "items" => {
                for item in value.as_array().unwrap() {
                    assert_matches_schema(&format!("{place}[]"), expected, item);
                }
            }
            "properties" => {
                for (name, value) in value.as_object().unwrap() {
                    let schema = expected
                        .get(name)
                        .unwrap_or_else(|| panic!("{place}: what is {name}?"));
                    assert_matches_schema(&format!("{place}.{name}"), schema, value);
                }
            }
            "description" | "default" => {}
            other => panic!("{place}: the keyword {other} is not checked"),
        }
    }
}

fn has_type(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not checked"),
    }
}
