//! The source of an actors query.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{funnels, lifecycle, paths, retention, stickiness, trends};
use crate::handlers::context::Context;
use crate::handlers::query::errors::refusal;
use crate::handlers::query::hogql::database;
use crate::hogql::{Actors, QueryError, Type, Value, parse_select, run};
use crate::http::Response;

/// The persons of a source, and the columns that PostHog adds to those that are selected.
pub(in crate::handlers::query) struct ActorSource {
    pub(in crate::handlers::query) actors: Actors,
    pub(in crate::handlers::query) added: Option<&'static str>,
}

impl ActorSource {
    /// Persons without further columns.
    pub(super) fn of_persons(persons: impl Iterator<Item = Uuid>) -> Self {
        Self::with_columns(Vec::new(), persons.map(|uuid| (uuid, Vec::new())))
    }

    pub(super) fn with_columns(
        columns: Vec<(String, Type)>,
        rows: impl Iterator<Item = (Uuid, Vec<Value>)>,
    ) -> Self {
        let rows = rows.collect();
        Self {
            actors: Actors { columns, rows },
            added: None,
        }
    }
}

pub(in crate::handlers::query) fn read(
    context: &mut Context<'_>,
    source: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let kind = |fields: &Map<String, Json>| {
        let kind = fields.get("kind").and_then(Json::as_str);
        kind.unwrap_or_default().to_owned()
    };
    let none = Map::new();
    let insight = source
        .get("source")
        .and_then(Json::as_object)
        .unwrap_or(&none);
    match (kind(source).as_str(), kind(insight).as_str()) {
        ("HogQLQuery", _) => of_query(context, source),
        ("FunnelsActorsQuery", _) => funnels::actors(context, source, insight),
        ("StickinessActorsQuery", _) | (_, "StickinessQuery") => {
            stickiness::actors(context, source, insight)
        }
        (_, "TrendsQuery") => trends::actors(context, source, insight),
        (_, "LifecycleQuery") => lifecycle::actors(context, source, insight),
        (_, "RetentionQuery") => retention::actors(context, source, insight),
        (_, "PathsQuery") => paths::actors(context, insight),
        // PostHog has no such persons.
        (_, other) => Err(context.crash(format!("InsightActorsQuery of {other}"))),
    }
}

/// The rows of a query, which has a column for the id.
fn of_query(
    context: &mut Context<'_>,
    fields: &Map<String, Json>,
) -> Result<ActorSource, Response> {
    let text = fields
        .get("query")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let values = fields.get("values").and_then(Json::as_object);
    let parsed = parse_select(text, values.unwrap_or(&Map::new()));
    let output = parsed.and_then(|select| run(&select, &database(context, false)));
    let output = output.map_err(|error| refusal(context, error))?;
    let names = ["person_id", "actor_id", "id"];
    let id = names
        .iter()
        .find_map(|name| output.columns.iter().position(|column| column == name));
    let Some(id) = id else {
        let detail = "Source query must have an id column".to_owned();
        return Err(refusal(context, QueryError::Invalid(detail)));
    };
    let columns = output.columns.into_iter().zip(output.types).collect();
    let rows = output.rows.into_iter().filter_map(|row| match row.get(id) {
        Some(Value::Uuid(uuid)) => Some((*uuid, row.clone())),
        _ => None,
    });
    Ok(ActorSource::with_columns(columns, rows))
}
