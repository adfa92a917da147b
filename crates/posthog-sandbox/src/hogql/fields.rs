//! Properties in a field such as `properties.plan`, which are read as the type of their definition.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::types::Type;
use super::value::Value;
use crate::model::dates;
use crate::model::{Properties, PropertyType};

pub(super) fn property_type(read_as: Option<PropertyType>) -> Type {
    let plain = match read_as {
        None | Some(PropertyType::String) => Type::String,
        Some(PropertyType::Numeric) => Type::Float64,
        Some(PropertyType::Boolean) => Type::Bool,
        Some(PropertyType::DateTime) => Type::Time(6),
    };
    plain.nullable()
}

/// NULL if there is no value, or if it is not of the type. As text it is the JSON without its outer quotes, in which
/// escapes remain.
pub(super) fn read_property(
    properties: &Value,
    path: &[Value],
    read_as: Option<PropertyType>,
) -> Value {
    let Some(json) = json_at(properties, path).filter(|json| !json.is_null()) else {
        return Value::Null;
    };
    let text = json.to_string();
    let unquoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = unquoted.unwrap_or(&text);
    let typed = match read_as {
        None | Some(PropertyType::String) if text.is_empty() => None,
        None | Some(PropertyType::String) => Some(Value::text(text)),
        Some(PropertyType::Numeric) => text.parse().ok().map(Value::Float),
        Some(PropertyType::Boolean) => text.parse().ok().map(Value::Bool),
        Some(PropertyType::DateTime) => dates::parse(text).map(Value::Time),
    };
    typed.unwrap_or(Value::Null)
}

/// The JSON value below these names and positions, of properties or of JSON in a text.
pub(super) fn json_at<'a>(value: &'a Value, path: &[Value]) -> Option<Cow<'a, Json>> {
    match value {
        Value::Properties(properties) => in_properties(properties, path),
        Value::Text(text) => {
            let json: Json = serde_json::from_str(text).ok()?;
            below(&json, path).cloned().map(Cow::Owned)
        }
        _ => None,
    }
}

fn in_properties<'a>(properties: &'a Properties, path: &[Value]) -> Option<Cow<'a, Json>> {
    let Some((first, rest)) = path.split_first() else {
        return Some(Cow::Owned(Json::Object(properties.to_map())));
    };
    let Value::Text(name) = first else {
        let json = Json::Object(properties.to_map());
        return below(&json, path).cloned().map(Cow::Owned);
    };
    match properties.get(name)? {
        Cow::Borrowed(json) => below(json, rest).map(Cow::Borrowed),
        Cow::Owned(json) => below(&json, rest).cloned().map(Cow::Owned),
    }
}

/// Positions count from 1, and from the end if negative.
fn below<'a>(json: &'a Json, path: &[Value]) -> Option<&'a Json> {
    let mut json = json;
    for step in path {
        json = match step {
            Value::Text(name) => json.get(name.as_ref())?,
            other => {
                let position = other.as_int()?;
                let length = match json {
                    Json::Array(items) => items.len(),
                    Json::Object(map) => map.len(),
                    _ => return None,
                };
                let index = index(position, length)?;
                match json {
                    Json::Array(items) => items.get(index)?,
                    Json::Object(map) => map.values().nth(index)?,
                    _ => return None,
                }
            }
        };
    }
    Some(json)
}

/// The index of a position that counts from 1, and from the end if negative.
pub(super) fn index(position: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = match position {
        1.. => position - 1,
        0 => return None,
        _ => length + position,
    };
    usize::try_from(index).ok().filter(|_| index < length)
}
