//! The two batch reads (contract section 3.15).

use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::call::Call;
use super::persons::record;
use super::properties::PropertyMap;

/// The rest is dropped without a word.
const READ_AT_MOST: usize = 200;
const SHOWN_DISTINCT_IDS: usize = 10;

/// Contract 3.15.
pub(super) fn by_distinct_ids(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut results = PropertyMap::new();
    for distinct_id in requested(call, "distinct_ids")? {
        if let Some(person) = call.world.primary.by_distinct_id(&distinct_id) {
            let record = record(call, person, SHOWN_DISTINCT_IDS);
            results.insert(distinct_id, record);
        }
    }
    Ok(Answer::json(200, json!({"results": results})))
}

/// Contract 3.15.
pub(super) fn by_uuids(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut results = PropertyMap::new();
    for text in requested(call, "uuids")? {
        let Ok(uuid) = Uuid::parse_str(&text) else {
            return Err(Answer::invalid("Invalid UUID(s) in request", None));
        };
        if let Some(person) = call.world.primary.by_uuid(uuid) {
            let record = record(call, person, SHOWN_DISTINCT_IDS);
            results.insert(uuid.to_string(), record);
        }
    }
    Ok(Answer::json(200, json!({"results": results})))
}

/// The first ids of the list; something that is no list counts as an empty one.
fn requested(call: &mut Call<'_>, field: &str) -> Result<Vec<String>, Answer> {
    let fields = call.fields(&[field])?;
    let items = match fields.get(field) {
        Some(Value::Array(items)) => items,
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(other) => {
            let detail = format!("{field} is no list: {other}");
            call.complain(&detail);
            return Ok(Vec::new());
        }
    };
    let texts = items.iter().take(READ_AT_MOST).map(|item| match item {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("{field} holds something that is no text: {other}")),
    });
    let texts: Result<Vec<String>, String> = texts.collect();
    texts.map_err(|detail| call.strict(detail))
}
