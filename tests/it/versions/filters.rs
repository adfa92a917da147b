//! A filter selects the same persons on every version, or is refused.

use posthog_sandbox::{Era, Sandbox};
use serde_json::json;

use super::support::{EMMY, of, on};
use crate::{ADA, Setup, column, connect_with};

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
        json!({"key": "seats", "operator": "exact", "value": 3}),
        json!({"key": "seats", "operator": "exact", "value": "3"}),
        json!({"key": "balance", "operator": "exact", "value": -12.75}),
        // A list of numbers and fractions finds both, with and without a type.
        json!({"key": "seats", "operator": "exact", "value": [3, 41.5]}),
        json!({"key": "balance", "operator": "in", "value": [3, -12.75]}),
        json!({"key": "active", "operator": "exact", "value": true}),
        json!({"key": "active", "operator": "is_not", "value": false}),
        json!({"key": "last_invoice_at", "operator": "is_date_after", "value": "-9999d"}),
        json!({"key": "last_invoice_at", "operator": "is_date_before", "value": "2026-10-01T12:00:00Z"}),
        json!({"key": "last_invoice_at", "operator": "is_date_after", "value": "2026-10-01T06:29:59Z"}),
        // The day contains the moment.
        json!({"key": "last_invoice_at", "operator": "is_date_exact", "value": "2026-10-01"}),
        json!({"key": "last_invoice_at", "operator": "is_date_exact", "value": "2026-10-01T06:30:00Z"}),
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
        let is_of_emmy = ["seats", "balance", "active", "last_invoice_at"]
            .contains(&filter["key"].as_str().unwrap());
        assert!(
            !is_of_emmy || sets[0].iter().any(|uuid| uuid == EMMY),
            "{filter}"
        );
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
    assert!(error.contains("nothing was requested"), "{error}");
    assert!(!error.contains("Try again later"), "{error}");
}

#[tokio::test]
async fn regex_that_posthog_cannot_compile_is_refused_before_it_is_sent() {
    let session = on(Era::June2026).await;
    let filter = json!({"properties": [{"key": "email", "operator": "regex", "value": "["}]});
    let error = session.error("persons-list", filter).await;
    assert!(error.contains("RE2"), "{error}");
    assert_eq!(session.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn filter_of_the_wrong_form_is_refused_with_an_example() {
    let session = connect_with(Setup {
        key: Sandbox::LEGACY_KEY,
        ..of(Era::September2026)
    })
    .await;
    for (tool, arguments) in [
        ("persons-list", json!({"properties": ["plan"]})),
        (
            "persons-properties-timeline-retrieve",
            json!({"id": ADA, "properties": ["plan"]}),
        ),
    ] {
        let error = session.error(tool, arguments).await;
        assert!(
            error.contains(r#"a filter such as {"key": "plan""#),
            "{error}"
        );
        assert!(!error.contains("struct"), "{error}");
    }
}
