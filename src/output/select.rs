//! Which of a person's properties are shown.

use std::collections::BTreeMap;

use posthog_client::{Person, Properties, Untrusted};
use serde_json::Value;

use super::sanitize::Sanitizer;

/// Shown by default.
const DEFAULT_PROPERTIES: [&str; 2] = ["email", "$geoip_country_code"];

/// Which properties are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Select {
    /// The e-mail and the country.
    #[default]
    Default,
    /// These.
    Keys(Vec<String>),
    /// Every one.
    All,
}

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

    pub(super) fn shows(&self, key: &Untrusted<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Default => DEFAULT_PROPERTIES.iter().any(|default| *key == **default),
            Self::Keys(keys) => keys.iter().any(|selected| *key == **selected),
        }
    }

    /// The selected properties of a person that is redacted already.
    pub(super) fn properties(
        &self,
        redacted: &Person,
        sanitizer: &Sanitizer,
    ) -> BTreeMap<String, Value> {
        if sanitizer.values_omitted() {
            return BTreeMap::new();
        }
        let entries = redacted.properties.entries();
        entries
            .filter(|(key, _)| self.shows(key))
            .map(|(key, json)| {
                let value = sanitizer.redacted_value(&Properties::value(json));
                (sanitizer.text(&key), value)
            })
            .collect()
    }
}
