//! `persons-values-retrieve`: which properties persons have, and which values one has.

mod names;
mod values;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::names::NameRow;
use self::values::ValueRow;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Limit, NonEmptyString, SearchText};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::RequiredScopes;

pub(super) struct PersonsValuesRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Property name, case-sensitive, such as "plan". Default: list the names of all properties instead.
    key: Option<NonEmptyString>,
    /// Part of the values, or without `key` of the names, to list, such as "pro", ignoring case. Default: all.
    value: Option<SearchText>,
    // Another name of `value`, which is odd for a part of a name.
    search: Option<SearchText>,
    /// Count all persons instead of a sample, and those without the property; slower.
    #[serde(default)]
    exact: bool,
    /// Rows to list. Default: 20 values, 100 names. More than 20 values only with `exact`.
    limit: Option<Limit>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<String>,
    // With `key`.
    results: Vec<ValueRow>,
    // Without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<NameRow>,
    // Persons that have the property, with `exact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    persons_with: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    persons_without: Option<u64>,
    notes: Vec<String>,
}

/// What a call asks for besides the key.
struct Wanted<'a> {
    part: Option<&'a str>,
    exact: bool,
    limit: Option<u32>,
}

impl Tool for PersonsValuesRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-values-retrieve";
    const TITLE: &'static str = "List properties and their values";
    const DESCRIPTION: &'static str = "List the most frequent values of a person property, such as plans or countries, with counts; without \
         `key` the names of all person properties. Use it to get a name or a value right before filtering by it in \
         persons-list, which counts persons by any condition with include_total.";
    const SEARCH_HINT: &'static str = "names of user properties, which attributes users have; possible values of a property, \
         such as plans or countries of customers; how many of each";
    const UNLISTED: &'static [&'static str] = &["search"];
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const PARTS: &'static [(&'static str, &'static str)] = &[
        ("exact counts", "query:read"),
        ("property definitions", "property_definition:read"),
    ];
    const EXAMPLE: &'static str = r#"{"key": "plan"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        if input.value.is_some() && input.search.is_some() {
            return Err(ToolError::invalid_input(
                "`search` is another name of `value`; give one of them.",
            ));
        }
        let part = input.value.or(input.search);
        let wanted = Wanted {
            part: part.as_ref().map(|part| part.0.as_str()),
            exact: input.exact,
            limit: input.limit.map(|limit| limit.0),
        };
        let output = match input.key {
            Some(key) if wanted.exact => values::counted(context, &key.0, &wanted).await?,
            Some(key) => values::sampled(context, &key.0, &wanted).await?,
            None => names::list(context, &wanted).await?,
        };
        Ok(output.into())
    }
}
