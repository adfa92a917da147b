//! The manifest of the bundle for Claude Desktop matches the server. The packing tool validates its format.

use posthog_persons_mcp::cli;
use serde_json::Value;

fn manifest() -> Value {
    serde_json::from_str(include_str!("../../../packaging/mcpb/manifest.json")).unwrap()
}

#[test]
fn bundle_has_this_version() {
    let manifest = manifest();
    assert_eq!(manifest["name"], env!("CARGO_PKG_NAME"));
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn bundle_passes_its_settings_to_the_server() {
    let manifest = manifest();
    let config = &manifest["server"]["mcp_config"];
    let arguments = config["args"].as_array().unwrap().iter();
    let arguments = arguments.map(|argument| argument.as_str().unwrap());
    cli::command()
        .try_get_matches_from(["server"].into_iter().chain(arguments))
        .unwrap();
    let settings = manifest["user_config"].as_object().unwrap();
    let variables = config["env"].as_object().unwrap();
    assert_eq!(settings.len(), variables.len(), "a setting goes nowhere");
    for (variable, value) in variables {
        assert!(super::variables().contains(variable), "{variable}");
        let setting = value
            .as_str()
            .and_then(|value| value.strip_prefix("${user_config.")?.strip_suffix('}'));
        let setting = &settings[setting.unwrap()];
        // A setting without a value and a default would be passed to the server as the literal placeholder.
        assert!(
            setting["required"] == true || !setting["default"].is_null(),
            "{variable}"
        );
        let secret = variable == "POSTHOG_PERSONAL_API_KEY";
        assert_eq!(setting["sensitive"] == true, secret, "{variable}");
    }
}
