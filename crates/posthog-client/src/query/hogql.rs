//! A query in HogQL: a text of literals, and the values of its placeholders.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// A query in HogQL.
///
/// The text grows by literals of the program and by numbers alone. It has no `OFFSET`, which PostHog refuses to personal
/// API keys: pages go on after the last row.
#[derive(Debug)]
pub(crate) struct HogQl {
    text: String,
    values: Map<String, Value>,
}

impl HogQl {
    pub(crate) fn new(text: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            values: Map::new(),
        }
    }

    /// Appends to the text.
    pub(crate) fn push(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends a column with the value of a property as JSON, which is empty where the property is not set.
    pub(crate) fn property_column(mut self, number: usize, key: &str) -> Self {
        let _ = write!(
            self.text,
            ", JSONExtractRaw(properties, {{k{number}}}) as v{number}"
        );
        self.values.insert(format!("k{number}"), key.into());
        self
    }

    /// The value of a placeholder: text, a number, or a list of these. PostHog fails on an object.
    pub(crate) fn value(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// The query as a node.
    pub(crate) fn node(self) -> Value {
        json!({ "kind": "HogQLQuery", "query": self.text, "values": self.values })
    }
}
