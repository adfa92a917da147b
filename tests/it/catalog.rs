//! Invariants of all tools: names, schemas, descriptions, size.

use std::collections::BTreeSet;
use std::path::Path;

use posthog_persons_mcp::cli;
use posthog_persons_mcp::tools::catalog;
use serde_json::{Map, Value, json};

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
            ("input", tool.input_schema.as_ref()),
            ("output", &tool.output_schema()),
        ] {
            let place = format!("{} {which}", tool.name);
            assert_eq!(schema.get("type"), Some(&json!("object")), "{place}");
            assert_portable(&place, &Value::Object(schema.clone()));
        }
        assert_eq!(
            tool.input_schema.get("additionalProperties"),
            Some(&json!(false)),
            "{}",
            tool.name
        );
    }
}

/// No `$ref`, `anyOf` or null: each is unsupported by some client. A union is a list of types.
fn assert_portable(place: &str, schema: &Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                let bad = matches!(
                    name.as_str(),
                    "$ref" | "$defs" | "anyOf" | "oneOf" | "allOf" | "$schema"
                );
                assert!(!bad, "{place}: {name}");
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
        for schema in [tool.input_schema.as_ref(), &tool.output_schema()] {
            assert_objects(tool.name, &Value::Object(schema.clone()));
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
    let sizes: Vec<usize> = tools
        .iter()
        .map(|tool| {
            let seen = json!({
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.input_schema,
            });
            tokenizer.encode_ordinary(&seen.to_string()).len()
        })
        .collect();
    let total: usize = sizes.iter().sum();
    let each: Vec<(&str, usize)> = tools.iter().map(|tool| tool.name).zip(sizes).collect();
    assert!(total <= 8000, "{total} tokens: {each:?}");
    assert!(
        total <= 320 * tools.len(),
        "{total} tokens for {} tools: {each:?}",
        tools.len()
    );
}

/// Clients drop what has no type, and models guess what has no description.
#[test]
fn every_argument_has_a_type_a_description_a_range_and_an_example() {
    for tool in catalog() {
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        for (place, schema) in properties(tool.name, &schema) {
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.'), "{place}: {description:?}");
            let types = types(schema);
            assert!(!types.is_empty(), "{place} has no type");
            if types == ["integer"] {
                assert!(schema["minimum"].is_i64(), "{place} has no minimum");
                let bounded = UNBOUNDED.iter().all(|name| !place.ends_with(name));
                assert!(
                    !bounded || schema["maximum"].is_i64(),
                    "{place} has no maximum"
                );
            }
            if types == ["array"] {
                assert!(!self::types(&schema["items"]).is_empty(), "{place}");
            }
            if types == ["object"] && schema.get("properties").is_none() {
                assert_eq!(schema["additionalProperties"], true, "{place}");
            }
            // Free text has a form that a model could guess wrong.
            let free = |schema: &Value| schema.get("enum").is_none();
            let text = types.contains(&"string") && free(schema);
            let texts =
                types == ["array"] && schema["items"]["type"] == "string" && free(&schema["items"]);
            let shows_form = [
                "such as",
                "UUID",
                "2026-01-31",
                "same formats",
                "token",
                "As in persons-list",
            ]
            .iter()
            .any(|form| description.contains(form));
            let value = place.ends_with(".value");
            assert!(
                !(text || texts) || shows_form || value,
                "{place}: {description:?} shows no example"
            );
            let required = place.contains("[]") || is_required(&tool.input_schema, &place);
            let has_default = schema.get("default").is_some() || description.contains("Default: ");
            let choice = types == ["boolean"] || types == ["integer"] || !free(schema);
            assert!(
                required || !choice || has_default || OPTIONAL.contains(&place.as_str()),
                "{place} has no default"
            );
        }
    }
}

/// Numbers without a limit of their own.
const UNBOUNDED: [&str; 3] = [".offset", ".page", "actions[].id"];

/// Choices that have no default, because without them the call asks something else.
const OPTIONAL: [&str; 1] = ["persons-funnel.funnel_step"];

fn is_required(schema: &Map<String, Value>, place: &str) -> bool {
    let names = schema.get("required").and_then(Value::as_array);
    let (_, name) = place.split_once('.').unwrap();
    names.is_some_and(|names| names.iter().any(|required| required == name))
}

/// The properties of a schema at every depth, each with its place.
fn properties<'a>(place: &str, schema: &'a Value) -> Vec<(String, &'a Value)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let mut all: Vec<(String, &Value)> = fields
        .flat_map(|(name, schema)| {
            let place = format!("{place}.{name}");
            let within = properties(&place, schema);
            [(place, schema)].into_iter().chain(within)
        })
        .collect();
    if schema["items"].is_object() {
        all.extend(properties(&format!("{place}[]"), &schema["items"]));
    }
    all
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    }
}

#[test]
fn every_field_of_a_result_has_a_type() {
    for tool in catalog() {
        let schema = Value::Object(tool.output_schema());
        for (place, schema) in properties(tool.name, &schema) {
            assert!(!types(schema).is_empty(), "{place}");
        }
    }
}

/// A misspelt argument must not be ignored, at any depth.
#[test]
fn objects_of_arguments_are_closed() {
    for tool in catalog() {
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        for (place, schema) in properties(tool.name, &schema) {
            for schema in [schema, &schema["items"]] {
                if schema.get("properties").is_some() {
                    assert_eq!(schema["additionalProperties"], false, "{place}");
                }
            }
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
