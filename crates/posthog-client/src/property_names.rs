//! The names of the properties that the project's persons have.

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::person::{cut_to, null_as_default};
use crate::property_types::PropertyType;
use crate::request::Request;
use crate::untrusted::Untrusted;

/// Properties that PostHog computes in queries, and no person has.
const VIRTUAL: &str = "$virt_";

/// Names of properties.
#[derive(Debug)]
pub struct PropertyNames {
    /// The names.
    pub names: Vec<PropertyName>,
    /// Whether there are more.
    pub has_more: bool,
    /// Whether the persons were counted.
    pub is_counted: bool,
}

/// A property.
#[derive(Debug)]
pub struct PropertyName {
    /// The name.
    pub name: Untrusted<String>,
    /// The type by which PostHog compares it in filters.
    pub kind: Option<PropertyType>,
    /// The number of persons that have it, if they were counted.
    pub count: Option<u64>,
}

#[derive(Deserialize)]
struct Definitions {
    #[serde(default)]
    next: Option<String>,
    results: Vec<Definition>,
}

#[derive(Deserialize)]
struct Definition {
    name: Untrusted<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    property_type: Option<PropertyType>,
}

impl Client {
    /// The names that PostHog has recorded, the project's own first. Without the scope `property_definition:read`, and with
    /// `count`, they are counted in all persons by a query, the most frequent first.
    ///
    /// # Errors
    /// That of the definitions, where the key may not make queries either.
    pub async fn property_names(
        &self,
        part: Option<&str>,
        limit: u32,
        count: bool,
    ) -> Result<PropertyNames, Error> {
        if count {
            return self.counted_names(part, limit).await;
        }
        match self.defined_names(part, limit).await {
            Err(error) if error.is_closed() => match self.counted_names(part, limit).await {
                Err(other) if other.is_closed() => Err(error),
                counted => counted,
            },
            defined => defined,
        }
    }

    async fn counted_names(&self, part: Option<&str>, limit: u32) -> Result<PropertyNames, Error> {
        let counts = self.key_counts(part, limit).await?;
        let names = counts.keys.into_iter();
        Ok(PropertyNames {
            names: names
                .map(|(name, count)| PropertyName {
                    name,
                    kind: None,
                    count: Some(count),
                })
                .collect(),
            has_more: counts.has_more,
            is_counted: true,
        })
    }

    /// `GET property_definitions/?type=person`. All are requested whatever the limit: PostHog sorts those of its own, which
    /// begin with a dollar sign, before the project's.
    async fn defined_names(&self, part: Option<&str>, limit: u32) -> Result<PropertyNames, Error> {
        const MAX_DEFINITIONS: u32 = 1000;
        let project = self.project().await?.to_string();
        let mut query = vec![
            ("type".into(), "person".to_owned()),
            ("limit".into(), MAX_DEFINITIONS.to_string()),
        ];
        query.extend(part.map(|part| ("search".into(), part.to_owned())));
        let path = vec!["api", "projects", &project, "property_definitions"];
        let definitions: Definitions = self.json(Request::get(path).query(query)).await?;
        let more = definitions.next.is_some();
        let names = definitions.results.into_iter();
        let mut names: Vec<PropertyName> = names
            .map(|definition| PropertyName {
                name: definition.name,
                kind: definition.property_type,
                count: None,
            })
            .filter(|one| !one.name.expose_untrusted().starts_with(VIRTUAL))
            .collect();
        names.sort_by_key(|one| one.name.expose_untrusted().starts_with('$'));
        let cut = cut_to(&mut names, limit);
        Ok(PropertyNames {
            names,
            has_more: more || cut,
            is_counted: false,
        })
    }
}
