//! Keys whose scopes PostHog does not list.

use posthog_client::RequiredScopes;
use posthog_persons_mcp::tools::{catalog, offered_by_default};
use posthog_sandbox::{Fault, FaultKind, Key, Sandbox};

use super::{PROJECT, TEST_KEY, check, doctor, examined, printed, sandbox, sandbox_with, tools};

#[tokio::test]
async fn scopes_of_an_oauth_token_are_read() {
    let token = Key::scoped("pha_test_own", &["person:read", "user:read", "query:read"]);
    let sandbox = sandbox_with(vec![token], false).await;
    let page = examined(&sandbox, "pha_test_own", &[], 0).await;
    assert_eq!(
        check(&page, "key"),
        "ok key an OAuth access token (pha_...)"
    );
    assert_eq!(
        check(&page, "scopes"),
        "warning scopes person:read, user:read, query:read; missing: activity_log:read, cohort:read, person:write \
         -> Add the missing scopes when you authorize the application that received the token, or exclude the tools (--read-only, \
         --exclude-tools)."
    );
}

#[tokio::test]
async fn oauth_token_uses_the_selected_project() {
    let token = Key::scoped("pha_test_own", &["person:read", "user:read"]);
    let sandbox = sandbox_with(vec![token], false).await;
    let mut command = doctor(&sandbox.url(), "pha_test_own", &["--read-only"]);
    command.env_remove(PROJECT);
    let page = printed(command, 0).await;
    let project = "warning project 1, Difference Engine: selected by the key's owner";
    assert!(check(&page, "project").starts_with(project), "{page}");
}

/// Makes a sandbox return no information about its keys.
fn hide_key_info(sandbox: &Sandbox) {
    sandbox.inject(Fault {
        path_contains: "personal_api_keys".to_owned(),
        times: usize::MAX,
        kind: FaultKind::ServerError { status: 500 },
    });
}

#[tokio::test]
async fn unlisted_scopes_are_probed_by_reading() {
    let keys = vec![Key::scoped(TEST_KEY, &["person:write", "cohort:read"])];
    let sandbox = sandbox_with(keys, false).await;
    hide_key_info(&sandbox);
    let page = examined(&sandbox, TEST_KEY, &[], 0).await;
    assert_eq!(
        check(&page, "scopes").split(" -> ").next().unwrap(),
        "warning scopes PostHog does not list them; determined by probing: person:read, cohort:read; missing: activity_log:read, \
         query:read"
    );
    // Write access is not probed by writing.
    let unknown = tools(&page, "unknown");
    assert_eq!(
        unknown.len(),
        catalog()
            .iter()
            .filter(|tool| tool.access == RequiredScopes(&["person:write"]))
            .count()
    );
    assert!(
        unknown[0].ends_with("could not determine whether the key has person:write"),
        "{page}"
    );
    assert_eq!(tools(&page, "fails").len(), 10);
    for request in sandbox.requests() {
        let reads = ["/batch_by_distinct_ids/", "/query/"];
        let read = request.method == "GET" || reads.iter().any(|end| request.path.ends_with(end));
        assert!(read, "{} {}", request.method, request.path);
    }
}

#[tokio::test]
async fn legacy_key_is_recognized_by_probing() {
    let sandbox = sandbox().await;
    hide_key_info(&sandbox);
    let page = examined(&sandbox, Sandbox::LEGACY_KEY, &[], 0).await;
    assert_eq!(
        tools(&page, "works").len(),
        offered_by_default().len(),
        "{page}"
    );
}

#[tokio::test]
async fn unsupported_batches_are_reported_with_the_workaround() {
    let sandbox = sandbox_with(Vec::new(), true).await;
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    assert_eq!(
        check(&page, "tools"),
        format!(
            "ok tools {} of {} will work -> This key cannot use the batch endpoints: persons are looked up one by one, at most \
             200 per call.",
            tools(&page, "works").len(),
            offered_by_default().len()
        )
    );
}
