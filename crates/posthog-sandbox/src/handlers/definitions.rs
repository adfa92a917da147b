//! The definitions of properties, by which filters are evaluated (Persons API, Property definitions).

use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use super::paging::counted_page;
use crate::http::Response;
use crate::model::{PropertyDefinition, PropertyOwner, PropertyType};

/// Properties of every person that are computed in queries.
const VIRTUAL: [(&str, PropertyType); 4] = [
    ("$virt_initial_channel_type", PropertyType::String),
    ("$virt_initial_referring_domain_type", PropertyType::String),
    ("$virt_revenue", PropertyType::Numeric),
    ("$virt_revenue_last_30_days", PropertyType::Numeric),
];

pub(crate) const LIST_QUERY: &[&str] = &[
    "excluded_properties",
    "is_numerical",
    "limit",
    "offset",
    "properties",
    "search",
    "type",
];

/// The definitions of one owner by name, the virtual properties last.
pub(crate) fn list(context: &mut Context<'_>) -> Result<Response, Response> {
    let owner = match context.parameter("type") {
        None | Some("event") => PropertyOwner::Event,
        Some("person") => PropertyOwner::Person,
        Some(other) => {
            return Err(Response::error(
                400,
                "validation_error",
                "invalid_choice",
                format!("\"{other}\" is not a valid choice."),
                Some("type"),
            ));
        }
    };
    let words = context.parameter("search").unwrap_or_default();
    let words = words.to_lowercase();
    let names = context.parameter("properties");
    let names: Option<Vec<&str>> = names.map(|names| names.split(',').collect());
    let excluded = context.parameter("excluded_properties").unwrap_or("[]");
    let Ok(excluded) = serde_json::from_str::<Vec<String>>(excluded) else {
        return Err(context.reject("excluded_properties is not a JSON list of names"));
    };
    let numerical = context.parameter("is_numerical").map(|flag| flag == "true");
    let is_found = |name: &str, kind: Option<PropertyType>| {
        name.to_lowercase().contains(&words)
            && names.as_ref().is_none_or(|n| n.contains(&name))
            && !excluded.iter().any(|excluded| excluded == name)
            && numerical.is_none_or(|flag| flag == (kind == Some(PropertyType::Numeric)))
    };
    let defined = context.project.definitions.of(owner);
    let mut defined: Vec<&PropertyDefinition> = defined
        .filter(|one| is_found(&one.name, one.property_type))
        .collect();
    defined.sort_by(|a, b| a.name.cmp(&b.name));
    let mut rows: Vec<Value> = defined.into_iter().map(written).collect();
    if owner == PropertyOwner::Person {
        let found = VIRTUAL
            .iter()
            .filter(|(name, kind)| is_found(name, Some(*kind)));
        rows.extend(found.map(|(name, kind)| written_virtual(name, *kind)));
    }
    counted_page(context, rows)
}

fn written(definition: &PropertyDefinition) -> Value {
    let kind = definition.property_type;
    json!({
        "id": Uuid::new_v5(&Uuid::NAMESPACE_OID, definition.name.as_bytes()).to_string(),
        "name": definition.name,
        "is_numerical": kind == Some(PropertyType::Numeric),
        "property_type": kind.map(PropertyType::name),
        "is_seen_on_filtered_events": null,
        "tags": [],
    })
}

fn written_virtual(name: &str, kind: PropertyType) -> Value {
    json!({
        "id": format!("$builtin_{name}"),
        "name": name,
        "is_numerical": kind == PropertyType::Numeric,
        "property_type": kind.name(),
        "tags": [],
        "virtual": true,
    })
}
