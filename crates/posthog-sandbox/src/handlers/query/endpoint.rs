//! Sending a query, asking for its status, cancelling it.

use chrono::Duration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::store::{Background, Cached, QueryStore, STATUS_TTL};
use super::validation::Validation;
use super::{actors, errors, events, hogql, schema};
use crate::handlers::context::Context;
use crate::http::{Body, Response};
use crate::model::Era;
use crate::model::dates::{Time, format_time};

pub(crate) const STATUS_QUERY: &[&str] = &["show_progress"];

type Fields = Map<String, Value>;

pub(crate) fn create(context: &mut Context<'_>) -> Result<Response, Response> {
    let request = validated(context)?;
    let query = request.get("query").cloned().unwrap_or_default();
    let kind = query
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if kind == "HogQLQuery" && context.behaviors.hogql_throttled {
        return Err(Response::throttled(3594));
    }
    let key = cache_key(context.project.id, &query);
    let refresh = match request.get("refresh").and_then(Value::as_str) {
        None if request.get("async") == Some(&Value::Bool(true)) => "async",
        refresh => refresh.unwrap_or("blocking"),
    };
    let within = cached_for(&query);
    let cached = context.queries.fresh(&key, context.now, within).cloned();
    match (refresh, cached) {
        ("force_async", _) => return background(context, &request, &query, None),
        ("async" | "lazy_async", None) => {
            return background(context, &request, &query, Some(&key));
        }
        ("force_blocking", _) | (_, None) => {}
        (_, Some(cached)) => {
            let mut body = cached.body;
            body.insert("is_cached".to_owned(), Value::Bool(true));
            return Ok(Response::json(200, Value::Object(body)));
        }
    }
    let body = calculated(context, &query, &key)?;
    if QueryStore::keeps(&body) {
        let cached = Cached {
            at: context.now,
            body: body.clone(),
        };
        context.queries.cached.insert(key, cached);
    }
    Ok(Response::json(200, Value::Object(body)))
}

fn validated(context: &mut Context<'_>) -> Result<Fields, Response> {
    if let Body::Json(Value::Array(_)) = &context.request.body {
        return Err(context.crash("query request that is a list"));
    }
    let request = context.any_fields()?;
    let mut validation = Validation::new(context.era());
    validation.object("", &request, &schema::REQUEST);
    if validation.errors.is_empty() {
        return Ok(request);
    }
    if validation.is_fault {
        let first = validation.errors.first().cloned().unwrap_or_default();
        context.record_violation(&format!("invalid query: {first}"));
    }
    Err(errors::parse_error(&validation.errors))
}

/// The response of a query without the fields of the cache.
fn run(context: &mut Context<'_>, query: &Value) -> Result<Fields, Response> {
    let kind = query
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let fields = query.as_object().cloned().unwrap_or_default();
    let mut body = match kind {
        "ActorsQuery" => actors::run(context, &fields)?,
        "EventsQuery" => events::run(context, &fields)?,
        "HogQLQuery" => hogql::run(context, &fields)?,
        other => return Err(context.reject(format!("query of kind {other}"))),
    };
    let common = json!({
        "error": null,
        "query_status": null,
        "resolved_date_range": null,
        "modifiers": {"personsOnEventsMode": hogql::persons_on_events_mode(context, &fields)},
        "timings": [{"k": "./query", "t": 0.01}],
    });
    let later = json!({
        "warnings": null,
        "used_data_warehouse_sources": null,
        "resolved_compare_date_range": null,
        "formatted_results": null,
    });
    let more = if context.era() == Era::August2025 {
        vec![common]
    } else {
        vec![common, later]
    };
    for (name, value) in more.into_iter().filter_map(into_map).flatten() {
        body.entry(name).or_insert(value);
    }
    Ok(body)
}

fn into_map(value: Value) -> Option<Fields> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

fn calculated(context: &mut Context<'_>, query: &Value, key: &str) -> Result<Fields, Response> {
    let mut body = run(context, query)?;
    let now = context.now;
    let target = match query.get("kind").and_then(Value::as_str) {
        Some("ActorsQuery" | "EventsQuery") => Duration::minutes(5),
        _ => Duration::hours(6),
    };
    let about_cache = json!({
        "cache_key": key,
        "cache_target_age": format_time(now + target),
        "calculation_trigger": null,
        "is_cached": false,
        "last_refresh": format_time(now),
        "next_allowed_client_refresh": format_time(now + Duration::minutes(1)),
        "timezone": "UTC",
    });
    body.extend(into_map(about_cache).unwrap_or_default());
    Ok(body)
}

/// The query without its tags.
fn cache_key(project: u64, query: &Value) -> String {
    let mut query = query.clone();
    if let Some(fields) = query.as_object_mut() {
        fields.remove("tags");
    }
    let text = format!("{project}:{query}");
    let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes());
    format!("cache_{}", uuid.simple())
}

/// For how long a result is reused.
fn cached_for(query: &Value) -> Duration {
    let is_insight = !matches!(
        query.get("kind").and_then(Value::as_str),
        Some("ActorsQuery" | "EventsQuery" | "HogQLQuery")
    );
    match query.get("interval").and_then(Value::as_str) {
        _ if !is_insight => Duration::minutes(5),
        Some("minute" | "hour") => Duration::hours(1),
        Some("week" | "month") => Duration::days(1),
        _ => Duration::hours(6),
    }
}

/// Runs the query as if in the background. `key` is that of the cache, which a forced run does not name.
fn background(
    context: &mut Context<'_>,
    request: &Fields,
    query: &Value,
    key: Option<&str>,
) -> Result<Response, Response> {
    let named = request.get("client_query_id").and_then(Value::as_str);
    let text = format!("{query}{}", format_time(context.now));
    let invented = Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string();
    let id = named.unwrap_or(&invented).to_owned();
    let cache_key = cache_key(context.project.id, query);
    let outcome = calculated(context, query, &cache_key);
    let (project, at) = (context.project.id, context.now);
    let mut body = json!({"query_status": query_status(&id, project, at, None)});
    if let (Some(key), Some(fields)) = (key, body.as_object_mut()) {
        fields.insert("cache_key".to_owned(), Value::from(key));
    }
    let background = Background {
        project,
        at,
        outcome,
    };
    context.queries.start(&id, background);
    Ok(Response::json(202, body))
}

fn query_status(id: &str, project: u64, at: Time, results: Option<&Fields>) -> Value {
    let done = results.is_some();
    let ended = done.then(|| format_time(at));
    json!({
        "id": id,
        "team_id": project,
        "complete": done,
        "error": false,
        "error_message": null,
        "start_time": format_time(at),
        "pickup_time": ended,
        "end_time": ended,
        "expiration_time": format_time(at + STATUS_TTL),
        "results": results,
        "query_progress": null,
        "task_id": Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string(),
        "query_async": true,
        "labels": null,
        "insight_id": null,
        "dashboard_id": null,
    })
}

pub(crate) fn status(context: &mut Context<'_>) -> Result<Response, Response> {
    let found = find(context)?;
    let (id, project) = (&context.id, context.project.id);
    let body = found.outcome.as_ref().ok();
    let mut status = query_status(id, project, found.at, Some(body.unwrap_or(&Map::new())));
    let mut code = 200;
    if let (Err(error), Some(fields)) = (&found.outcome, status.as_object_mut()) {
        code = if error.status < 500 { 400 } else { 500 };
        fields.insert("error".to_owned(), Value::Bool(true));
        fields.insert("results".to_owned(), Value::Null);
        if code == 400 {
            fields.insert("error_message".to_owned(), error.detail());
        }
    }
    Ok(Response::json(code, json!({"query_status": status})))
}

pub(crate) fn cancel(context: &mut Context<'_>) -> Result<Response, Response> {
    let message = match find(context) {
        Ok(_) => "Query already complete",
        Err(_) => "Cancelled query on clickhouse",
    };
    Ok(Response::json(200, json!({"message": message})))
}

fn find(context: &Context<'_>) -> Result<Background, Response> {
    let (id, project) = (&context.id, context.project.id);
    let found = context.queries.status(id, project, context.now);
    found
        .cloned()
        .ok_or_else(|| Response::not_found(&format!("Query {id} not found for team {project}")))
}
