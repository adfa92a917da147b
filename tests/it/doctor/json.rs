//! The report as JSON, and the page that documents it.

use posthog_persons_mcp::commands::doctor::ToolStatus;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::{TEST_KEY, UNREACHABLE, doctor, examine, examined, sandbox};
use crate::process::{ProcessOutput, binary, run};

#[tokio::test]
async fn json_fields_are_documented() {
    let sandbox = sandbox().await;
    let json = examined(&sandbox, Sandbox::READ_KEY, &["--json"], 0).await;
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        report["project"],
        json!({"number": 1, "name": null, "set": true})
    );
    assert_eq!(
        report["scopes"],
        json!({"unlimited": false, "granted": ["person:read"], "complete": true})
    );
    let checks = report["checks"].as_array().unwrap();
    let names: Vec<&str> = checks
        .iter()
        .map(|check| check["check"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "settings", "key", "host", "clock", "access", "project", "posthog", "scopes", "tools"
        ]
    );
    assert_eq!(checks[7]["status"], "warning");
    let tools = report["tools"].as_array().unwrap();
    assert_eq!(tools.len(), catalog().len());
    assert_eq!(
        tools[3],
        json!({"tool": "persons-cohorts-retrieve", "status": "fails", "reason": "the key lacks cohort:read", "scope": "cohort:read"})
    );
    let help = run(binary(&["doctor", "--help"]), "").await.stdout;
    let page = include_str!("../../../docs/troubleshooting.md");
    for object in [
        &report,
        &checks[6],
        &tools[3],
        &report["project"],
        &report["scopes"],
    ] {
        for field in object.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{field}`")), "{field}");
        }
    }
    for field in report.as_object().unwrap().keys() {
        assert!(help.contains(field.as_str()), "{field}: {help}");
    }
    // A failed check does not omit fields.
    let ended: ProcessOutput = run(doctor(UNREACHABLE, TEST_KEY, &["--json"]), "").await;
    assert_eq!(ended.code, Some(1));
    let broken: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(broken["ok"], false);
    assert!(
        report
            .as_object()
            .unwrap()
            .keys()
            .eq(broken.as_object().unwrap().keys())
    );
    assert_eq!(broken["tools"][0]["status"], "unknown");
}

/// Every heading that quotes a message has the words of the source; `…` stands for the parts that vary.
#[test]
fn troubleshooting_headings_quote_messages() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = ["src", "crates/posthog-client/src"].map(|folder| source(&root.join(folder)));
    let source = source.concat();
    let page = include_str!("../../../docs/troubleshooting.md");
    let quoted: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert!(quoted.len() > 20, "{quoted:?}");
    for message in quoted {
        let parts: Vec<&str> = message.split('…').map(str::trim).collect();
        // The text between two variable parts can be too short to search for.
        let parts = parts.iter().filter(|part| part.len() > 3);
        assert!(parts.clone().count() > 0, "{message}");
        for part in parts {
            assert!(source.contains(part), "no message contains: {part}");
        }
    }
}

/// All source code, with multi-line string literals joined.
fn source(folder: &std::path::Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&source(&path));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap().replace("\\\"", "\"");
        let mut lines = text.split("\\\n");
        all.push_str(lines.next().unwrap());
        lines.for_each(|line| all.push_str(line.trim_start()));
    }
    all
}

#[tokio::test]
async fn tool_status_is_unknown_if_posthog_is_unreachable() {
    let report = examine(UNREACHABLE, TEST_KEY, UNREACHABLE, UNREACHABLE).await;
    assert!(
        report
            .tools
            .iter()
            .filter(|tool| tool.status != ToolStatus::Excluded)
            .all(|tool| tool.status == ToolStatus::Unknown)
    );
    assert!(!report.to_string().contains("persons-list"), "{report}");
}
