//! JSON Schemas of arguments and results, without noise for a model and without keywords that some clients cannot read.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::pending_write::Status;

pub(super) fn of_input<T: JsonSchema>() -> Map<String, Value> {
    schema::<T>(settings().for_deserialize(), false)
}

pub(super) fn of_output<T: JsonSchema>() -> Map<String, Value> {
    schema::<T>(settings().for_serialize(), true)
}

/// Adds arguments that several tools have.
pub(super) fn add_arguments<A: JsonSchema>(input: &mut Map<String, Value>) {
    let added = of_input::<A>().remove("properties");
    if let (Some(Value::Object(properties)), Some(Value::Object(added))) =
        (input.get_mut("properties"), added)
    {
        properties.extend(added);
    }
}

/// Adds the field that carries the token of a confirmation.
pub(super) fn add_token(output: &mut Map<String, Value>) {
    if let Some(Value::Object(properties)) = output.get_mut("properties") {
        properties.insert("confirmation".to_owned(), json!({ "type": "string" }));
    }
}

/// Adds the fields that every write's result has: `status`, and `message`, its whole text.
pub(super) fn add_status(output: &mut Map<String, Value>, statuses: &[Status], confirmable: bool) {
    let before: &[Status] = if confirmable {
        &[Status::DryRun, Status::ConfirmationRequired]
    } else {
        &[]
    };
    let names = before.iter().chain(statuses).map(|status| status.name());
    let names = names.collect::<Vec<_>>().join(", ");
    if let Some(Value::Object(properties)) = output.get_mut("properties") {
        let status = json!({ "description": names, "type": "string" });
        properties.insert("status".to_owned(), status);
        properties.insert("message".to_owned(), json!({ "type": "string" }));
    }
    let required = output.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        required.splice(0..0, ["status".into(), "message".into()]);
    }
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        // Some clients resolve no references.
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

fn schema<T: JsonSchema>(settings: SchemaSettings, output: bool) -> Map<String, Value> {
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    tidy(&mut schema, output);
    let Value::Object(mut root) = schema else {
        return Map::new();
    };
    // The tool has a title and a description of its own.
    root.remove("title");
    root.remove("description");
    root.entry("properties")
        .or_insert_with(|| Map::new().into());
    root
}

/// Every type, for a value of any form: a schema without a type is unreadable to some clients.
const ANY_TYPE: [&str; 6] = ["string", "number", "boolean", "object", "array", "null"];

/// Optional means absent here, never null: nulls are removed from types, enums and defaults. So is noise: Rust's names of
/// number formats, empty defaults; in output also ranges and "additional properties allowed".
fn tidy(schema: &mut Value, output: bool) {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
    let Value::Object(fields) = schema else {
        return;
    };
    if !["type", "enum", "anyOf"]
        .iter()
        .any(|name| fields.contains_key(*name))
    {
        fields.insert("type".to_owned(), json!(ANY_TYPE));
    }
    let says_nothing = |name: &str, value: &Value| match name {
        "default" => output || [json!(null), json!([])].contains(value),
        "minimum" | "maximum" | "maxItems" => output,
        "additionalProperties" => output && *value == Value::Bool(true),
        "format" => value
            .as_str()
            .is_some_and(|name| name.starts_with("uint") || name.starts_with("int")),
        "writeOnly" => true,
        _ => false,
    };
    fields.retain(|name, value| !says_nothing(name, value));
    if let Some(Value::Array(types)) = fields.get_mut("type")
        && let [only, null] = types.as_slice()
        && null == "null"
    {
        let only = only.clone();
        fields.insert("type".to_owned(), only);
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if choices.len() == 1
            && let Some(Value::Object(only)) = choices.pop()
        {
            fields.remove("anyOf");
            for (name, value) in only {
                fields.entry(name).or_insert(value);
            }
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties
            .values_mut()
            .for_each(|property| tidy(property, output));
    }
    if let Some(items) = fields.get_mut("items") {
        tidy(items, output);
    }
}
