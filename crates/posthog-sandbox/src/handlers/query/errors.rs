//! The responses for queries that are refused.

use serde_json::json;

use crate::handlers::context::Context;
use crate::hogql::QueryError;
use crate::http::Response;
use crate::model::Era;

/// Records what a client should not have sent. A mistake in a value is one only if PostHog fails on it.
pub(super) fn refusal(context: &mut Context<'_>, error: QueryError) -> Response {
    let is_2025 = context.era() == Era::August2025;
    let code = |since_2026| if is_2025 { "invalid_input" } else { since_2026 };
    let (code, detail) = match error {
        QueryError::Failure => return context.crash("query that PostHog fails on"),
        QueryError::ClickHouse { code, detail } => (code, detail),
        QueryError::Syntax(detail) => {
            context.record_violation(&format!("HogQL syntax: {detail}"));
            (code("hogql_syntax_error"), detail)
        }
        QueryError::Invalid(detail) => {
            // A client cannot know what an earlier version lacks.
            if !(is_2025 && detail.ends_with(": last_seen_at")) {
                context.record_violation(&format!("HogQL: {detail}"));
            }
            (code("hogql_query_error"), detail)
        }
    };
    let response = Response::error(400, "validation_error", code, detail, None);
    if !code.starts_with("hogql_") {
        return response;
    }
    let extra = json!({"hogql_metadata": {"errors": [{"start": null, "end": null}]}});
    response.with_field("extra", extra)
}

pub(super) fn parse_error(errors: &[String]) -> Response {
    let plural = if errors.len() == 1 { "" } else { "s" };
    let detail = format!(
        "JSON parse error - {} validation error{plural} for QueryRequest\n{}",
        errors.len(),
        errors.join("\n"),
    );
    Response::error(400, "invalid_request", "parse_error", detail, None)
}
