//! What a result shows, for the audit log: of whom, and which fields.
//!
//! It is read from the fields of the result, which are made where they are sent or recorded. A person stands in a
//! field whose name ends with `uuid`, or in `person_id`; the names of properties are the keys of `properties`, or stand in
//! `property` beside their values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::call::{Call, CallError, error_result};
use super::caller::Caller;
use super::completion::Completions;
use super::mcp_server::Inner;
use crate::audit::{AuditLog, Read};
use crate::output::is_withheld;
use crate::tools::ToolError;

/// Fields that hold nothing of a person.
const ABOUT_THE_RESULT: [&str; 6] = [
    "confirmation",
    "count",
    "message",
    "notes",
    "status",
    "total",
];

const NOT_RECORDED: &str = "The audit log cannot be written, and nothing is shown without an entry. The operator of this server must fix this.";

impl Call {
    /// Writes the line of what is about to be shown, if reads are recorded.
    pub(super) async fn record_read(&self, fields: &Value) -> Result<(), CallError> {
        let Some(log) = self.server.log_of_reads() else {
            return Ok(());
        };
        let shown = Shown::of(fields);
        let project = self.caller.posthog.project().await;
        let read = shown.into_read(self.tool.name, project.map_err(ToolError::from)?);
        log.record_read(read).await.map_err(|error| {
            tracing::error!(tool = self.tool.name, %error, "audit log not writable");
            error_result(NOT_RECORDED).into()
        })
    }
}

impl Inner {
    pub(super) fn log_of_reads(&self) -> Option<&AuditLog> {
        let log = self.safety.audit.as_ref()?;
        log.records_reads().then_some(log)
    }

    /// The completions of an argument, recorded if reads are; none if they cannot be recorded.
    pub(super) async fn record_completions(
        &self,
        caller: &Caller,
        found: Completions,
    ) -> Vec<String> {
        let Some(log) = self.log_of_reads().filter(|_| !found.values.is_empty()) else {
            return found.values;
        };
        let Ok(project) = caller.posthog.project().await else {
            return Vec::new();
        };
        let read = Read {
            tool: "completion/complete",
            project,
            persons: found.persons.iter().map(Uuid::to_string).collect(),
            fields: vec![found.field.to_owned()],
            withheld: Vec::new(),
        };
        match log.record_read(read).await {
            Ok(()) => found.values,
            Err(error) => {
                tracing::error!(%error, "audit log not writable");
                Vec::new()
            }
        }
    }
}

#[derive(Debug, Default)]
struct Shown {
    persons: BTreeSet<String>,
    /// Each field, and whether any value of it is shown.
    fields: BTreeMap<String, bool>,
}

impl Shown {
    fn of(result: &Value) -> Self {
        let mut shown = Self::default();
        shown.value("", result, None);
        shown
    }

    fn into_read(self, tool: &'static str, project: u64) -> Read {
        let (fields, withheld): (Vec<_>, Vec<_>) =
            self.fields.into_iter().partition(|(_, is_shown)| *is_shown);
        let names = |fields: Vec<(String, bool)>| fields.into_iter().map(|(name, _)| name);
        Read {
            tool,
            project,
            persons: self.persons.into_iter().collect(),
            fields: names(fields).collect(),
            withheld: names(withheld).collect(),
        }
    }

    /// `property` is the one whose values stand here.
    fn value(&mut self, name: &str, value: &Value, property: Option<&str>) {
        match value {
            Value::Object(fields) => self.object(fields, property),
            Value::Array(items) if items.iter().all(Value::is_object) => {
                for item in items {
                    self.value(name, item, property);
                }
            }
            _ => self.field(name, value),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, property: Option<&str>) {
        let named = fields.get("property").or_else(|| fields.get("field"));
        let property = named.and_then(Value::as_str).or(property);
        for (name, value) in fields {
            match (name.as_str(), value) {
                (name, _) if ABOUT_THE_RESULT.contains(&name) || name.starts_with("next") => {}
                ("properties", Value::Object(properties)) => {
                    for (key, value) in properties {
                        self.field(&format!("properties.{key}"), value);
                    }
                }
                ("before" | "after" | "value", _) => match property {
                    Some(property) => self.field(&format!("properties.{property}"), value),
                    None => self.field(name, value),
                },
                ("csv", Value::String(text)) => self.csv(text),
                (name, _)
                    if name == "person_id" || name.ends_with("uuid") || name.ends_with("uuids") =>
                {
                    self.persons(value);
                }
                (name, _) => self.value(name, value, property),
            }
        }
    }

    fn field(&mut self, name: &str, value: &Value) {
        let is_shown = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::Array(items) if items.is_empty() => return,
            value => !all_withheld(value),
        };
        match self.fields.get_mut(name) {
            Some(shown) => *shown |= is_shown,
            None => drop(self.fields.insert(name.to_owned(), is_shown)),
        }
    }

    fn persons(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.persons(item)),
            Value::Number(id) => drop(self.persons.insert(id.to_string())),
            Value::String(id)
                if Uuid::try_parse(id).is_ok() || id.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                self.persons.insert(id.clone());
            }
            _ => {}
        }
    }

    /// The columns of a CSV, as its header names them.
    fn csv(&mut self, text: &str) {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let Ok(header) = reader.headers().cloned() else {
            return;
        };
        for record in reader.records().map_while(Result::ok) {
            for (name, cell) in header.iter().zip(&record) {
                match name {
                    "uuid" => self.persons(&cell.into()),
                    name => self.field(name, &cell.into()),
                }
            }
        }
    }
}

fn all_withheld(value: &Value) -> bool {
    match value {
        Value::String(text) => is_withheld(text),
        Value::Array(items) => items.iter().all(all_withheld),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PERSON: &str = "018f0000-0000-7000-8000-00000000000a";

    fn names(result: &Value) -> Value {
        let read = Shown::of(result).into_read("tool", 1);
        json!([read.persons, read.fields, read.withheld])
    }

    #[test]
    fn names_are_recorded_and_never_values() {
        for (result, expected) in [
            (
                json!({"results": [
                    {"uuid": PERSON, "name": "Ada", "properties": {"plan": "pro", "email": "[redacted]", "uuid": PERSON}},
                    {"uuid": "not one", "name": "[redacted]", "distinct_ids": ["[email]"]},
                ], "notes": ["a"], "next_offset": 2}),
                json!([
                    [PERSON],
                    ["name", "properties.plan", "properties.uuid"],
                    ["distinct_ids", "properties.email"]
                ]),
            ),
            (
                json!({"person_id": 101, "changes": [{"property": "plan", "before": {"uuid": PERSON}, "after": null}]}),
                json!([["101"], ["properties.plan", "property"], []]),
            ),
            (
                json!({"property": "plan", "results": [{"value": "pro", "count": 3}]}),
                json!([[], ["properties.plan", "property"], []]),
            ),
            (
                json!({"csv": format!("uuid,plan,email\n{PERSON},\"a,\"\"b\",[email]\n")}),
                json!([[PERSON], ["plan"], ["email"]]),
            ),
            (
                json!({"merge": {"into": {"uuid": PERSON, "name": "x"}, "merged": []}}),
                json!([[PERSON], ["name"], []]),
            ),
        ] {
            assert_eq!(names(&result), expected, "{result}");
        }
    }
}
