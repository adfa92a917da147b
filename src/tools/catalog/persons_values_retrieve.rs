//! `persons-values-retrieve`: which values a property has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::{Cells, Row, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{NonEmptyString, SearchText};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{RequiredScopes, Untrusted};

pub(super) struct PersonsValuesRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Property name, case-sensitive, such as "plan".
    key: NonEmptyString,
    /// Part of the values to list, such as "pro", ignoring case. Default: all values.
    value: Option<SearchText>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    property: String,
    results: Vec<ValueRow>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ValueRow {
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Row for ValueRow {
    fn header(_: &[Self]) -> Vec<String> {
        vec!["value".to_owned(), "count".to_owned()]
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        // PostHog sends every value as text, so that quotes would say nothing.
        match &self.value {
            Value::String(text) => cells.plain(text),
            value => cells.value(value),
        }
        match self.count {
            Some(count) => cells.number(count),
            None => cells.empty(),
        }
    }
}

impl Tool for PersonsValuesRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-values-retrieve";
    const TITLE: &'static str = "List property values";
    const DESCRIPTION: &'static str = "List the 20 most frequent values of a person property, such as plans or countries, from a sample. Use it \
         to get a value right before filtering by it in persons-list.";
    const SEARCH_HINT: &'static str = "possible values of a user property or attribute, such as plans or countries \
         of customers";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"key": "plan"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let value = input.value.as_ref().map(|value| value.0.as_str());
        let values = context.posthog.property_values(&input.key.0, value).await?;
        let key = Untrusted::from(&input.key.0);
        let truncated = truncate_rows(&context.limits, &values.results, |value, sanitizer| {
            ValueRow {
                value: sanitizer.property(&key, &value.name),
                count: value.count,
            }
        });
        let mut notes = Vec::new();
        if values.results.is_empty() {
            notes.push(
                "No values: the property is unknown, restricted for this key, or no value contains the text. Property \
                 names are case-sensitive."
                    .to_owned(),
            );
        } else {
            notes.push("Counts are from a sample and may be hours old.".to_owned());
        }
        if values.refreshing {
            notes.push("PostHog is computing newer values; call again in a minute.".to_owned());
        }
        let property = context.limits.sanitizer().given_identifier(&input.key.0);
        let output = truncated.into_output("", notes, |results, notes| Output {
            property,
            results,
            notes,
        });
        Ok(output.into())
    }
}
