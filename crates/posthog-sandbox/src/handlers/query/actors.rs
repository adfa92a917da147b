//! `ActorsQuery`: persons by filters, or those of a source.

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::errors::refusal;
use super::filters::PersonFilter;
use super::hogql::{database, row_cap};
use super::insight::{self, ActorSource};
use super::select::{ColumnKind, Selection};
use crate::handlers::context::Context;
use crate::handlers::search::Search;
use crate::hogql::{Actors, Database, Value, run as evaluate};
use crate::http::Response;
use crate::model::dates::format_time;

const DEFAULT_LIMIT: usize = 100;

pub(super) fn run(
    context: &mut Context<'_>,
    fields: &Map<String, Json>,
) -> Result<Map<String, Json>, Response> {
    let limit = match integer(fields, "limit") {
        Some(limit @ 1..) => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => DEFAULT_LIMIT,
    };
    let limit = limit.min(row_cap(context));
    let offset = integer(fields, "offset").and_then(|offset| usize::try_from(offset).ok());
    let offset = offset.unwrap_or(0);
    let source = match fields.get("source").and_then(Json::as_object) {
        Some(source) => insight::read(context, source)?,
        None => ActorSource {
            actors: all_persons(context),
            added: None,
        },
    };
    let mut columns = texts(fields, "select").unwrap_or_else(default_columns);
    if let Some(added) = source.added
        && !columns.iter().any(|column| column == added)
    {
        columns.push(added.to_owned());
    }
    let order = texts(fields, "orderBy");
    let selection = Selection::read(
        &columns,
        order.as_deref(),
        &context.options.display_properties,
    );
    let selection = selection.map_err(|error| refusal(context, error))?;
    let actors = filtered(context, fields, &selection, source.actors)?;
    let kinds = selection.kinds.clone();
    let query = selection.query(limit, offset);
    let output = evaluate(
        &query,
        &Database {
            actors: Some(&actors),
            ..database(context, false)
        },
    );
    let mut output = output.map_err(|error| refusal(context, error))?;
    let has_more = output.rows.len() > limit;
    output.rows.truncate(limit);
    let mut missing = kinds.contains(&ColumnKind::Person).then_some(0);
    let mut rows: Vec<Json> = Vec::new();
    for row in &output.rows {
        let cells = row
            .iter()
            .zip(&kinds)
            .map(|(value, kind)| match (kind, value) {
                (ColumnKind::Person, Value::Uuid(uuid)) => {
                    let person = person(context, *uuid);
                    missing = missing.map(|count| count + usize::from(person.is_none()));
                    person.unwrap_or_else(|| json!({"id": uuid}))
                }
                (ColumnKind::DisplayName, value) => {
                    let json = value.to_json();
                    json!({"display_name": json.get(0), "id": json.get(1)})
                }
                (_, value) => value.to_json(),
            });
        rows.push(cells.collect());
    }
    let types = output.types.iter().map(ToString::to_string);
    let types: Vec<String> = types.collect();
    let body = json!({
        "results": rows,
        "columns": columns,
        "types": types,
        "hasMore": has_more,
        "limit": limit,
        "offset": offset,
        "missing_actors_count": missing,
        "hogql": format!("SELECT {} FROM persons LIMIT {limit} OFFSET {offset}", columns.join(", ")),
    });
    Ok(body.as_object().cloned().unwrap_or_default())
}

fn default_columns() -> Vec<String> {
    let columns = ["person", "id", "person.$delete"];
    columns.map(str::to_owned).to_vec()
}

fn integer(fields: &Map<String, Json>, name: &str) -> Option<i64> {
    match fields.get(name)? {
        Json::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

fn texts(fields: &Map<String, Json>, name: &str) -> Option<Vec<String>> {
    let items = fields.get(name)?.as_array()?.iter();
    Some(items.filter_map(Json::as_str).map(str::to_owned).collect())
}

fn all_persons(context: &Context<'_>) -> Actors {
    let persons = context.project.analytics.in_order();
    Actors {
        columns: Vec::new(),
        rows: persons.map(|(uuid, _)| (uuid, Vec::new())).collect(),
    }
}

/// Those who pass the filters and the search. They are applied to the persons of the analytics store, so that others
/// drop out.
fn filtered(
    context: &mut Context<'_>,
    fields: &Map<String, Json>,
    selection: &Selection,
    mut actors: Actors,
) -> Result<Actors, Response> {
    let none = Json::Null;
    let properties = fields.get("properties").unwrap_or(&none);
    let fixed = fields.get("fixedProperties").unwrap_or(&none);
    let properties = PersonFilter::read(context, properties)?;
    let fixed = PersonFilter::read(context, fixed)?;
    let words = fields
        .get("search")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let search = (!words.is_empty()).then(|| Search::part(context, words));
    let of_source: Vec<&str> = actors
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let passes_through = properties.is_empty()
        && fixed.is_empty()
        && search.is_none()
        && !selection.needs_persons(&of_source);
    if passes_through {
        return Ok(actors);
    }
    let analytics = &context.project.analytics;
    actors.rows.retain(|(uuid, _)| {
        analytics.active(*uuid).is_some_and(|row| {
            properties.accepts(*uuid, row)
                && fixed.accepts(*uuid, row)
                && search
                    .as_ref()
                    .is_none_or(|search| search.finds(*uuid, &row.properties))
        })
    });
    Ok(actors)
}

/// The person of the primary store, with all of its distinct ids.
fn person(context: &Context<'_>, uuid: Uuid) -> Option<Json> {
    let person = context.project.primary.by_uuid(uuid)?;
    let distinct_ids: Vec<&str> = person.distinct_ids.iter().map(AsRef::as_ref).collect();
    Some(json!({
        "id": uuid,
        "properties": context.visible_properties(&person.properties),
        "is_identified": person.is_identified,
        "created_at": format_time(person.created_at),
        "distinct_ids": distinct_ids,
    }))
}
