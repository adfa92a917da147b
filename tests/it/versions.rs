//! Older versions of PostHog: no call does more than it reports.

use posthog_client::Project;
use posthog_persons_mcp::policy::Confirm;
use posthog_sandbox::{Clock, Era, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::{ADA, Session, Setup, column, connect_with};

const GRACE: &str = "707be5a0-b120-5ae0-b57a-f77976f29c41";
/// A static cohort of the sandbox: Grace and the kiosk.
const STATIC_COHORT: u64 = 13;

fn of(era: Era) -> Setup {
    Setup {
        assume_current: false,
        confirm: Confirm::Off,
        sandbox: SandboxOptions {
            era,
            clock: Clock::Manual,
            ..SandboxOptions::default()
        },
        ..Setup::default()
    }
}

async fn on(era: Era) -> Session {
    connect_with(of(era)).await
}

/// The writes since the last call.
fn writes(session: &Session) -> Vec<String> {
    let requests = session.requests();
    requests
        .into_iter()
        .filter(|request| {
            ["split/", "bulk_delete/"]
                .iter()
                .any(|write| request.ends_with(write))
        })
        .collect()
}

async fn properties(session: &Session, id: &str) -> Value {
    let person = session
        .call("persons-retrieve", json!({"id": id, "select": ["*"]}))
        .await;
    person["properties"].clone()
}

#[tokio::test]
async fn partial_split_is_refused_where_posthog_would_strip_the_person() {
    let session = on(Era::August2025).await;
    let arguments = json!({"id": GRACE, "distinct_ids_to_split": ["katherine-laptop"]});
    let error = session.error("persons-split", arguments.clone()).await;
    assert!(error.contains("older than June 2026"), "{error}");
    assert!(error.contains("Nothing was sent."), "{error}");
    assert!(error.contains("`main_distinct_id`"), "{error}");
    assert_eq!(writes(&session), Vec::<String>::new());
    for era in [Era::June2026, Era::September2026] {
        let session = on(era).await;
        session.call("persons-split", arguments.clone()).await;
        assert_eq!(writes(&session).len(), 1);
    }
}

#[tokio::test]
async fn split_by_main_distinct_id_keeps_the_properties_on_every_version() {
    for era in Era::ALL {
        let session = on(era).await;
        let before = properties(&session, GRACE).await;
        let arguments = json!({
            "id": GRACE, "main_distinct_id": "grace@example.com", "allow_creator_id": true, "wait_seconds": 1,
        });
        let split = session.call("persons-split", arguments).await;
        assert_eq!(
            split["notes"].as_array().map_or(0, Vec::len),
            usize::from(split["status"] != "done")
        );
        session.sandbox.advance(std::time::Duration::from_secs(60));
        let person = session
            .call("persons-retrieve", json!({"id": GRACE, "select": ["*"]}))
            .await;
        assert_eq!(
            person["distinct_ids"],
            json!(["grace@example.com"]),
            "{era:?}"
        );
        assert_eq!(person["properties"], before, "{era:?}");
    }
}

#[tokio::test]
async fn split_that_takes_more_than_planned_is_reported() {
    let mut setup = Setup {
        assume_current: true,
        ..of(Era::August2025)
    };
    setup.sandbox.clock = Clock::Real;
    let session = connect_with(setup).await;
    let arguments = json!({
        "id": GRACE, "distinct_ids_to_split": ["katherine-laptop"], "wait_seconds": 20,
    });
    let split = session.call("persons-split", arguments).await;
    assert_eq!(split["status"], "partly");
    let note = split["notes"][0].as_str().unwrap();
    assert!(
        note.starts_with("PostHog took more from the person than planned."),
        "{note}"
    );
    assert!(note.contains("katherine@example.com"), "{note}");
    assert!(note.contains("Properties that are gone: "), "{note}");
}

#[tokio::test]
async fn deletion_options_that_posthog_ignores_are_refused() {
    let session = on(Era::August2025).await;
    for (option, consequence) in [
        ("keep_person", "it would delete the persons"),
        ("delete_recordings", "the recordings would stay"),
    ] {
        let mut arguments = json!({"ids": [ADA], "delete_events": true});
        arguments[option] = true.into();
        for dry_run in [true, false] {
            arguments["dry_run"] = dry_run.into();
            let error = session
                .error("persons-bulk-delete", arguments.clone())
                .await;
            assert!(error.contains(consequence), "{error}");
            assert!(error.contains("older than December 2025"), "{error}");
        }
    }
    assert_eq!(writes(&session), Vec::<String>::new());
    assert!(properties(&session, ADA).await["email"].is_string());
}

#[tokio::test]
async fn deletion_accepted_without_a_body_is_queued() {
    let session = on(Era::August2025).await;
    let deletion = session
        .call("persons-bulk-delete", json!({"ids": [ADA]}))
        .await;
    assert_eq!(deletion["status"], "queued");
    let error = session.error("persons-retrieve", json!({"id": ADA})).await;
    assert!(error.contains(ADA), "{error}");
}

#[tokio::test]
async fn static_cohort_lists_its_members_on_every_version() {
    for era in Era::ALL {
        let session = on(era).await;
        let filter = |operator: &str, cohort: u64| json!({"properties": [{"type": "cohort", "key": "id", "operator": operator, "value": cohort}]});
        let members = session
            .call("persons-list", filter("in", STATIC_COHORT))
            .await;
        let mut members = column(&members, "uuid");
        members.sort_unstable();
        assert_eq!(members.len(), 2, "{era:?}");
        assert!(members.contains(&GRACE), "{era:?}");
        let unknown = session.error("persons-list", filter("in", 999)).await;
        assert!(unknown.contains("no cohort 999"), "{era:?}: {unknown}");
        if era == Era::August2025 {
            let error = session
                .error("persons-list", filter("not_in", STATIC_COHORT))
                .await;
            assert!(error.contains("ignores static cohorts"), "{error}");
        }
    }
}

#[tokio::test]
async fn cohort_filter_without_cohort_scope_says_that_it_is_unchecked() {
    let session = connect_with(Setup {
        key: Sandbox::READ_KEY,
        ..of(Era::June2026)
    })
    .await;
    let filter = json!({"properties": [{"type": "cohort", "key": "id", "value": STATIC_COHORT}]});
    let text = session.text("persons-list", filter).await;
    assert!(text.contains("lacks cohort:read"), "{text}");
}

/// The same filter selects the same persons on every version.
#[tokio::test]
async fn filters_mean_the_same_on_every_version() {
    let sessions = [
        on(Era::August2025).await,
        on(Era::June2026).await,
        on(Era::September2026).await,
    ];
    for filter in [
        json!({"key": "plan", "operator": "in", "value": ["pro"]}),
        json!({"key": "plan", "operator": "in", "value": ["pro", "free"]}),
        json!({"key": "plan", "operator": "not_in", "value": ["pro"]}),
        json!({"key": "plan", "operator": "not_in", "value": ["pro", "free"]}),
        json!({"key": "plan", "operator": "exact", "value": ["pro"]}),
        json!({"key": "plan", "operator": "is_not", "value": "pro"}),
        json!({"key": "email", "operator": "icontains", "value": ["HEDY", "alan"]}),
        json!({"key": "email", "operator": "not_icontains", "value": ["hedy", "alan"]}),
        json!({"key": "email", "operator": "regex", "value": ["^hedy", "^alan"]}),
        json!({"key": "email", "operator": "not_regex", "value": ["^hedy", "^alan"]}),
        json!({"key": "email", "operator": "is_set"}),
        json!({"key": "email", "operator": "is_not_set"}),
    ] {
        let mut sets = Vec::new();
        for session in &sessions {
            let page = session
                .call(
                    "persons-list",
                    json!({"properties": [filter], "limit": 100}),
                )
                .await;
            let mut uuids: Vec<String> = column(&page, "uuid")
                .into_iter()
                .map(str::to_owned)
                .collect();
            uuids.sort();
            sets.push(uuids);
        }
        assert!(!sets[0].is_empty(), "{filter}");
        assert_eq!(sets[0], sets[1], "{filter}");
        assert_eq!(sets[1], sets[2], "{filter}");
    }
}

#[tokio::test]
async fn filters_that_posthog_cannot_evaluate_are_named() {
    let session = on(Era::June2026).await;
    // A number against a property without a type.
    let filter = json!({"properties": [{"key": "unknown_number", "operator": "gt", "value": 3}]});
    let error = session.error("persons-list", filter).await;
    assert!(error.contains("`unknown_number` gt"), "{error}");
    assert!(error.contains("Retrying will not help."), "{error}");
    assert!(!error.contains("Try again later"), "{error}");
}

#[tokio::test]
async fn missing_endpoints_are_not_missing_persons() {
    let session = on(Era::August2025).await;
    for (tool, arguments, endpoint) in [
        ("persons-deletion-status-list", json!({}), "deletion_status"),
        (
            "persons-properties-at-time-retrieve",
            json!({"distinct_id": "ada@example.com", "timestamp": "2026-06-01"}),
            "properties_at_time",
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(error.contains(&format!("`{endpoint}`")), "{error}");
        assert!(error.contains("too old"), "{error}");
        assert!(!error.contains("distinct_id="), "{error}");
    }
    let values = session
        .call("persons-values-retrieve", json!({"key": "plan"}))
        .await;
    assert!(!values["results"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn batches_fall_back_to_single_reads_for_every_kind_of_key() {
    for key in [Sandbox::KEY, Sandbox::LEGACY_KEY] {
        let session = connect_with(Setup {
            key,
            ..of(Era::August2025)
        })
        .await;
        let batch = session
            .call("persons-batch-retrieve", json!({"uuids": [ADA, GRACE]}))
            .await;
        assert_eq!(batch["results"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn unknown_project_is_named_as_such() {
    let session = connect_with(Setup {
        project: Project::Number(999),
        ..of(Era::September2026)
    })
    .await;
    let error = session.error("persons-list", json!({})).await;
    assert!(error.contains("POSTHOG_PROJECT_ID"), "{error}");
    assert!(!error.contains("persons-list by email"), "{error}");
}

#[tokio::test]
async fn page_of_the_activity_past_the_last_is_named_as_such() {
    let session = on(Era::June2026).await;
    let error = session
        .error("persons-activity-retrieve", json!({"page": 99}))
        .await;
    assert!(error.contains("page 99 is past the last page"), "{error}");
    assert!(!error.contains("Try again later"), "{error}");
}

#[tokio::test]
async fn operations_of_events_are_no_properties() {
    let session = on(Era::September2026).await;
    for operation in ["$set", "$set_once", "$unset", "$add"] {
        let update = json!({"id": ADA, "properties": {operation: ["plan"]}});
        let error = session.error("persons-update", update).await;
        assert!(error.contains(&format!("`{operation}`")), "{error}");
        let set = json!({"id": ADA, "key": operation, "value": 1});
        session.error("persons-property-set", set).await;
    }
    assert_eq!(session.requests(), Vec::<String>::new());
}
