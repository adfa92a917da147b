//! Keys that are rejected, belong to another region, or are no keys.

use posthog_persons_mcp::commands::doctor::Status;
use posthog_sandbox::{Key, Sandbox};

use super::{
    KEY, PROJECT, Regions, TEST_KEY, UNREACHABLE, check, doctor, examine, examined, finding,
    printed, sandbox,
};
use crate::process::{binary, run};

#[tokio::test]
async fn rejected_key_of_a_self_hosted_posthog_is_sent_nowhere_else() {
    let ours = sandbox().await;
    let page = examined(&ours, "phx_wrong", &[], 1).await;
    assert!(
        check(&page, "access")
            .starts_with("PROBLEM access PostHog at http://sandbox rejected the key -> "),
        "{page}"
    );
    let clouds = Regions::start(Vec::new(), vec![Key::legacy("phx_wrong")]).await;
    let report = clouds.examine(&ours.url(), "phx_wrong").await;
    assert_eq!(finding(&report, "access").0, Status::Problem);
    assert!(clouds.us.requests().is_empty() && clouds.eu.requests().is_empty());
}

#[tokio::test]
async fn key_of_the_other_region_is_reported_with_the_host_to_set() {
    let clouds = Regions::start(Vec::new(), vec![Key::scoped(TEST_KEY, &["person:read"])]).await;
    let report = clouds.examine(&clouds.us.url(), TEST_KEY).await;
    assert!(!report.ok);
    let (status, text, advice) = finding(&report, "access");
    assert_eq!(status, Status::Problem);
    assert_eq!(
        text,
        format!(
            "the key belongs to PostHog Cloud EU, not to {}",
            clouds.us.url()
        )
    );
    assert_eq!(advice, format!("Set POSTHOG_HOST={}", clouds.eu.url()));
    // The advice works.
    let report = clouds.examine(&clouds.eu.url(), TEST_KEY).await;
    assert!(report.ok, "{report}");
    assert_eq!(
        finding(&report, "access").1,
        "PostHog Cloud EU accepted the key"
    );
}

#[tokio::test]
async fn accepted_key_is_not_sent_to_the_other_region() {
    let clouds = Regions::start(Vec::new(), Vec::new()).await;
    assert!(clouds.examine(&clouds.us.url(), Sandbox::KEY).await.ok);
    assert!(clouds.eu.requests().is_empty());
}

#[tokio::test]
async fn key_is_invalid_only_if_no_region_accepts_it() {
    let clouds = Regions::start(Vec::new(), Vec::new()).await;
    let report = clouds.examine(&clouds.eu.url(), TEST_KEY).await;
    assert!(!clouds.us.requests().is_empty());
    let (status, text, advice) = finding(&report, "access");
    assert_eq!(status, Status::Problem);
    assert_eq!(
        text,
        "neither PostHog Cloud US nor EU accepts the key: it is invalid, revoked or expired"
    );
    assert_eq!(
        advice,
        format!(
            "Create one at {}/settings/user-api-keys, and copy all of it.",
            clouds.eu.url()
        )
    );
}

#[tokio::test]
async fn unreachable_region_is_not_taken_for_a_rejection() {
    let us = sandbox().await;
    let report = examine(&us.url(), TEST_KEY, &us.url(), UNREACHABLE).await;
    let (status, text, advice) = finding(&report, "access");
    assert_eq!(status, Status::Problem);
    let begin = format!(
        "{} rejected the key, and {UNREACHABLE} could not be reached: ",
        us.url()
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(
        advice.contains(&format!("set POSTHOG_HOST={UNREACHABLE}")),
        "{advice}"
    );
}

#[tokio::test]
async fn malformed_key_is_reported_without_sending_or_repeating_it() {
    let sandbox = sandbox().await;
    for token in [Sandbox::PROJECT_TOKEN, "phs_secret_of_a_project"] {
        let page = examined(&sandbox, token, &[], 1).await;
        assert!(
            check(&page, "key").contains("use a personal API key (phx_...)"),
            "{page}"
        );
        assert!(check(&page, "host").starts_with("ok host"), "{page}");
    }
    let page = examined(&sandbox, "\"phx_sandbox_all_scopes\"", &[], 1).await;
    assert!(check(&page, "key").contains("Check for quotes"), "{page}");
    let mut command = doctor(&sandbox.url(), "", &[]);
    command.env_remove(KEY);
    let page = printed(command, 1).await;
    assert!(
        check(&page, "key").starts_with("PROBLEM key No API key is set. Set "),
        "{page}"
    );
}

#[tokio::test]
async fn every_invalid_setting_is_reported() {
    let mut command = doctor("us.posthog.com", "phc_token", &["--tools", "persons-lst"]);
    command
        .env(PROJECT, "mine")
        .env("POSTHOG_MCP_AUDIT_LOG", "/nowhere/audit.log");
    let page = printed(command, 1).await;
    let settings = check(&page, "settings");
    for word in [PROJECT, "/nowhere/audit.log", "`persons-lst`"] {
        assert!(settings.contains(word), "{word}: {page}");
    }
    assert!(check(&page, "key").contains(KEY), "{page}");
    assert!(check(&page, "host").contains("POSTHOG_HOST"), "{page}");
}

#[tokio::test]
async fn right_value_of_the_host_is_named() {
    for (host, expected) in [
        (
            "us.posthog.com",
            "POSTHOG_HOST has no scheme. Set it to https://us.posthog.com.",
        ),
        (
            "https://eu.posthog.com/project/12/person/ada@example.com#activity",
            "POSTHOG_HOST is the address of a page (/project/...). Set it to https://eu.posthog.com, and POSTHOG_PROJECT_ID to 12.",
        ),
    ] {
        let page = printed(doctor(host, "phx_key", &[]), 1).await;
        assert!(check(&page, "host").contains(expected), "{page}");
        assert!(!page.contains("ada@example.com"), "{page}");
    }
}

#[tokio::test]
async fn key_in_the_wrong_setting_is_not_repeated() {
    for arguments in [&["doctor"][..], &["stdio"], &["call", "persons-list"]] {
        for variable in ["POSTHOG_HOST", PROJECT, "POSTHOG_PERSONAL_API_KEY_FILE"] {
            let mut command = binary(arguments);
            command.env(variable, "phx_pasted_here");
            let ended = run(command, "").await;
            assert_eq!(ended.code, Some(1));
            let text = format!("{}{}", ended.stdout, ended.stderr);
            assert!(!text.contains("phx_pasted_here"), "{variable}: {text}");
        }
    }
}
