//! The types of person properties, by which PostHog of 2026 compares them in filters.

use std::collections::HashMap;

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::filter::{Filter, FilterType, Operator};
use crate::filter_form::text;
use crate::person::null_as_default;
use crate::relative_date::resolve_date;
use crate::request::Request;

/// The type of a property. PostHog compares one without a type as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum PropertyType {
    /// Text.
    #[serde(rename = "String")]
    Text,
    /// Numbers.
    Numeric,
    /// True or false.
    Boolean,
    /// Dates and times.
    DateTime,
    /// One that this crate does not know.
    #[serde(other)]
    Other,
}

/// Why PostHog of 2026 fails on a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeMismatch {
    /// A number is compared with a property that has no numeric type.
    NotNumeric,
    /// The value is none of the property's type.
    Value(PropertyType),
}

impl Client {
    /// `GET property_definitions/?type=person`: the types of the person properties in the filters, by name. Those without
    /// a type are missing.
    ///
    /// # Errors
    /// Without the scope `property_definition:read`, see [`Error::is_closed`].
    pub async fn property_types(
        &self,
        filters: &[Filter],
    ) -> Result<HashMap<String, PropertyType>, Error> {
        #[derive(Deserialize)]
        struct Definitions {
            results: Vec<Definition>,
        }
        #[derive(Deserialize)]
        struct Definition {
            name: String,
            #[serde(default, deserialize_with = "null_as_default")]
            property_type: Option<PropertyType>,
        }
        let of_persons = filters.iter().filter(|one| one.kind == FilterType::Person);
        let names: Vec<&str> = of_persons.map(|filter| filter.key.as_str()).collect();
        let project = self.project().await?.to_string();
        let query = vec![
            ("type".into(), "person".to_owned()),
            ("properties".into(), names.join(",")),
        ];
        let path = vec!["api", "projects", &project, "property_definitions"];
        let definitions: Definitions = self.json(Request::get(path).query(query)).await?;
        let results = definitions.results.into_iter();
        Ok(results
            .filter_map(|one| Some((one.name, one.property_type?)))
            .collect())
    }
}

impl Filter {
    /// The name of the property.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The same filter on another property.
    #[must_use]
    pub fn with_key(mut self, key: String) -> Self {
        self.key = key;
        self
    }

    /// Why PostHog of 2026 fails on this filter, if it is for the type of the property.
    #[must_use]
    pub fn mismatch(&self, property: Option<PropertyType>) -> Option<TypeMismatch> {
        if self.kind != FilterType::Person {
            return None;
        }
        match self.operator {
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                (property != Some(PropertyType::Numeric)).then_some(TypeMismatch::NotNumeric)
            }
            Operator::Exact | Operator::IsNot | Operator::In | Operator::NotIn => {
                let property = property?;
                let values = self.value.as_array();
                let mut values = values
                    .map_or(std::slice::from_ref(&self.value), Vec::as_slice)
                    .iter();
                let fits = values.all(|value| property.reads(&text(value)));
                (!fits).then_some(TypeMismatch::Value(property))
            }
            _ => None,
        }
    }
}

impl PropertyType {
    /// PostHog's name of the type.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Text => Some("String"),
            Self::Numeric => Some("Numeric"),
            Self::Boolean => Some("Boolean"),
            Self::DateTime => Some("DateTime"),
            Self::Other => None,
        }
    }

    /// Whether a text can be read as a value of this type.
    fn reads(self, text: &str) -> bool {
        match self {
            Self::Numeric => text.parse::<f64>().is_ok(),
            Self::Boolean => matches!(text, "true" | "false"),
            // A day, or a day and a time between which is a space.
            Self::DateTime => {
                text.starts_with(|first: char| first.is_ascii_digit())
                    && !text.contains(['T', 'Z'])
                    && resolve_date(text, chrono::Utc::now()).is_some()
            }
            Self::Text | Self::Other => true,
        }
    }
}
