//! The versions of PostHog where no recording covers them: the schema, September 2026, filters on the built-in story.

use posthog_sandbox::{Era, SandboxOptions};
use serde_json::{Value, json};

use super::{api, assert_rejected_by_sandbox, assert_server_error, names, results, start};

async fn api_of(era: Era) -> super::ReferenceClient {
    let options = SandboxOptions {
        era,
        ..SandboxOptions::default()
    };
    start(options).await
}

#[test]
fn eras_are_written_as_months() {
    for era in Era::ALL {
        assert_eq!(era.to_string().parse(), Ok(era));
    }
    assert_eq!("2026-09".parse(), Ok(Era::default()));
    assert!("2026".parse::<Era>().is_err());
}

/// The fields of an operation's request body, with its reference followed.
fn fields_of(schema: &Value, path: &str) -> Vec<String> {
    let body =
        schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
            .clone();
    let object = match body["$ref"].as_str() {
        Some(reference) => &schema["components"]["schemas"][reference.rsplit('/').next().unwrap()],
        None => &body,
    };
    let properties = object["properties"].as_object().unwrap();
    properties.keys().cloned().collect()
}

#[tokio::test]
async fn the_schema_lists_the_fields_that_a_version_knows() {
    for era in Era::ALL {
        let api = api_of(era).await;
        let schema = format!("{}/api/schema/?format=json", api.sandbox.url());
        // Without a key.
        let schema: Value = api
            .client
            .get(schema)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let split = fields_of(&schema, "/api/projects/{project_id}/persons/{id}/split/");
        let delete = fields_of(&schema, "/api/projects/{project_id}/persons/bulk_delete/");
        let is_new = era > Era::August2025;
        assert_eq!(split.contains(&"distinct_ids_to_split".to_owned()), is_new);
        for field in ["keep_person", "delete_recordings"] {
            assert_eq!(delete.contains(&field.to_owned()), is_new, "{era} {field}");
        }
    }
    assert_rejected_by_sandbox(&api().await.get_path("/api/schema/").await);
}

#[tokio::test]
async fn a_search_for_an_exact_id_finds_only_its_person_since_september_2026() {
    let words = "ada0ada0-1815-4852-8000-000000000101";
    // Ada by her UUID, and the person who has it as a distinct id.
    for (era, expected) in [
        (Era::August2025, vec!["wheatstone@example.com"]),
        (
            Era::June2026,
            vec!["wheatstone@example.com", "ada@example.com"],
        ),
        (Era::September2026, vec!["wheatstone@example.com"]),
    ] {
        let found = api_of(era).await.get_with("", &[("search", words)]).await;
        assert_eq!(names(&found), expected, "{era}");
    }
}

#[tokio::test]
async fn property_types_decide_what_a_filter_may_compare() {
    let api = api().await;
    let filtered = async |key: &str, operator: &str, value: Value| {
        let filter = json!([{"key": key, "operator": operator, "value": value, "type": "person"}]);
        let filter = filter.to_string();
        api.get_with("", &[("properties", &filter), ("limit", "100")])
            .await
    };
    let emmy = ["emmy@example.com"];
    for (key, operator, value) in [
        ("seats", "exact", json!(3)),
        ("seats", "exact", json!(["3"])),
        ("seats", "between", json!([2, 4])),
        ("seats", "lte", json!("3")),
        ("balance", "exact", json!("-12.75")),
        ("active", "exact", json!(true)),
        ("active", "exact", json!(["true"])),
        (
            "last_invoice_at",
            "is_date_exact",
            json!("2026-10-01 06:30:00"),
        ),
        ("last_invoice_at", "is_date_after", json!("2026-09-30")),
        ("renewal_date", "is_date_after", json!("2026-01-01")),
        ("renewal_date", "is_date_exact", json!("2026-12-24")),
    ] {
        let found = filtered(key, operator, value.clone()).await;
        assert_eq!(names(&found), emmy, "{key} {operator} {value}");
    }
    // A day is its first moment, a relative date is text.
    for (key, operator, value) in [
        ("last_invoice_at", "is_date_exact", json!("2026-10-01")),
        ("renewal_date", "is_date_before", json!("-7d")),
        ("tags", "exact", json!("algebra")),
    ] {
        let found = filtered(key, operator, value.clone()).await;
        assert!(results(&found).is_empty(), "{key} {operator} {value}");
    }
    for (key, operator, value) in [
        ("balance", "lt", json!(0)),
        ("balance", "exact", json!(-12)),
        ("seats", "exact", json!("three")),
        ("last_invoice_at", "is_date_after", json!("-7d")),
        (
            "last_invoice_at",
            "is_date_after",
            json!("2026-09-30T00:00:00Z"),
        ),
        ("plan", "in", json!(["pro"])),
        ("plan", "not_in", json!("pro")),
        ("plan", "regex", json!("[")),
    ] {
        assert_server_error(&filtered(key, operator, value).await);
    }
    api.assert_no_violations();
}

#[tokio::test]
async fn actions_that_a_version_does_not_have_are_no_violations() {
    let api = api_of(Era::August2025).await;
    let status = api.get_with("deletion_status/", &[("status", "all")]).await;
    assert_eq!(status.status, 400);
    let batch = api.post("batch_by_uuids/", json!({"uuids": []})).await;
    assert_eq!(batch.status, 403);
    assert_eq!(api.get("101/emails/").await.status, 404);
    api.assert_no_violations();
}

#[tokio::test]
async fn cohorts_and_definitions_are_listed() {
    let api = api().await;
    let cohort = api.get_path("/api/projects/1/cohorts/13/").await;
    assert_eq!(cohort.body["is_static"], true);
    let members = api.get_path("/api/projects/1/cohorts/13/persons/").await;
    assert_eq!(names(&members).len(), 2);
    let definitions = api
        .get_path("/api/projects/1/property_definitions/?type=person&search=seats")
        .await;
    assert_eq!(results(&definitions)[0]["property_type"], "Numeric");
    api.assert_no_violations();
}
