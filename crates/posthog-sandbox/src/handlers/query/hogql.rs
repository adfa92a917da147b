//! `HogQLQuery`.

use serde_json::{Map, Value as Json, json};

use super::errors::refusal;
use crate::handlers::context::Context;
use crate::hogql::{
    Database, MAX_ROWS, Node, QueryError, Select, Type, Value, parse_select, run as evaluate,
};
use crate::http::Response;
use crate::model::Era;

/// How many rows there are without LIMIT.
const DEFAULT_LIMIT: usize = 100;

pub(super) fn run(
    context: &mut Context<'_>,
    fields: &Map<String, Json>,
) -> Result<Map<String, Json>, Response> {
    let text = fields
        .get("query")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let values = fields.get("values").and_then(Json::as_object);
    let parsed = parse_select(text, values.unwrap_or(&Map::new()));
    let mut select = parsed.map_err(|error| refusal(context, error))?;
    if select.has_offset() && context.era() > Era::August2025 {
        let detail =
            "OFFSET is not supported for queries with a personal API key. Use keyset pagination";
        return Err(refusal(context, QueryError::Invalid(detail.to_owned())));
    }
    let is_plain = select.limit.is_none() && select.union.is_none();
    limit_branches(
        &mut select,
        if is_plain {
            DEFAULT_LIMIT + 1
        } else {
            DEFAULT_LIMIT
        },
    );
    let on_events = persons_on_events_mode(context, fields).ends_with("properties_on_events");
    let output = evaluate(&select, &database(context, on_events));
    let mut output = output.map_err(|error| refusal(context, error))?;
    let has_more = is_plain && output.rows.len() > DEFAULT_LIMIT;
    if is_plain {
        output.rows.truncate(DEFAULT_LIMIT);
    }
    output.rows.truncate(row_cap(context));
    let rows = output.rows.iter();
    let rows: Vec<Vec<Json>> = rows
        .map(|row| {
            row.iter()
                .zip(&output.types)
                .map(|(value, ty)| cell(value, ty))
                .collect()
        })
        .collect();
    let types: Vec<Json> = output
        .columns
        .iter()
        .zip(&output.types)
        .map(|(name, ty)| json!([name, ty.to_string()]))
        .collect();
    let body = json!({
        "results": rows,
        "columns": output.columns,
        "types": types,
        "hasMore": is_plain.then_some(has_more),
        "limit": is_plain.then_some(DEFAULT_LIMIT),
        "offset": is_plain.then_some(0),
        "query": text,
        "hogql": text,
        "clickhouse": format!("{text} SETTINGS readonly=2, max_execution_time=60"),
        "explain": null,
        "metadata": null,
    });
    Ok(body.as_object().cloned().unwrap_or_default())
}

pub(super) fn cell(value: &Value, ty: &Type) -> Json {
    match (value, ty.plain()) {
        (Value::Time(day), Type::Date) => Json::from(day.format("%Y-%m-%d").to_string()),
        _ => value.to_json(),
    }
}

/// Each of the queries of a UNION ALL has a limit of its own.
fn limit_branches(select: &mut Select, limit: usize) {
    if select.limit.is_none() {
        select.limit = Some(Node::Constant(Json::from(limit)));
    }
    if let Some(next) = &mut select.union {
        limit_branches(next, limit);
    }
}

pub(super) fn row_cap(context: &Context<'_>) -> usize {
    context.behaviors.row_cap.unwrap_or(MAX_ROWS)
}

pub(super) fn database<'a>(context: &'a Context<'_>, persons_on_events: bool) -> Database<'a> {
    Database {
        project: context.project,
        era: context.era(),
        now: context.now,
        persons_on_events,
        actors: None,
    }
}

/// The mode of the query, else that of the project: self-hosted ones have the default of the code, Cloud has another.
pub(super) fn persons_on_events_mode(context: &Context<'_>, fields: &Map<String, Json>) -> String {
    let modifiers = fields.get("modifiers").and_then(Json::as_object);
    let named = modifiers.and_then(|modifiers| modifiers.get("personsOnEventsMode"));
    let default = if context.era() == Era::August2025 {
        "person_id_override_properties_joined"
    } else {
        "person_id_override_properties_on_events"
    };
    named.and_then(Json::as_str).unwrap_or(default).to_owned()
}
