//! A property is stored as given, or the tool that does what is meant is named.

use posthog_sandbox::Era;
use serde_json::json;

use super::support::on;
use crate::ADA;

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

#[tokio::test]
async fn null_that_posthog_rejects_is_reported_with_the_argument() {
    let session = on(Era::August2025).await;
    let set = json!({"id": ADA, "key": "plan", "value": null});
    let error = session.error("persons-property-set", set.clone()).await;
    assert!(error.starts_with("Nothing was changed."), "{error}");
    assert!(error.contains("argument `value`"), "{error}");
    let session = on(Era::September2026).await;
    session.call("persons-property-set", set).await;
}
