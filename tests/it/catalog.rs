//! Invariants of all tools: names, schemas, descriptions, size.

use std::collections::BTreeSet;
use std::path::Path;

use posthog_persons_mcp::cli;
use posthog_persons_mcp::tools::catalog;
use serde_json::{Value, json};

#[test]
fn every_tool_has_a_source_file_and_a_test_file_of_its_name() {
    let names: BTreeSet<String> = catalog()
        .iter()
        .map(|tool| tool.name.replace('-', "_"))
        .collect();
    assert_eq!(names.len(), catalog().len(), "two tools share a name");
    assert_eq!(files("src/tools/catalog"), names);
    assert_eq!(files("tests/it/tools"), names);
}

/// The tool files in a folder, by name.
fn files(folder: &str) -> BTreeSet<String> {
    std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name.starts_with("persons_"))
        .collect()
}

#[test]
fn schemas_use_only_widely_supported_keywords() {
    for tool in catalog() {
        for (which, schema) in [
            ("input", &tool.input_schema),
            ("output", &tool.output_schema),
        ] {
            let place = format!("{} {which}", tool.name);
            assert_eq!(schema.get("type"), Some(&json!("object")), "{place}");
            assert_portable(&place, &Value::Object(schema.as_ref().clone()));
        }
        assert_eq!(
            tool.input_schema.get("additionalProperties"),
            Some(&json!(false)),
            "{}",
            tool.name
        );
    }
}

/// No `$ref`, `anyOf`, lists of types or null: each is unsupported by some client.
fn assert_portable(place: &str, schema: &Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                let bad = matches!(
                    name.as_str(),
                    "$ref" | "$defs" | "anyOf" | "oneOf" | "allOf" | "$schema"
                );
                assert!(!bad, "{place}: {name}");
                assert!(
                    name != "type" || !value.is_array(),
                    "{place}: a list of types"
                );
                assert_portable(place, value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_portable(place, item)),
        Value::Null => panic!("{place}: null"),
        _ => {}
    }
}

#[test]
fn every_subschema_is_an_object() {
    for tool in catalog() {
        for schema in [&tool.input_schema, &tool.output_schema] {
            assert_objects(tool.name, &Value::Object(schema.as_ref().clone()));
        }
    }
}

/// A bare `true` schema is valid but not supported by every client.
fn assert_objects(place: &str, schema: &Value) {
    let fields = schema
        .as_object()
        .unwrap_or_else(|| panic!("{place}: {schema}"));
    for (name, property) in fields
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        assert_objects(&format!("{place}.{name}"), property);
    }
    if let Some(items) = fields.get("items") {
        assert_objects(&format!("{place}[]"), items);
    }
}

#[test]
fn titles_and_descriptions_are_present_and_short() {
    for tool in catalog() {
        assert!(
            (40..=400).contains(&tool.description.len()),
            "{}: {}",
            tool.name,
            tool.description.len()
        );
        assert!(tool.title.len() <= 40, "{}", tool.name);
    }
}

/// Every session starts with the list, so its size is limited, in o200k tokens.
#[test]
fn tool_list_has_at_most_8000_tokens_and_320_per_tool() {
    let tokenizer = tiktoken_rs::o200k_base().unwrap();
    let tools = catalog();
    let sizes = tools.iter().map(|tool| {
        let seen = json!({
            "name": tool.name,
            "description": tool.description,
            "input_schema": tool.input_schema,
        });
        tokenizer.encode_ordinary(&seen.to_string()).len()
    });
    let total: usize = sizes.sum();
    assert!(total <= 8000, "{total} tokens");
    assert!(
        total <= 320 * tools.len(),
        "{total} tokens for {} tools",
        tools.len()
    );
}

/// Arguments of more than one type have no `type`: some clients cannot read a list of types.
#[test]
fn every_argument_is_typed_and_described() {
    const ANY: [&str; 3] = ["value", "unset", "breakdown"];
    for tool in catalog() {
        let properties = tool.input_schema["properties"].as_object().unwrap();
        for (name, schema) in properties {
            let place = format!("{}.{name}", tool.name);
            let typed = schema.get("type").is_some() || ANY.contains(&name.as_str());
            assert!(typed, "{place}");
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{place}: {description:?}");
        }
    }
}

/// Gemini CLI shortens names of more than 63 characters; other clients' APIs reject those of more than 64.
#[test]
fn tool_names_with_the_prefix_of_each_client_have_at_most_63_characters() {
    const PREFIXES: [&str; 4] = [
        "mcp_{}_",   // Gemini CLI
        "mcp__{}__", // Claude Code, Codex, Qwen Code
        "{}_",       // opencode
        "{}-",       // Copilot CLI
    ];
    let example: Value =
        serde_json::from_str(include_str!("../../mcp-config.example.json")).unwrap();
    for server in example["mcpServers"].as_object().unwrap().keys() {
        for prefix in PREFIXES {
            for tool in catalog() {
                let name = prefix.replace("{}", server) + tool.name;
                assert!(name.len() <= 63, "{name}: {}", name.len());
            }
        }
    }
}

#[test]
fn example_configuration_is_valid() {
    let example: Value =
        serde_json::from_str(include_str!("../../mcp-config.example.json")).unwrap();
    let servers = example["mcpServers"].as_object().unwrap();
    for (name, server) in servers {
        match server["url"].as_str() {
            Some(url) => assert!(url.ends_with("/mcp") || url.ends_with("/sse"), "{name}"),
            None => {
                assert_eq!(server["command"], "posthog-persons-mcp", "{name}");
                let arguments = server["args"].as_array().unwrap().iter();
                let arguments = arguments.map(|argument| argument.as_str().unwrap());
                let command = cli::command();
                command
                    .try_get_matches_from([name.as_str()].into_iter().chain(arguments))
                    .unwrap();
            }
        }
        for variable in server["env"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            assert!(
                include_str!("../../README.md").contains(&format!("| `{variable}` |")),
                "{variable}"
            );
        }
    }
}
