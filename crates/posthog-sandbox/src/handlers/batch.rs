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
            return Err(Response::invalid("Invalid UUID(s) in request", None));
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
    let texts = items.iter().take(MAX_IDS).map(|item| match item {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!(
            "{field} contains a value that is not text: {other}"
        )),
    });
    let texts: Result<Vec<String>, String> = texts.collect();
    texts.map_err(|detail| context.reject(detail))
}
