//! The filters of an actors query: lists, and groups of AND and OR.

use std::collections::HashSet;

use chrono::Duration;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::refusal;
use super::hogql::database;
use crate::handlers::arguments::filter_error;
use crate::handlers::context::Context;
use crate::hogql::{
    From, FromSource, Item, Node, QueryError, Select, Value as Cell, parse_expression,
    run as evaluate,
};
use crate::http::Response;
use crate::model::dates::{self, Time};
use crate::model::filters::{Filter, FilterError, FilterRules};
use crate::model::{AnalyticsRow, Era, PropertyOwner};

pub(super) enum PersonFilter {
    One(Filter),
    /// The persons that an expression holds for.
    Among(HashSet<Uuid>),
    Created {
        from: Option<Time>,
        before: Option<Time>,
    },
    All(Vec<PersonFilter>),
    Any(Vec<PersonFilter>),
}

impl PersonFilter {
    /// From a list, or from a group. Without filters everybody matches.
    pub(super) fn read(context: &mut Context<'_>, written: &Value) -> Result<Self, Response> {
        match written {
            Value::Array(items) => Ok(Self::All(Self::read_all(context, items)?)),
            Value::Object(fields) if fields.is_empty() => Ok(Self::All(Vec::new())),
            Value::Object(fields) => {
                let kind = fields.get("type").and_then(Value::as_str);
                let values = fields.get("values").and_then(Value::as_array);
                match (kind, values) {
                    (Some("AND"), Some(items)) => Ok(Self::All(Self::read_all(context, items)?)),
                    (Some("OR"), Some(items)) if !items.is_empty() => {
                        Ok(Self::Any(Self::read_all(context, items)?))
                    }
                    (Some("OR"), Some(_)) => Ok(Self::All(Vec::new())),
                    _ => Self::read_one(context, fields),
                }
            }
            _ => Ok(Self::All(Vec::new())),
        }
    }

    fn read_all(context: &mut Context<'_>, items: &[Value]) -> Result<Vec<Self>, Response> {
        items.iter().map(|item| Self::read(context, item)).collect()
    }

    fn read_one(context: &mut Context<'_>, fields: &Map<String, Value>) -> Result<Self, Response> {
        match fields.get("type").and_then(Value::as_str) {
            Some("hogql") => {
                let text = fields
                    .get("key")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let members = persons_for(context, text);
                members
                    .map(Self::Among)
                    .map_err(|error| refusal(context, error))
            }
            Some("person_metadata") => Self::read_metadata(context, fields),
            _ => Ok(Self::One(read_filter(context, fields)?)),
        }
    }

    /// `created_at`: a day stands for its start after `is_date_before`, and for its end after `is_date_after`.
    fn read_metadata(
        context: &mut Context<'_>,
        fields: &Map<String, Value>,
    ) -> Result<Self, Response> {
        if fields.get("key").and_then(Value::as_str) != Some("created_at") {
            return Err(context.reject("person_metadata other than created_at"));
        }
        let written = fields
            .get("value")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Some(time) = dates::parse_relative(written, context.now) else {
            return Err(context.crash(format!("created_at compared with {written:?}")));
        };
        let is_day = dates::is_bare_date(written);
        let next = if is_day {
            time + Duration::days(1)
        } else {
            time + Duration::microseconds(1)
        };
        let (from, before) = match fields.get("operator").and_then(Value::as_str) {
            Some("is_date_after" | "gt") => (Some(next), None),
            Some("gte") => (Some(time), None),
            Some("is_date_before" | "lt") => (None, Some(time)),
            Some("lte") => (None, Some(next)),
            Some("is_date_exact" | "exact") => (Some(time), Some(next)),
            other => return Err(context.reject(format!("created_at with operator {other:?}"))),
        };
        Ok(Self::Created { from, before })
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::All(filters) if filters.is_empty())
    }

    pub(super) fn accepts(&self, uuid: Uuid, row: &AnalyticsRow) -> bool {
        match self {
            Self::One(filter) => filter.matches(&row.properties, uuid),
            Self::Among(members) => members.contains(&uuid),
            Self::Created { from, before } => {
                from.is_none_or(|from| from <= row.created_at)
                    && before.is_none_or(|before| row.created_at < before)
            }
            Self::All(filters) => filters.iter().all(|filter| filter.accepts(uuid, row)),
            Self::Any(filters) => filters.iter().any(|filter| filter.accepts(uuid, row)),
        }
    }
}

/// A filter on persons. Queries have been in HogQL in every version.
pub(super) fn read_filter(
    context: &mut Context<'_>,
    fields: &Map<String, Value>,
) -> Result<Filter, Response> {
    read_with(context, fields, |fields, rules| {
        Filter::read(&Value::Object(fields.clone()), rules)
    })
}

/// A filter on the properties of events.
pub(super) fn read_event_filter(
    context: &mut Context<'_>,
    fields: &Map<String, Value>,
) -> Result<Filter, Response> {
    read_with(context, fields, |fields, rules| {
        Filter::read_property(fields, PropertyOwner::Event, rules)
    })
}

fn read_with(
    context: &mut Context<'_>,
    fields: &Map<String, Value>,
    read: impl FnOnce(&Map<String, Value>, &FilterRules<'_>) -> Result<Filter, FilterError>,
) -> Result<Filter, Response> {
    let mut fields = fields.clone();
    fields.retain(|name, _| !matches!(name.as_str(), "label" | "cohort_name"));
    let read = read(
        &fields,
        &FilterRules {
            era: context.era().max(Era::June2026),
            definitions: &context.project.definitions,
            cohort: &|id| context.project.cohort_members(id),
        },
    );
    match read {
        Err(FilterError::Failure) => Err(failure(&fields)),
        read => read.or_else(|error| filter_error(context, error)),
    }
}

/// What ClickHouse says about a value of another type is passed on; other failures are not.
fn failure(fields: &Map<String, Value>) -> Response {
    let operator = fields
        .get("operator")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let value = fields.get("value").cloned().unwrap_or_default();
    let (code, detail) = match operator {
        "is_date_exact" | "is_date_before" | "is_date_after" => (
            "type_mismatch",
            format!("Cannot convert string {value} to type DateTime64(6, 'UTC'). (TYPE_MISMATCH)"),
        ),
        "exact" | "is_not" | "gt" | "gte" | "lt" | "lte" if !value.is_array() => (
            "no_common_type",
            "There is no supertype for these types. (NO_COMMON_TYPE)".to_owned(),
        ),
        _ => return Response::server_error(500),
    };
    Response::error(400, "validation_error", code, detail, None)
}

/// The persons that an expression holds for.
fn persons_for(context: &Context<'_>, text: &str) -> Result<HashSet<Uuid>, QueryError> {
    let (filter, _) = parse_expression(text)?;
    let select = Select {
        items: vec![Item {
            node: Node::Field(vec!["id".to_owned()]),
            alias: None,
        }],
        from: Some(From {
            source: FromSource::Table("persons".to_owned()),
            alias: None,
        }),
        filter: Some(filter),
        ..Select::default()
    };
    let output = evaluate(&select, &database(context, false))?;
    let cells = output.rows.into_iter().flatten();
    Ok(cells
        .filter_map(|cell| match cell {
            Cell::Uuid(uuid) => Some(uuid),
            _ => None,
        })
        .collect())
}
