//! The entry for the MCP registry matches the server. The release workflow validates its schema.

use serde_json::Value;

#[test]
fn registry_entry_has_this_version_and_only_existing_settings() {
    let text = include_str!("../../../packaging/server.json");
    let entry: Value = serde_json::from_str(text).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(entry["version"], version);
    assert_eq!(
        entry["name"],
        concat!("io.github.OWNER/", env!("CARGO_PKG_NAME"))
    );
    // The registry rejects longer descriptions.
    assert!(entry["description"].as_str().unwrap().len() <= 100);
    let packages = entry["packages"].as_array().unwrap();
    assert_eq!(packages.len(), 2);
    for package in packages {
        let identifier = package["identifier"].as_str().unwrap();
        assert!(identifier.contains(version), "{identifier}");
        let variables = package["environmentVariables"].as_array().unwrap();
        assert_eq!(
            variables,
            packages[0]["environmentVariables"].as_array().unwrap()
        );
        for variable in variables {
            let name = variable["name"].as_str().unwrap();
            assert!(super::variables().contains(name), "{name}");
            let secret = name == "POSTHOG_PERSONAL_API_KEY";
            assert_eq!(variable["isSecret"] == true, secret, "{name}");
        }
    }
}
