//! The values of one property: from PostHog's sample, or counted in all persons.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Output, PersonsValuesRetrieve, Wanted};
use crate::output::{Cells, Row, ToolOutput, quoted, truncate_rows, unescape};
use crate::tools::{Context, Tool, ToolError};
use posthog_client::{PropertyValues, Untrusted, ValueCounts};

/// Values that are listed by default, and those that PostHog sends of its sample.
const DEFAULT_VALUES: u32 = 20;

const NO_VALUES: &str = "No values: the property is unknown, restricted for this key, or no value contains the text. Property names are \
                         case-sensitive.";

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct ValueRow {
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// Whether the value has its type. PostHog sends those of its sample as text, so that quotes would say nothing.
    #[serde(skip)]
    is_typed: bool,
}

impl Row for ValueRow {
    fn header(_: &[Self]) -> Vec<String> {
        vec!["value".to_owned(), "count".to_owned()]
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        match &self.value {
            Value::String(text) if !self.is_typed => cells.plain(text),
            value => cells.value(value),
        }
        match self.count {
            Some(count) => cells.number(count),
            None => cells.empty(),
        }
    }
}

/// The name of a property is given literally or as results show it. Where both have values, the call is refused.
fn either<T>(key: &str, literal: T, meant: T, has: impl Fn(&T) -> bool) -> Result<T, ToolError> {
    match (has(&literal), has(&meant)) {
        (true, true) => Err(ToolError::invalid_input(format!(
            "Some persons have the property {key} literally, and some have another that is shown so because of characters that cannot \
             be seen. Change these in PostHog."
        ))),
        (false, true) => Ok(meant),
        _ => Ok(literal),
    }
}

async fn sample(
    context: &Context,
    key: &str,
    part: Option<&str>,
) -> Result<PropertyValues, ToolError> {
    let posthog = &context.posthog;
    let Some(meant) = unescape(key) else {
        return Ok(posthog.property_values(key, part).await?);
    };
    let (literal, other) = tokio::try_join!(
        posthog.property_values(key, part),
        posthog.property_values(&meant, part)
    )?;
    either(key, literal, other, |values| !values.results.is_empty())
}

async fn counts(
    context: &Context,
    key: &str,
    wanted: &Wanted<'_>,
) -> Result<ValueCounts, ToolError> {
    let posthog = &context.posthog;
    let limit = wanted.limit.unwrap_or(DEFAULT_VALUES);
    let Some(meant) = unescape(key) else {
        return Ok(posthog.value_counts(key, wanted.part, limit).await?);
    };
    let literal = posthog.value_counts(key, wanted.part, limit).await?;
    let other = posthog.value_counts(&meant, wanted.part, limit).await?;
    either(key, literal, other, |values| values.with_property > 0)
}

pub(super) async fn sampled(
    context: &Context,
    key: &str,
    wanted: &Wanted<'_>,
) -> Result<ToolOutput<Output>, ToolError> {
    let limit = wanted.limit.unwrap_or(DEFAULT_VALUES);
    if limit > DEFAULT_VALUES {
        return Err(ToolError::invalid_input(format!(
            "PostHog sends {DEFAULT_VALUES} values of its sample at most; call with `exact` for more."
        )));
    }
    let mut values = sample(context, key, wanted.part).await?;
    let may_be_more = values.results.len() >= limit as usize;
    values.results.truncate(limit as usize);
    let property = context.limits.sanitizer().given_identifier(key);
    let key = Untrusted::from(key);
    let truncated = truncate_rows(&context.limits, &values.results, |value, sanitizer| {
        ValueRow {
            value: sanitizer.property(&key, &value.name),
            count: value.count,
            is_typed: false,
        }
    });
    let mut notes = Vec::new();
    if values.results.is_empty() {
        notes.push(NO_VALUES.to_owned());
    } else {
        notes.push(
            "Counts are from a sample and may be hours old; call with `exact` to count all persons."
                .to_owned(),
        );
    }
    if may_be_more {
        notes.push(
            "There may be more values: call with `value` for a part of them, or with `exact` and a higher limit.".to_owned(),
        );
    }
    if values.refreshing {
        notes.push("PostHog is computing newer values; call again in a minute.".to_owned());
    }
    Ok(truncated.into_output("", notes, |results, notes| Output {
        property: Some(property),
        results,
        notes,
        ..Output::default()
    }))
}

pub(super) async fn counted(
    context: &Context,
    key: &str,
    wanted: &Wanted<'_>,
) -> Result<ToolOutput<Output>, ToolError> {
    let counts = counts(context, key, wanted).await?;
    let property = context.limits.sanitizer().given_identifier(key);
    let key = Untrusted::from(key);
    let truncated = truncate_rows(&context.limits, &counts.values, |count, sanitizer| {
        ValueRow {
            value: sanitizer.property(&key, &count.value),
            count: Some(count.count),
            is_typed: true,
        }
    });
    let mut notes = Vec::new();
    if counts.values.is_empty() {
        notes.push(NO_VALUES.to_owned());
    }
    if counts.has_more || truncated.rows.len() < counts.values.len() {
        notes.push(format!(
            "There are more values, which fewer persons have: call {} with `value` for a part of them, or with a higher limit.",
            PersonsValuesRetrieve::NAME
        ));
    }
    let head = format!(
        "{} of {} persons have {}, {} do not\n",
        counts.with_property,
        counts.with_property + counts.without_property,
        quoted(&property),
        counts.without_property
    );
    Ok(
        truncated.into_output(&head, notes, |results, notes| Output {
            results,
            persons_with: Some(counts.with_property),
            persons_without: Some(counts.without_property),
            notes,
            ..Output::default()
        }),
    )
}
