//! The install links match the example configuration.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use url::Url;

const CURSOR: &str = "https://cursor.com/en/install-mcp?";
const VS_CODE: &str = "https://insiders.vscode.dev/redirect/mcp/install?";

/// The entries of the example that have a link: the servers that run on the user's machine.
const SERVERS: [&str; 2] = ["posthog", "posthog-sandbox"];

#[test]
fn install_links_match_the_example_configuration() {
    let links: Vec<String> = SERVERS
        .iter()
        .flat_map(|name| [cursor(name), vs_code(name)])
        .collect();
    let all = links.join("\n");
    let installing = include_str!("../../../docs/installing.md");
    for link in &links {
        assert!(
            installing.contains(&format!("]({link})")),
            "docs/installing.md needs these links:\n{all}"
        );
    }
    for text in [installing, include_str!("../../../README.md")] {
        let found = text.split("](").filter_map(|rest| rest.split(')').next());
        for link in found.filter(|link| link.starts_with(CURSOR) || link.starts_with(VS_CODE)) {
            assert!(
                links.iter().any(|known| known == link),
                "{link}\nis out of date; these are not:\n{all}"
            );
        }
    }
}

fn example(name: &str) -> Value {
    let example: Value =
        serde_json::from_str(include_str!("../../../mcp-config.example.json")).unwrap();
    example["mcpServers"][name].clone()
}

/// Cursor shows the entry before saving it, where the user enters the key.
fn cursor(name: &str) -> String {
    let config = BASE64_STANDARD.encode(example(name).to_string());
    link(CURSOR, &[("name", name), ("config", &config)])
}

/// VS Code prompts for the values in `inputs`.
fn vs_code(name: &str) -> String {
    let mut config = example(name);
    let mut inputs = Vec::new();
    let variables = config.get_mut("env").and_then(Value::as_object_mut);
    for (variable, value) in variables.into_iter().flatten() {
        let (id, mut input) = match variable.as_str() {
            "POSTHOG_PERSONAL_API_KEY" => (
                "posthog-key",
                json!({"description": "PostHog personal API key (phx_...)", "password": true}),
            ),
            "POSTHOG_HOST" => (
                "posthog-host",
                json!({"description": "PostHog's address", "default": value}),
            ),
            "POSTHOG_PROJECT_ID" => (
                "posthog-project",
                json!({"description": "Number of the PostHog project"}),
            ),
            other => panic!("how does VS Code ask for {other}?"),
        };
        input["type"] = json!("promptString");
        input["id"] = json!(id);
        inputs.push(input);
        *value = json!(format!("${{input:{id}}}"));
    }
    let (config, inputs) = (config.to_string(), json!(inputs).to_string());
    let mut parts = vec![("name", name)];
    if inputs != "[]" {
        parts.push(("inputs", &inputs));
    }
    parts.push(("config", &config));
    link(VS_CODE, &parts)
}

fn link(place: &str, parts: &[(&str, &str)]) -> String {
    let mut link = Url::parse(place).unwrap();
    link.query_pairs_mut().extend_pairs(parts);
    // A form parser decodes a plus as a space, other URL parsers do not.
    link.as_str().replace('+', "%20")
}
