//! Pages, and the links from one to the next.

use serde_json::{Value, json};

use super::context::Context;
use crate::http::Response;

/// A page of Django REST framework: `limit` and `offset`, and the number of all rows.
pub(crate) fn counted_page(
    context: &mut Context<'_>,
    rows: Vec<Value>,
) -> Result<Response, Response> {
    let limit = match forgiving_integer(context, "limit", 100) {
        0 => 100,
        limit => limit,
    };
    let offset = forgiving_integer(context, "offset", 0);
    let count = rows.len();
    let after = offset.saturating_add(limit);
    let next = (after < count).then(|| page_link(context, limit, after));
    let previous = (offset > 0).then(|| page_link(context, limit, offset.saturating_sub(limit)));
    let results: Vec<Value> = rows.into_iter().skip(offset).take(limit).collect();
    Ok(Response::json(
        200,
        json!({"count": count, "next": next, "previous": previous, "results": results}),
    ))
}

/// Invalid values fall back to the default here, which is recorded as a violation.
fn forgiving_integer(context: &mut Context<'_>, name: &str, default: usize) -> usize {
    let Some(written) = context.parameter(name).filter(|text| !text.is_empty()) else {
        return default;
    };
    if let Ok(number) = written.parse() {
        return number;
    }
    let detail = format!("parameter {name} is not an integer: {written:?}");
    context.record_violation(&detail);
    default
}

/// Page links as Django REST framework makes them: sorted parameters, no zero offset.
fn page_link(context: &Context<'_>, limit: usize, offset: usize) -> String {
    let url = context.request.absolute_url();
    let base = url.split('?').next().unwrap_or_default();
    let given = context.request.parameters.iter();
    let mut parameters: Vec<(String, String)> = given
        .filter(|(name, _)| name != "limit" && name != "offset")
        .cloned()
        .collect();
    parameters.push(("limit".to_owned(), limit.to_string()));
    if offset > 0 {
        parameters.push(("offset".to_owned(), offset.to_string()));
    }
    parameters.sort();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    format!("{base}?{query}")
}

/// `next` and `previous` of a list of persons. Only `offset` is replaced, and not when it would be zero, so that
/// `previous` of the second page is the second page.
pub(crate) fn page_links(
    context: &Context<'_>,
    limit: usize,
    offset: usize,
    full: bool,
) -> (Option<String>, Option<String>) {
    let url = context.request.absolute_url();
    let next = full.then(|| with_offset(&url, offset.saturating_add(limit)));
    let previous = match offset.checked_sub(limit) {
        None => None,
        Some(0) => Some(url),
        Some(offset) => Some(with_offset(&url, offset)),
    };
    (next, previous)
}

/// The same URL with another `offset`.
pub(crate) fn with_offset(url: &str, offset: usize) -> String {
    let Some((base, query)) = url.split_once('?') else {
        return format!("{url}?offset={offset}");
    };
    let mut found = false;
    let mut parts: Vec<String> = Vec::new();
    for part in query.split('&') {
        if part.starts_with("offset=") {
            found = true;
            parts.push(format!("offset={offset}"));
        } else {
            parts.push(part.to_owned());
        }
    }
    if !found {
        parts.push(format!("offset={offset}"));
    }
    format!("{base}?{}", parts.join("&"))
}
