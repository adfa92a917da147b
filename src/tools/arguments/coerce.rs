//! Lenient in form: what models send in another type than the schema says.

use serde_json::{Map, Value};

/// Accepts what models send although the schema has another type: numbers and booleans as text, whole numbers for text,
/// null for absent. Only where the meaning is unambiguous.
pub(in crate::tools) fn coerce(
    arguments: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Map<String, Value> {
    let fields = schema.get("properties");
    arguments
        .into_iter()
        .filter_map(|(name, value)| {
            let wanted = fields
                .and_then(|fields| fields.get(&name)?.get("type"))
                .and_then(Value::as_str);
            let value = match (wanted, value) {
                (Some(_), Value::Null) => return None,
                (Some("integer"), Value::String(text)) => match text.trim().parse::<i64>() {
                    Ok(number) => number.into(),
                    Err(_) => text.into(),
                },
                (Some("integer"), Value::Number(number)) => match number.as_f64() {
                    // 20.0 is an integer in JSON Schema.
                    Some(float)
                        if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 =>
                    {
                        (float as i64).into()
                    }
                    _ => number.into(),
                },
                (Some("boolean"), Value::String(text)) => match text.trim() {
                    "true" => true.into(),
                    "false" => false.into(),
                    _ => text.into(),
                },
                (Some("string"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
                    number.to_string().into()
                }
                (_, value) => value,
            };
            Some((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unambiguous_values_are_coerced() {
        let schema = json!({"properties": {
            "limit": {"type": "integer"}, "flag": {"type": "boolean"}, "id": {"type": "string"}, "value": {}
        }});
        let arguments =
            json!({"limit": "20", "flag": "true", "id": 7, "value": null, "other": "1"});
        let read = coerce(
            arguments.as_object().unwrap().clone(),
            schema.as_object().unwrap(),
        );
        assert_eq!(
            Value::Object(read),
            json!({"limit": 20, "flag": true, "id": "7", "value": null, "other": "1"})
        );
        let absent = json!({"limit": null, "flag": "yes"});
        let read = coerce(
            absent.as_object().unwrap().clone(),
            schema.as_object().unwrap(),
        );
        assert_eq!(Value::Object(read), json!({"flag": "yes"}));
    }
}
