//! `EventsQuery`.

use chrono::Duration;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::errors::refusal;
use super::hogql::{cell, database, row_cap};
use crate::handlers::context::Context;
use crate::hogql::{
    Comparison, From, FromSource, Item, Node, QueryError, Select, Type, parse_expression,
    parse_order, run as evaluate,
};
use crate::http::Response;
use crate::model::dates::{self, format_time};

const DEFAULT_LIMIT: i64 = 100;

pub(super) fn run(
    context: &mut Context<'_>,
    fields: &Map<String, Json>,
) -> Result<Map<String, Json>, Response> {
    let texts = |name: &str| -> Vec<String> {
        let items = fields
            .get(name)
            .and_then(Json::as_array)
            .into_iter()
            .flatten();
        items.filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let columns = texts("select");
    let integer = |name: &str| match fields.get(name) {
        Some(Json::String(text)) => text.parse().ok(),
        Some(other) => other.as_i64(),
        None => None,
    };
    let limit = integer("limit")
        .filter(|limit| *limit > 0)
        .unwrap_or(DEFAULT_LIMIT);
    let limit = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .min(row_cap(context));
    let offset = integer("offset").and_then(|offset| usize::try_from(offset).ok());
    let offset = offset.unwrap_or(0);
    let conditions = conditions(context, fields, &texts("where"))?;
    let select = selection(&columns, &texts("orderBy"), conditions);
    let mut select = select.map_err(|error| refusal(context, error))?;
    select.limit = Some(Node::Constant(Json::from(limit + 1)));
    select.offset = Some(Node::Constant(Json::from(offset)));
    let output = evaluate(&select, &database(context, false));
    let mut output = output.map_err(|error| refusal(context, error))?;
    let has_more = output.rows.len() > limit;
    output.rows.truncate(limit);
    let mut rows: Vec<Json> = Vec::new();
    for row in &output.rows {
        let cells = row.iter().zip(&output.types).zip(&columns);
        let cells = cells.map(|((value, ty), column)| match column.as_str() {
            "*" => event_object(context, &value.to_json()),
            "person" => person_object(context, &value.to_json()),
            _ => cell(value, ty),
        });
        rows.push(cells.collect());
    }
    let types = output
        .types
        .iter()
        .zip(&columns)
        .map(|(ty, column)| match column.as_str() {
            "person" => Type::String.to_string(),
            _ => ty.to_string(),
        });
    let types: Vec<String> = types.collect();
    let body = json!({
        "results": rows,
        "columns": columns,
        "types": types,
        "hasMore": has_more,
        "limit": limit,
        "offset": offset,
        "hogql": format!("SELECT {} FROM events", columns.join(", ")),
    });
    Ok(body.as_object().cloned().unwrap_or_default())
}

fn selection(
    columns: &[String],
    order: &[String],
    conditions: Vec<Node>,
) -> Result<Select, QueryError> {
    let mut items = Vec::new();
    for text in columns {
        let (node, alias) = match text.as_str() {
            "*" => parse_expression(
                "tuple(uuid, event, properties, timestamp, 1, distinct_id, elements_chain, created_at)",
            )?,
            "person" => parse_expression("tuple(person_id, distinct_id)")?,
            text => parse_expression(text)?,
        };
        items.push(Item { node, alias });
    }
    let mut orders = order
        .iter()
        .map(|text| parse_order(text))
        .collect::<Result<Vec<_>, _>>()?;
    if orders.is_empty() {
        let by_time = columns.iter().any(|column| column == "timestamp");
        let first = columns.first().map_or("timestamp", String::as_str);
        orders = match (by_time, first) {
            (true, _) | (_, "*") => vec![parse_order("timestamp DESC")?],
            (false, "person") => Vec::new(),
            (false, first) => vec![parse_order(first)?],
        };
    }
    Ok(Select {
        items,
        filter: Some(Node::And(conditions)),
        order_by: orders,
        from: Some(From {
            source: FromSource::Table("events".to_owned()),
            alias: None,
        }),
        ..Select::default()
    })
}

/// What the events have to be, as expressions.
fn conditions(
    context: &mut Context<'_>,
    fields: &Map<String, Json>,
    written: &[String],
) -> Result<Vec<Node>, Response> {
    let text = |name: &str| fields.get(name).and_then(Json::as_str);
    let mut texts: Vec<String> = written.to_vec();
    if let Some(person) = text("personId") {
        // It is looked up in the primary store.
        let uuid = Uuid::parse_str(person).ok();
        let found = uuid.and_then(|uuid| context.project.primary.by_uuid(uuid));
        let Some(uuid) = found.map(|person| person.uuid) else {
            return Err(context.crash("events of a person that does not exist"));
        };
        texts.push(format!("person_id = '{uuid}'"));
    }
    let before = match text("before") {
        None => Some(context.now + Duration::seconds(5)),
        Some(written) => dates::parse_relative(written, context.now),
    };
    let after = dates::parse_relative(text("after").unwrap_or("-24h"), context.now);
    let (Some(before), Some(after)) = (before, after) else {
        return Err(context.crash("time of events that is not a time"));
    };
    texts.push(format!("timestamp < toDateTime('{}')", format_time(before)));
    texts.push(format!("timestamp > toDateTime('{}')", format_time(after)));
    let mut nodes = Vec::new();
    for text in &texts {
        let parsed = parse_expression(text);
        nodes.push(parsed.map_err(|error| refusal(context, error))?.0);
    }
    if let Some(event) = text("event") {
        nodes.push(equals("event", event));
    }
    let filters = ["properties", "fixedProperties"].map(|name| fields.get(name).cloned());
    for filter in filters.into_iter().flatten() {
        nodes.push(super::insight::matching(context, &filter)?);
    }
    Ok(nodes)
}

fn equals(field: &str, value: &str) -> Node {
    let field = Node::Field(vec![field.to_owned()]);
    let value = Node::Constant(Json::from(value));
    Node::Compare(Comparison::Equal, Box::new(field), Box::new(value))
}

fn event_object(context: &Context<'_>, cells: &Json) -> Json {
    let properties = cells.get(2).and_then(Json::as_str).unwrap_or_default();
    let properties: Json = serde_json::from_str(properties).unwrap_or_default();
    json!({
        "uuid": cells.get(0),
        "event": cells.get(1),
        "properties": properties,
        "timestamp": cells.get(3),
        "team_id": context.project.id,
        "distinct_id": cells.get(5),
        "elements_chain": cells.get(6),
        "created_at": cells.get(7),
    })
}

fn person_object(context: &Context<'_>, cells: &Json) -> Json {
    let uuid = cells
        .get(0)
        .and_then(Json::as_str)
        .and_then(|uuid| Uuid::parse_str(uuid).ok());
    let person = uuid.and_then(|uuid| context.project.primary.by_uuid(uuid));
    match person {
        None => json!({"distinct_id": cells.get(1)}),
        Some(person) => json!({
            "uuid": person.uuid,
            "created_at": format_time(person.created_at),
            "properties": context.visible_properties(&person.properties),
            "distinct_id": cells.get(1),
        }),
    }
}
