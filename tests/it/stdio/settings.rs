//! Invalid and missing settings.

use super::support::*;
use crate::process::{binary, run};
use crate::upstream::{ResponseTiming, Upstream};
use crate::wire::WITHOUT_HANDSHAKE;
use posthog_sandbox::Sandbox;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn missing_key_error_names_the_options() {
    for arguments in [&[][..], &["stdio"], &["call", "persons-list"]] {
        let output = startup_error(binary(arguments)).await;
        for word in [KEY, "--api-key-file", "--sandbox"] {
            assert!(output.contains(word), "{word}: {output}");
        }
    }
}

#[tokio::test]
async fn project_token_is_rejected_and_not_repeated() {
    for token in [Sandbox::PROJECT_TOKEN, "phs_secret_of_a_project"] {
        let mut command = binary(&[]);
        command.env(KEY, token);
        let output = startup_error(command).await;
        assert!(output.contains("phx_"), "{output}");
        assert!(!output.contains(token), "{output}");
    }
}

#[tokio::test]
async fn plain_http_to_another_machine_is_rejected() {
    let command = connected(&[], "http://posthog.example", "phx_test");
    let output = startup_error(command).await;
    assert!(output.contains("--allow-insecure-http"), "{output}");
    let command = connected(
        &["--allow-insecure-http"],
        "http://posthog.example",
        "phx_test",
    );
    assert_eq!(run(command, "").await.code, Some(0));
}

#[tokio::test]
async fn all_invalid_settings_are_reported_together() {
    let mut command = connected(&[], "http://posthog.example", "phc_token");
    command.env("POSTHOG_PROJECT_ID", "mine");
    let output = startup_error(command).await;
    for word in [KEY, "POSTHOG_PROJECT_ID", "POSTHOG_HOST"] {
        assert!(output.contains(word), "{word}: {output}");
    }
}

#[tokio::test]
async fn invalid_host_does_not_hide_an_invalid_ca_file() {
    for host in [
        "http://posthog.example",
        "us.posthog.com",
        "ftp://x.example",
    ] {
        let mut command = connected(&[], host, "phx_test");
        command.env("POSTHOG_MCP_CA_CERT", "/nowhere/ca.pem");
        let output = startup_error(command).await;
        for word in ["POSTHOG_HOST", "/nowhere/ca.pem"] {
            assert!(output.contains(word), "{host}, {word}: {output}");
        }
    }
}

#[tokio::test]
async fn empty_variable_counts_as_unset() {
    let mut wrong = Vec::new();
    for name in [
        "POSTHOG_HOST",
        "POSTHOG_PROJECT_ID",
        "POSTHOG_PERSONAL_API_KEY_FILE",
        "POSTHOG_MCP_ALLOW_INSECURE_HTTP",
        "POSTHOG_MCP_CA_CERT",
        "POSTHOG_MCP_LOG",
        "POSTHOG_MCP_MAX_RESULT_BYTES",
        "POSTHOG_MCP_SANDBOX",
        "POSTHOG_MCP_SANDBOX_ERA",
        "POSTHOG_MCP_SANDBOX_PERSONS",
        "POSTHOG_MCP_SANDBOX_SEED",
        "POSTHOG_MCP_STRUCTURED",
    ] {
        let mut command = binary(&["call", "persons-list", "--json", "--sandbox"]);
        command.env(name, "");
        let ended = run(command, "").await;
        // `call` logs warnings only.
        let usual =
            ended.code == Some(0) && ended.stdout.starts_with('{') && ended.stderr.is_empty();
        if !usual {
            wrong.push(format!("{name}: {}", ended.stderr));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // An empty level is the default: INFO for a server.
    let mut command = binary(&["stdio", "--sandbox"]);
    command.env("POSTHOG_MCP_LOG", "");
    let ended = run(
        command,
        &calls(WITHOUT_HANDSHAKE, &[("persons-list", json!({}))]),
    )
    .await;
    assert!(ended.stderr.contains("INFO"), "{}", ended.stderr);
}

#[tokio::test]
async fn empty_key_or_switch_counts_as_unset() {
    let mut command = binary(&[]);
    command.env(KEY, " ").env("POSTHOG_MCP_SANDBOX", "");
    assert!(startup_error(command).await.contains(KEY));
}

#[tokio::test]
async fn key_file_takes_precedence() {
    let upstream = Upstream::start(ResponseTiming::After(Duration::ZERO)).await;
    let file = std::env::temp_dir().join(format!("key-{}", uuid::Uuid::new_v4()));
    std::fs::write(&file, "phx_from_the_file\n").unwrap();
    let mut command = connected(&["call", "persons-list"], &upstream.url(), "phc_wrong");
    command.env("POSTHOG_PERSONAL_API_KEY_FILE", &file);
    let ended = run(command, "").await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(upstream.counts().requests, 1);
}
