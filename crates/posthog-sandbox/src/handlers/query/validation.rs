//! Checking a query against the shapes of its nodes. Fields that are not known are refused.

use serde_json::{Map, Value};

use crate::model::Era;

/// What a value must be.
pub(super) enum Shape {
    Any,
    Text,
    Flag,
    /// Also as text.
    Integer,
    Number,
    Map,
    OneOf(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static Schema),
    /// An object with a `kind`.
    Node(&'static [&'static Schema]),
    Either(&'static [Shape]),
    /// Filters in a list, or in groups.
    Filters(FilterTypes),
}

/// Which filters are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterTypes {
    Persons,
    Events,
}

pub(super) struct Schema {
    pub(super) kind: &'static str,
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    pub(super) name: &'static str,
    shape: Shape,
    required: bool,
    nullable: bool,
    since: Era,
}

pub(super) const fn field(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
        nullable: true,
        since: Era::August2025,
    }
}

impl Field {
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self.nullable = false;
        self
    }

    pub(super) const fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    pub(super) const fn since_2026(mut self) -> Self {
        self.since = Era::June2026;
        self
    }
}

const OPERATORS: &[&str] = &[
    "exact",
    "is_not",
    "icontains",
    "not_icontains",
    "regex",
    "not_regex",
    "gt",
    "gte",
    "lt",
    "lte",
    "is_set",
    "is_not_set",
    "is_date_exact",
    "is_date_before",
    "is_date_after",
    "between",
    "not_between",
    "min",
    "max",
    "in",
    "not_in",
    "is_cleaned_path_exact",
];

const EVENT_FILTERS: &[&str] = &[
    "event",
    "event_metadata",
    "person",
    "element",
    "session",
    "cohort",
    "recording",
    "group",
    "feature",
    "hogql",
    "data_warehouse",
];

/// The errors of a validation, and whether some of them are a client's fault: fields that only a later version knows are
/// not.
pub(super) struct Validation {
    era: Era,
    pub(super) errors: Vec<String>,
    pub(super) is_fault: bool,
}

impl Validation {
    pub(super) fn new(era: Era) -> Self {
        Self {
            era,
            errors: Vec::new(),
            is_fault: false,
        }
    }

    fn error(&mut self, path: &str, sentence: &str, kind: &str, input: &Value) {
        self.is_fault = true;
        self.era_error(path, sentence, kind, input);
    }

    fn era_error(&mut self, path: &str, sentence: &str, kind: &str, input: &Value) {
        self.errors.push(format!(
            "{path}\n  {sentence} [type={kind}, input_value={input}, input_type={}]\n    \
             For further information visit https://errors.pydantic.dev/2.10/v/{kind}",
            type_name(input),
        ));
    }

    pub(super) fn object(&mut self, path: &str, map: &Map<String, Value>, schema: &Schema) {
        for (name, value) in map {
            if name == "kind" && !schema.kind.is_empty() {
                continue;
            }
            let path = joined(path, name);
            let sentence = "Extra inputs are not permitted";
            match schema.fields.iter().find(|field| field.name == name) {
                None => self.error(&path, sentence, "extra_forbidden", value),
                Some(field) if field.since > self.era => {
                    self.era_error(&path, sentence, "extra_forbidden", value);
                }
                Some(field) if value.is_null() && field.nullable => {}
                Some(field) => self.value(&path, value, &field.shape),
            }
        }
        for field in schema.fields {
            if field.required && !map.contains_key(field.name) {
                let input = Value::Object(map.clone());
                self.error(
                    &joined(path, field.name),
                    "Field required",
                    "missing",
                    &input,
                );
            }
        }
    }

    pub(super) fn value(&mut self, path: &str, value: &Value, shape: &Shape) {
        let expected = match (shape, value) {
            (Shape::Any, _)
            | (Shape::Text, Value::String(_))
            | (Shape::Flag, Value::Bool(_))
            | (Shape::Number, Value::Number(_))
            | (Shape::Map, Value::Object(_)) => return,
            (Shape::Integer, Value::Number(number)) if number.as_i64().is_some() => return,
            (Shape::Integer, Value::String(text)) if text.parse::<i64>().is_ok() => return,
            (Shape::OneOf(names), Value::String(name)) if names.contains(&name.as_str()) => return,
            (Shape::List(item), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    self.value(&joined(path, &index.to_string()), value, item);
                }
                return;
            }
            (Shape::Object(schema), Value::Object(map)) => return self.object(path, map, schema),
            (Shape::Node(schemas), value) => return self.node(path, value, schemas),
            (Shape::Filters(types), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.filter(&joined(path, &index.to_string()), item, *types);
                }
                return;
            }
            (Shape::Filters(types), Value::Object(_)) => return self.group(path, value, *types),
            (Shape::Either(shapes), value) => return self.either(path, value, shapes),
            (Shape::Text, _) => ("a valid string", "string_type"),
            (Shape::Flag, _) => ("a valid boolean", "bool_type"),
            (Shape::Integer, _) => ("a valid integer", "int_type"),
            (Shape::Number, _) => ("a valid number", "float_type"),
            (Shape::OneOf(names), _) => {
                let names = names.join("', '");
                self.error(path, &format!("Input should be '{names}'"), "enum", value);
                return;
            }
            (Shape::List(_) | Shape::Filters(_), _) => ("a valid list", "list_type"),
            (Shape::Map | Shape::Object(_), _) => ("a valid dictionary", "dict_type"),
        };
        let sentence = format!("Input should be {}", expected.0);
        self.error(path, &sentence, expected.1, value);
    }

    /// One of the nodes, by its kind.
    fn node(&mut self, path: &str, value: &Value, schemas: &[&Schema]) {
        let Value::Object(map) = value else {
            self.error(
                path,
                "Input should be a valid dictionary",
                "dict_type",
                value,
            );
            return;
        };
        let Some(kind) = map.get("kind").and_then(Value::as_str) else {
            let sentence = "Unable to extract tag using discriminator 'kind'";
            self.error(path, sentence, "union_tag_not_found", value);
            return;
        };
        let Some(schema) = schemas.iter().find(|schema| schema.kind == kind) else {
            let kinds: Vec<&str> = schemas.iter().map(|schema| schema.kind).collect();
            let sentence = format!(
                "Input tag '{kind}' found using 'kind' does not match any of the expected tags: '{}'",
                kinds.join("', '"),
            );
            self.error(path, &sentence, "union_tag_invalid", value);
            return;
        };
        self.object(&joined(path, kind), map, schema);
    }

    fn either(&mut self, path: &str, value: &Value, shapes: &[Shape]) {
        let mut errors = Vec::new();
        for shape in shapes {
            let mut attempt = Self::new(self.era);
            attempt.value(path, value, shape);
            if attempt.errors.is_empty() {
                return;
            }
            errors.extend(attempt.errors);
        }
        self.is_fault = true;
        self.errors.extend(errors);
    }

    fn group(&mut self, path: &str, value: &Value, types: FilterTypes) {
        let group = value.get("type").and_then(Value::as_str);
        let values = value.get("values").and_then(Value::as_array);
        let (Some("AND" | "OR"), Some(values)) = (group, values) else {
            let sentence = "Input should be a group of filters";
            self.error(path, sentence, "model_type", value);
            return;
        };
        for (index, item) in values.iter().enumerate() {
            let path = joined(path, &format!("values.{index}"));
            if matches!(item.get("type").and_then(Value::as_str), Some("AND" | "OR")) {
                self.group(&path, item, types);
            } else {
                self.filter(&path, item, types);
            }
        }
    }

    fn filter(&mut self, path: &str, value: &Value, types: FilterTypes) {
        let Value::Object(map) = value else {
            self.error(
                path,
                "Input should be a valid dictionary",
                "dict_type",
                value,
            );
            return;
        };
        if map.is_empty() {
            return;
        }
        let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_known = match types {
            FilterTypes::Persons => matches!(kind, "person" | "cohort" | "hogql"),
            FilterTypes::Events => EVENT_FILTERS.contains(&kind),
        };
        let sentence = "Input should be the type of a known filter";
        match kind {
            "person_metadata" if self.era < Era::June2026 => {
                self.era_error(&joined(path, "type"), sentence, "literal_error", value);
                return;
            }
            "person_metadata" => {}
            _ if is_known => {}
            _ => {
                self.error(&joined(path, "type"), sentence, "literal_error", value);
                return;
            }
        }
        for (name, value) in map {
            let is_field = match name.as_str() {
                "key" | "type" | "value" | "label" => true,
                "operator" => kind != "hogql",
                "cohort_name" => kind == "cohort",
                "group_type_index" => kind == "group",
                _ => false,
            };
            if !is_field {
                let sentence = "Extra inputs are not permitted";
                self.error(&joined(path, name), sentence, "extra_forbidden", value);
            }
        }
        let missing = |name: &str| !map.contains_key(name);
        if missing("key") && kind != "cohort" {
            self.error(&joined(path, "key"), "Field required", "missing", value);
        }
        if missing("operator") && !matches!(kind, "cohort" | "hogql") {
            self.error(
                &joined(path, "operator"),
                "Field required",
                "missing",
                value,
            );
        }
        if missing("value") && kind == "cohort" {
            self.error(&joined(path, "value"), "Field required", "missing", value);
        }
        if let Some(operator) = map.get("operator").filter(|operator| !operator.is_null()) {
            let path = joined(path, "operator");
            self.value(&path, operator, &Shape::OneOf(OPERATORS));
        }
        if let Some(number) = map.get("value").filter(|_| kind == "cohort") {
            self.value(&joined(path, "value"), number, &Shape::Integer);
        }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}
