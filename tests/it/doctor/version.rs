//! The version of PostHog, and what does not work with it.

use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Clock, Era, Fault, FaultKind, Sandbox, SandboxOptions};
use tokio::net::TcpListener;

use super::{check, examined, tools};

async fn sandbox_of(era: Era) -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let options = SandboxOptions {
        era,
        clock: Clock::Manual,
        ..SandboxOptions::default()
    };
    Sandbox::start(listener, options).await.unwrap()
}

/// The table's lines about tools that fail for another reason than the key.
fn failing(page: &str) -> Vec<String> {
    let lines = tools(page, "fails").into_iter();
    lines
        .filter(|line| line.contains("this PostHog"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test]
async fn older_posthog_is_named_with_what_is_refused() {
    let sandbox = sandbox_of(Era::August2025).await;
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    assert_eq!(
        check(&page, "posthog"),
        "warning posthog older than December 2025 -> Refused, because this PostHog would ignore it: distinct_ids_to_split of \
         persons-split, keep_person of persons-bulk-delete, delete_recordings of persons-bulk-delete. A newer PostHog knows it."
    );
    let mut expected = [
        "persons-deletion-status-list this PostHog does not have its endpoint",
        "persons-properties-at-time-retrieve this PostHog does not have its endpoint",
        "persons-cohorts-retrieve this PostHog fails on its endpoint",
    ];
    expected.sort_by_key(|line| {
        catalog()
            .iter()
            .position(|tool| line.starts_with(&format!("{} ", tool.name)))
    });
    assert_eq!(failing(&page), expected);
}

#[tokio::test]
async fn newer_posthog_refuses_nothing() {
    for (era, expected) in [
        (
            Era::June2026,
            vec!["persons-properties-at-time-retrieve this PostHog fails on its endpoint"],
        ),
        (Era::September2026, Vec::new()),
    ] {
        let sandbox = sandbox_of(era).await;
        let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
        let version = check(&page, "posthog");
        assert_eq!(version, "ok posthog June 2026 or newer");
        assert_eq!(failing(&page), expected, "{era:?}");
    }
}

#[tokio::test]
async fn version_that_cannot_be_determined_is_a_warning() {
    let sandbox = sandbox_of(Era::September2026).await;
    let fault = FaultKind::ServerError { status: 500 };
    sandbox.inject(Fault::always("/api/schema/", fault));
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    let version = check(&page, "posthog");
    assert!(
        version.starts_with(
            "warning posthog its version could not be determined: /api/schema/ could not be read"
        ),
        "{version}"
    );
    let assumed = ["--assume-current-posthog"];
    let page = examined(&sandbox, Sandbox::KEY, &assumed, 0).await;
    assert_eq!(
        check(&page, "posthog"),
        "ok posthog assumed to be current (--assume-current-posthog)"
    );
}
