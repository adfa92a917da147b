//! The batch endpoints, which read persons by a list of ids (Persons API, Batch reads).

use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use super::persons::person_record;
use crate::http::Response;
use crate::model::PropertyMap;

/// Further ids are ignored.
const MAX_IDS: usize = 200;
const MAX_DISTINCT_IDS: usize = 10;

pub(crate) fn by_distinct_ids(context: &mut Context<'_>) -> Result<Response, Response> {
    let mut results = PropertyMap::new();
    for distinct_id in requested(context, "distinct_ids")? {
        if let Some(person) = context.project.primary.by_distinct_id(&distinct_id) {
            let record = person_record(context, person, MAX_DISTINCT_IDS);
            results.insert(distinct_id, record);
        }
    }
    Ok(Response::json(200, json!({"results": results})))
}

pub(crate) fn by_uuids(context: &mut Context<'_>) -> Result<Response, Response> {
    let mut results = PropertyMap::new();
    for text in requested(context, "uuids")? {
        let Ok(uuid) = Uuid::parse_str(&text) else {
            return Err(Response::invalid("One or more UUIDs are invalid.", None));
        };
        if let Some(person) = context.project.primary.by_uuid(uuid) {
            let record = person_record(context, person, MAX_DISTINCT_IDS);
            results.insert(uuid.to_string(), record);
        }
    }
    Ok(Response::json(200, json!({"results": results})))
}

/// The first ids of the list; any other value counts as an empty list.
fn requested(context: &mut Context<'_>, field: &str) -> Result<Vec<String>, Response> {
    let fields = context.fields(&[field])?;
    let items = match fields.get(field) {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(other) => {
            let detail = format!("{field} is not a list: {other}");
            context.record_violation(&detail);
            return Ok(Vec::new());
        }
    };
    let mut texts = Vec::new();
    for item in items.iter().take(MAX_IDS) {
        match item {
            Value::String(text) => texts.push(text.clone()),
            Value::Null if field == "uuids" => {
                return Err(context.crash("uuids contains null"));
            }
            other => {
                context.record_violation(&format!("{field} contains {other}"));
                texts.push(other.to_string());
            }
        }
    }
    Ok(texts)
}
