//! Property filters: the part of PostHog's filter language that this crate supports.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation of arguments is text for the model"
)]

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::filter_form::{check_regex, column_hint};
use crate::relative_date::resolve_date;

/// Values of a filter at most: they are part of an address.
const MAX_VALUES: usize = 200;
/// A longer expression fits into no request, and reading it would take a hundred times its size.
const MAX_REGEX_BYTES: usize = 10_000;

// One condition on a person. Always complete: PostHog lets an incomplete filter match everyone.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct Filter {
    /// Property name, such as "plan"; "id" for a cohort.
    pub(crate) key: String,
    /// Text, number, boolean, date, or a list of them; for a cohort its number or name. Leave out for is_set and is_not_set.
    #[serde(skip_serializing_if = "Value::is_null")]
    #[schemars(default, extend("type" = ["string", "number", "boolean", "array"]))]
    pub(crate) value: Value,
    /// How the property is compared with the value.
    #[schemars(default)]
    pub(crate) operator: Operator,
    /// Whether `key` names a property, or `value` a cohort.
    #[serde(rename = "type")]
    #[schemars(default)]
    pub(crate) kind: FilterType,
}

// How a property is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Operator {
    #[default]
    Exact,
    IsNot,
    Icontains,
    NotIcontains,
    Regex,
    NotRegex,
    Gt,
    Lt,
    Gte,
    Lte,
    IsSet,
    IsNotSet,
    IsDateExact,
    IsDateAfter,
    IsDateBefore,
    In,
    NotIn,
}

// What a filter applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FilterType {
    #[default]
    Person,
    Cohort,
    // Only for the events of an insight.
    #[schemars(skip)]
    Event,
}

/// A filter before it is checked.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a filter such as {\"key\": \"plan\", \"operator\": \"exact\", \"value\": \"pro\"}"
)]
struct Unchecked {
    key: Option<String>,
    #[serde(default)]
    value: Value,
    operator: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let filter = Self::check(Unchecked::deserialize(deserializer)?, FilterType::Person);
        match filter.map_err(serde::de::Error::custom)? {
            Self {
                kind: FilterType::Event,
                ..
            } => Err(serde::de::Error::custom(
                "a filter's `type` is person or cohort here",
            )),
            filter => Ok(filter),
        }
    }
}

/// One condition of an insight. As [`Filter`], but of type `event` by default.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct EventFilter(pub(crate) Filter);

impl EventFilter {
    /// The key, where the filter is one on the person.
    #[must_use]
    pub fn person_property(&self) -> Option<&str> {
        self.0.person_property()
    }
}

impl<'de> Deserialize<'de> for EventFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Filter::check(Unchecked::deserialize(deserializer)?, FilterType::Event)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Parses one of a list of names; the error contains the list.
fn named<T: serde::de::DeserializeOwned>(field: &str, name: String) -> Result<T, String> {
    serde_json::from_value(Value::String(name))
        .map_err(|error| format!("a filter's `{field}`: {error}"))
}

impl Filter {
    /// The key, unless the filter is one on a cohort or an event.
    #[must_use]
    pub fn person_property(&self) -> Option<&str> {
        (self.kind == FilterType::Person).then_some(self.key.as_str())
    }

    /// A filter on persons who have the property.
    #[must_use]
    pub fn is_set(key: String) -> Self {
        Self {
            key,
            value: "is_set".into(),
            operator: Operator::IsSet,
            kind: FilterType::Person,
        }
    }

    /// The filter without its value, which can be personal data.
    #[must_use]
    pub fn summary(&self) -> String {
        let operator = serde_json::to_value(self.operator).unwrap_or_default();
        format!("`{}` {}", self.key, operator.as_str().unwrap_or_default())
    }

    /// Persons whose `email` is one of these, in any letter case and with blanks around it.
    pub(crate) fn email_in_any_case(emails: &[String]) -> Self {
        let any: Vec<String> = emails
            .iter()
            .map(|email| regex_syntax::escape(email))
            .collect();
        Self {
            key: "email".to_owned(),
            value: format!(r"(?i)^\s*({})\s*$", any.join("|")).into(),
            operator: Operator::Regex,
            kind: FilterType::Person,
        }
    }

    fn check(filter: Unchecked, default_type: FilterType) -> Result<Self, String> {
        let kind = match filter.kind.as_deref() {
            None => default_type,
            Some("hogql") => {
                return Err(
                    "filters of type hogql are code and are refused; use type person or cohort"
                        .to_owned(),
                );
            }
            Some(_) => named("type", filter.kind.unwrap_or_default())?,
        };
        let key = match filter.key.filter(|key| !key.is_empty()) {
            Some(key) => key,
            // There is only one.
            None if kind == FilterType::Cohort => "id".to_owned(),
            None => {
                return Err(
                    "a filter needs a `key`, the property's name; an incomplete filter would match everyone"
                        .to_owned(),
                );
            }
        };
        let operator = match filter.operator {
            Some(name) => named("operator", name)?,
            None if kind == FilterType::Cohort => Operator::In,
            None => Operator::Exact,
        };
        if kind == FilterType::Person
            && let Some(hint) = column_hint(&key)
        {
            return Err(format!(
                "`{key}` is no property, so a filter never matches it: {hint}"
            ));
        }
        let value = Self::check_value(kind, operator, &key, filter.value)?;
        let key = match kind {
            FilterType::Cohort => "id".to_owned(),
            _ => key,
        };
        Ok(Self {
            key,
            value,
            operator,
            kind,
        })
    }

    fn check_value(
        kind: FilterType,
        operator: Operator,
        key: &str,
        value: Value,
    ) -> Result<Value, String> {
        if kind == FilterType::Cohort {
            return Self::check_cohort(operator, key, value);
        }
        match operator {
            Operator::IsSet => return Ok("is_set".into()),
            Operator::IsNotSet => return Ok("is_not_set".into()),
            _ => {}
        }
        let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
        let complete = match &value {
            Value::Array(items) if items.len() > MAX_VALUES => {
                return Err(format!("a filter can have at most {MAX_VALUES} values"));
            }
            Value::Array(items) => !items.is_empty() && items.iter().all(scalar),
            other => scalar(other),
        };
        if !complete {
            return Err(
                "a filter needs a `value`: text, a number, true or false, or a list of them that is not empty; \
                 an incomplete filter would match everyone"
                    .to_owned(),
            );
        }
        match operator {
            // One value where a list is expected.
            Operator::In | Operator::NotIn if !value.is_array() => Ok(vec![value].into()),
            Operator::Icontains | Operator::NotIcontains | Operator::Regex | Operator::NotRegex
                if has_empty_text(&value) =>
            {
                Err("an empty text is part of every value: the filter would match everyone or no one".to_owned())
            }
            Operator::Regex | Operator::NotRegex
                if texts(&value).any(|text| text.len() > MAX_REGEX_BYTES) =>
            {
                Err(format!("a regular expression can have at most {MAX_REGEX_BYTES} bytes"))
            }
            Operator::Regex | Operator::NotRegex => {
                let invalid = texts(&value).find_map(|text| check_regex(text).err());
                invalid.map_or(Ok(value), |reason| {
                    Err(format!(
                        "PostHog evaluates regular expressions with RE2, and this is none: {reason}. RE2 has no look-around \
                         and no backreferences"
                    ))
                })
            }
            Operator::IsDateExact | Operator::IsDateAfter | Operator::IsDateBefore
                if value.as_str().is_none_or(|text| resolve_date(text, Utc::now()).is_none()) =>
            {
                Err("a date filter needs a date: 2026-01-31, 2026-01-31T12:00:00Z or a relative one such as -7d".to_owned())
            }
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte if !is_number(&value) => Err(
                "a comparison needs one number as its `value`, because versions of PostHog compare text differently; \
                 is_date_after and is_date_before compare dates"
                    .to_owned(),
            ),
            _ => Ok(value),
        }
    }

    fn check_cohort(operator: Operator, key: &str, value: Value) -> Result<Value, String> {
        let cohort = match &value {
            Value::Number(number) => number.as_u64().map(Value::from),
            Value::String(text) => match text.trim() {
                "" => None,
                text => Some(
                    text.parse::<u64>()
                        .map_or_else(|_| text.into(), Value::from),
                ),
            },
            _ => None,
        };
        match cohort {
            Some(cohort)
                if matches!(key, "id" | "name")
                    && matches!(operator, Operator::In | Operator::NotIn | Operator::Exact) =>
            {
                Ok(cohort)
            }
            _ => Err(
                "a cohort filter is {\"type\": \"cohort\", \"key\": \"id\", \"operator\": \"in\" or \"not_in\", \
                 \"value\": the cohort's number or name}"
                    .to_owned(),
            ),
        }
    }
}

/// Whether this is a number, or a text that is one.
fn is_number(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().parse::<serde_json::Number>().is_ok(),
        other => other.is_number(),
    }
}

/// The texts among a value or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let items = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter_map(Value::as_str)
}

fn has_empty_text(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().any(has_empty_text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(filter: Value) -> Result<Value, String> {
        serde_json::from_value::<Filter>(filter)
            .map(|filter| serde_json::to_value(filter).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn filter_is_sent_complete() {
        assert_eq!(
            read(json!({"key": "plan", "value": "pro"})),
            Ok(json!({"key": "plan", "value": "pro", "operator": "exact", "type": "person"}))
        );
        assert_eq!(
            read(json!({"key": "email", "operator": "is_set"})),
            Ok(json!({"key": "email", "value": "is_set", "operator": "is_set", "type": "person"}))
        );
        assert_eq!(
            read(json!({"key": "id", "type": "cohort", "value": "3"})),
            Ok(json!({"key": "id", "value": 3, "operator": "in", "type": "cohort"}))
        );
    }

    #[test]
    fn filters_that_would_match_everyone_are_rejected() {
        for filter in [
            json!({}),
            json!({"key": ""}),
            json!({"key": "plan"}),
            json!({"key": "plan", "value": null}),
            json!({"key": "plan", "value": []}),
            json!({"key": "plan", "value": {"a": 1}}),
            json!({"key": "plan", "value": [null]}),
            json!({"value": "pro"}),
            json!({"key": "plan", "operator": "icontains", "value": ""}),
            json!({"key": "plan", "operator": "in", "value": vec!["pro"; MAX_VALUES + 1]}),
            json!({"key": "plan", "operator": "equals", "value": "pro"}),
            json!({"key": "true", "type": "hogql"}),
            json!({"key": "x", "value": 1, "type": "event"}),
            json!({"key": "plan", "value": "pro", "negate": true}),
            json!({"type": "OR", "values": []}),
            json!({"key": "signed_up", "operator": "is_date_after", "value": "soon"}),
            json!({"key": "plan", "type": "cohort", "value": 3}),
            json!({"key": "plan", "operator": "regex", "value": "("}),
            json!({"key": "plan", "operator": "not_regex", "value": ["a", "(?=b)"]}),
            json!({"key": "seats", "operator": "gt", "value": [3, 4]}),
            json!({"key": "seats", "operator": "lt", "value": "1.2.3"}),
            json!({"key": "signed_up", "operator": "is_date_after", "value": "all"}),
            json!({"key": "created_at", "operator": "is_date_after", "value": "-7d"}),
            json!({"key": "distinct_id", "value": "ada"}),
        ] {
            assert!(read(filter.clone()).is_err(), "{filter}");
        }
    }
}
