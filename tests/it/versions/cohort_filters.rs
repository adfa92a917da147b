//! A cohort filter lists the members of the cohort, or is refused.

use posthog_sandbox::{Era, Fault, FaultKind, Sandbox};
use serde_json::json;

use super::support::{GRACE, STATIC_COHORT, of, on};
use crate::{Setup, column, connect_with};

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
        let mut others = filter("not_in", STATIC_COHORT);
        others["limit"] = json!(100);
        let others = session.call("persons-list", others).await;
        let others = column(&others, "uuid");
        assert!(others.len() > 5 && !others.contains(&GRACE), "{era:?}");
    }
}

#[tokio::test]
async fn static_cohort_with_other_conditions_is_refused_where_posthog_ignores_it_and_queries_are_closed()
 {
    let session = connect_with(of(Era::August2025)).await;
    let closed = json!({
        "type": "authentication_error", "code": "permission_denied", "attr": null,
        "detail": "API key missing required scope 'query:read'",
    });
    let fault = FaultKind::json(403, &closed);
    session.sandbox.inject(Fault::always("/query/", fault));
    let filter = json!({"properties": [{"type": "cohort", "key": "id", "operator": "not_in", "value": STATIC_COHORT}]});
    let error = session.error("persons-list", filter).await;
    assert!(
        error.contains("ignores static cohorts") && error.contains("query:read"),
        "{error}"
    );
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
