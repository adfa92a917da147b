//! Functions on JSON in texts. What is absent is an empty text, zero or false, and not NULL.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::function::{ANY, Function, refused, strict};
use crate::hogql::error::QueryError;
use crate::hogql::fields::json_at;
use crate::hogql::types::Type;
use crate::hogql::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("JSONExtractString", (1, ANY), texts, |a| {
        let json = found(a);
        Ok(Value::text(
            json.as_deref().and_then(Json::as_str).unwrap_or_default(),
        ))
    }),
    strict("JSONExtractRaw", (1, ANY), texts, |a| {
        Ok(Value::text(
            found(a).map_or(String::new(), |json| json.to_string()),
        ))
    }),
    strict("JSONExtractInt", (1, ANY), integers, |a| {
        let number = found(a).and_then(|json| number(&json));
        #[allow(clippy::cast_possible_truncation, reason = "as ClickHouse converts")]
        let integer = number.map_or(0, |number| number.trunc() as i64);
        Ok(Value::Int(integer))
    }),
    strict("JSONExtractFloat", (1, ANY), floats, |a| {
        let number = found(a).and_then(|json| number(&json));
        Ok(Value::Float(number.unwrap_or_default()))
    }),
    strict("JSONExtractBool", (1, ANY), flags, |a| {
        Ok(Value::flag(found(a).as_deref() == Some(&Json::Bool(true))))
    }),
    strict("JSONExtractKeys", (1, ANY), lists, |a| {
        let json = found(a);
        let map = json.as_deref().and_then(Json::as_object);
        let keys = map.into_iter().flat_map(serde_json::Map::keys);
        Ok(Value::Array(keys.map(Value::text).collect()))
    }),
    strict("JSONExtractArrayRaw", (1, ANY), lists, |a| {
        let json = found(a);
        let items = json
            .as_deref()
            .and_then(Json::as_array)
            .into_iter()
            .flatten();
        Ok(Value::Array(
            items.map(|item| Value::text(item.to_string())).collect(),
        ))
    }),
    strict("JSONHas", (1, ANY), flags, |a| {
        Ok(Value::flag(found(a).is_some()))
    }),
    strict("JSONLength", (1, ANY), numbers, |a| {
        Ok(Value::count(match found(a).as_deref() {
            Some(Json::Array(items)) => items.len(),
            Some(Json::Object(map)) => map.len(),
            _ => 0,
        }))
    }),
    strict("JSONType", (1, ANY), texts, |a| {
        Ok(Value::text(match found(a).as_deref() {
            None | Some(Json::Null) => "Null",
            Some(Json::Bool(_)) => "Bool",
            Some(Json::Number(number)) if number.is_f64() => "Double",
            Some(Json::Number(_)) => "Int64",
            Some(Json::String(_)) => "String",
            Some(Json::Array(_)) => "Array",
            Some(Json::Object(_)) => "Object",
        }))
    }),
];

fn texts(types: &[Type]) -> Result<Type, QueryError> {
    of_json(types, Type::String)
}

fn lists(types: &[Type]) -> Result<Type, QueryError> {
    of_json(types, Type::array(Type::String))
}

fn integers(types: &[Type]) -> Result<Type, QueryError> {
    of_json(types, Type::Int64)
}

fn floats(types: &[Type]) -> Result<Type, QueryError> {
    of_json(types, Type::Float64)
}

fn flags(types: &[Type]) -> Result<Type, QueryError> {
    of_json(types, Type::UInt8)
}

fn numbers(types: &[Type]) -> Result<Type, QueryError> {
    of_json(types, Type::UInt64)
}

fn of_json(types: &[Type], returns: Type) -> Result<Type, QueryError> {
    match types.first() {
        Some(ty) if ty.is_text() => Ok(returns),
        Some(other) => Err(refused(other)),
        None => Ok(returns),
    }
}

fn found(arguments: &[Value]) -> Option<Cow<'_, Json>> {
    let (value, path) = arguments.split_first()?;
    json_at(value, path)
}

fn number(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

/// The type that `JSONExtract` reads, by its name.
pub(in crate::hogql) fn extract_type(name: &str) -> Option<Type> {
    let inner = |prefix: &str| name.strip_prefix(prefix)?.strip_suffix(')');
    if let Some(item) = inner("Array(") {
        return Some(Type::array(extract_type(item)?));
    }
    if let Some(item) = inner("Nullable(") {
        return Some(extract_type(item)?.nullable());
    }
    Some(match name {
        "String" => Type::String,
        "Int64" | "Int32" => Type::Int64,
        "UInt64" | "UInt32" => Type::UInt64,
        "Float64" => Type::Float64,
        "Bool" => Type::Bool,
        _ => return None,
    })
}

/// `JSONExtract`: the value below the path, as this type.
pub(in crate::hogql) fn extract(arguments: &[Value], ty: &Type) -> Value {
    let json = found(arguments);
    json.map_or_else(|| ty.default_value(), |json| converted(&json, ty))
}

fn converted(json: &Json, ty: &Type) -> Value {
    let value = match (ty.plain(), json) {
        (Type::Array(item), Json::Array(items)) => Some(Value::Array(
            items.iter().map(|json| converted(json, item)).collect(),
        )),
        (Type::String, Json::String(text)) => Some(Value::text(text)),
        (Type::String, Json::Null) => None,
        (Type::String, other) => Some(Value::text(other.to_string())),
        (Type::Bool, Json::Bool(flag)) => Some(Value::Bool(*flag)),
        (Type::Float64, Json::Number(number)) => number.as_f64().map(Value::Float),
        (Type::Int64 | Type::UInt64, Json::Number(number)) => number.as_i64().map(Value::Int),
        _ => None,
    };
    value.unwrap_or_else(|| ty.default_value())
}
