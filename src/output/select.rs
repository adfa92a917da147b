//! Which of a person's properties are shown.

use posthog_client::{Person, Properties, Untrusted};
use serde_json::Value;

use super::sanitize::{EMAIL_PROPERTIES, Sanitizer};

/// The property behind the column `country`.
pub(super) const COUNTRY: &str = "$geoip_country_code";

/// Which properties are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Select {
    /// The name, the e-mail and the country.
    #[default]
    Default,
    /// These, in this order.
    Keys(Vec<String>),
    /// Every one.
    All,
}

/// The selected properties: each with its value, or without one if the person does not have it.
pub(super) type Selected = Vec<(String, Option<Value>)>;

impl Select {
    /// From the argument of the same name.
    #[must_use]
    pub fn from_keys(keys: Option<Vec<String>>) -> Self {
        match keys {
            None => Self::Default,
            Some(keys) if keys.iter().any(|key| key == "*") => Self::All,
            Some(keys) => Self::Keys(keys),
        }
    }

    /// Whether the name of a person stands beside the selected properties: not if the property `name` is one of them.
    pub(super) fn adds_name(&self, person: &Person) -> bool {
        match self {
            Self::Default => true,
            Self::Keys(keys) => !keys.iter().any(|key| key == "name"),
            Self::All => !person.properties.entries().any(|(key, _)| key == *"name"),
        }
    }

    pub(super) fn shows(&self, key: &Untrusted<&str>, sanitizer: &Sanitizer) -> bool {
        match self {
            Self::All => true,
            Self::Default => {
                *key == *"name"
                    || *key == *COUNTRY
                    || EMAIL_PROPERTIES.iter().any(|email| *key == **email)
            }
            Self::Keys(keys) => keys
                .iter()
                .any(|selected| sanitizer.is_identifier(key, selected)),
        }
    }

    /// The selected properties of a person that is redacted already. By default none: they have fields of their own.
    pub(super) fn properties(&self, redacted: &Person, sanitizer: &Sanitizer) -> Selected {
        if sanitizer.values_omitted() {
            return Vec::new();
        }
        let entries = || {
            redacted.properties.entries().map(|(key, json)| {
                let value = move || sanitizer.redacted_value(&Properties::value(json));
                (key, value)
            })
        };
        match self {
            Self::Default => Vec::new(),
            Self::All => {
                let mut all: Selected = entries()
                    .map(|(key, value)| (sanitizer.identifier(&key), Some(value())))
                    .collect();
                all.sort_by(|(a, _), (b, _)| a.cmp(b));
                all
            }
            Self::Keys(keys) => keys
                .iter()
                .map(|selected| {
                    let found = entries().find(|(key, _)| sanitizer.is_identifier(key, selected));
                    match found {
                        Some((key, value)) => (sanitizer.identifier(&key), Some(value())),
                        None => (sanitizer.given_identifier(selected), None),
                    }
                })
                .collect(),
        }
    }
}
