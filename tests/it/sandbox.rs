//! The sandbox's command line options.

use serde_json::{Value, json};

use crate::process::{binary, run};

const SEED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/crates/posthog-sandbox/tests/recordings/2025-08.json"
);

#[tokio::test]
async fn seed_file_replaces_the_seed_data() {
    let list = ["call", "persons-list", r#"{"email": "cleo@example.com"}"#];
    let settings = ["--sandbox", "--json", "--sandbox-seed", SEED];
    for era in ["2025-08", "2026-06", "2026-09"] {
        let arguments = [&list[..], &settings, &["--sandbox-era", era]].concat();
        let ended = run(binary(&arguments), "").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let list: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(list["results"][0]["distinct_ids"], json!(["cleo"]));
    }
}

#[tokio::test]
async fn invalid_era_and_seed_file_are_reported() {
    for (setting, value, word) in [
        (
            "--sandbox-era",
            "2024-01",
            "expected 2025-08, 2026-06 or 2026-09",
        ),
        ("--sandbox-seed", "/nowhere.json", "cannot be read"),
        ("--sandbox-seed", file!(), "is not a seed file"),
    ] {
        let command = binary(&["call", "persons-list", "--sandbox", setting, value]);
        let ended = run(command, "").await;
        assert!(ended.startup_error().contains(word), "{}", ended.stderr);
    }
}
