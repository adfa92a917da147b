//! Persons, as the API sends them.
//!
//! The API's `id` is a UUID in lists, an integer elsewhere and a string of that integer in activity. Only `uuid` has one
//! meaning everywhere, so `id` is ignored.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::properties::Properties;
use crate::untrusted::Untrusted;

/// The id of a person in a URL: a UUID or the numeric id.
///
/// A distinct id can look like either, so a caller must say which of them an id is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonId(String);

impl PersonId {
    /// Parses a hyphenated UUID, in either case, or a positive integer.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 36 {
            return Uuid::try_parse(text).ok().map(Self::from);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = if digits { text.parse().ok()? } else { 0 };
        (number > 0).then(|| Self(number.to_string()))
    }

    /// The UUID, where it is one.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        Uuid::try_parse(&self.0).ok().filter(|_| self.0.len() == 36)
    }

    /// The id as a path segment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for PersonId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid.hyphenated().to_string())
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One person.
#[derive(Debug, Clone, Deserialize)]
pub struct Person {
    /// The person's UUID.
    pub uuid: Uuid,
    /// The display name as stored: usually text, but a project may display a number.
    #[serde(default, deserialize_with = "any_depth")]
    pub name: Untrusted<Value>,
    /// Distinct ids, the anonymous ones last. Some endpoints truncate them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub distinct_ids: Vec<Untrusted<String>>,
    /// Properties. Those that the key has no access to are missing.
    #[serde(default)]
    pub properties: Properties,
    /// ISO 8601.
    #[serde(default)]
    pub created_at: Option<Untrusted<String>>,
    /// ISO 8601.
    #[serde(default)]
    pub last_seen_at: Option<Untrusted<String>>,
    /// In trends: the person's value at the data point.
    #[serde(default)]
    pub value_at_data_point: Option<serde_json::Number>,
}

impl Person {
    /// When the person was created, to the millisecond, by which PostHog sorts lists.
    #[must_use]
    pub fn created_at_millis(&self) -> Option<i64> {
        let time = self.created_at.as_ref()?.expose_untrusted();
        let time: DateTime<Utc> = time.parse().ok()?;
        Some(time.timestamp_millis())
    }

    /// The property `email`, where it is text.
    pub(crate) fn email(&self) -> Option<String> {
        let (_, json) = self
            .properties
            .entries()
            .find(|(key, _)| *key == *"email")?;
        match Properties::value(json).expose_untrusted_owned() {
            Value::String(email) => Some(email),
            _ => None,
        }
    }
}

/// One page of the list.
#[derive(Debug, Deserialize)]
pub struct PersonPage {
    /// Can be fewer than the limit although there is a next page: deleted persons are dropped from a page.
    pub results: Vec<Person>,
    next: Option<String>,
    /// The number of matches, if requested.
    #[serde(default)]
    pub count: Option<u64>,
    /// When PostHog calculated the page, if it did so earlier and kept it.
    #[serde(skip)]
    pub calculated_at: Option<DateTime<Utc>>,
    /// Whether rows beyond the limit were dropped, or a query has a next page.
    #[serde(skip)]
    more: bool,
}

impl PersonPage {
    /// Whether there is a next page. Its URL is never followed: it is absolute, and the key would be sent to it.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some() || self.more
    }

    /// A page of a query.
    pub(crate) fn of_query(results: Vec<Person>, more: bool) -> Self {
        Self {
            results,
            next: None,
            count: None,
            calculated_at: None,
            more,
        }
    }

    pub(crate) fn cut_to(mut self, limit: u32) -> Self {
        self.more = cut_to(&mut self.results, limit);
        self
    }
}

/// Drops rows beyond the limit of the request, and says whether there were any: a cache in front of PostHog may ignore the
/// limit, and callers rely on the size of a page.
pub(crate) fn cut_to<T>(rows: &mut Vec<T>, limit: u32) -> bool {
    let limit = limit as usize;
    let cut = rows.len() > limit;
    rows.truncate(limit);
    cut
}

/// A cohort that a person is in.
#[derive(Debug, Deserialize)]
pub struct Cohort {
    /// The numeric id.
    pub id: u64,
    /// The name.
    #[serde(default)]
    pub name: Option<Untrusted<String>>,
    /// The number of persons at the last calculation.
    #[serde(default)]
    pub count: Option<u64>,
}

/// Values of one property, the most frequent first.
#[derive(Debug)]
pub struct PropertyValues {
    /// At most twenty.
    pub results: Vec<PropertyValue>,
    /// Whether PostHog is computing newer values.
    pub refreshing: bool,
}

impl<'de> Deserialize<'de> for PropertyValues {
    /// Since 2026 an object, before a bare list.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            results: Vec<PropertyValue>,
            #[serde(default)]
            refreshing: bool,
        }
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = PropertyValues;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the values of a property")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PropertyValues {
                    results: object.results,
                    refreshing: object.refreshing,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Ok(PropertyValues {
                    results: Vec::deserialize(SeqAccessDeserializer::new(list))?,
                    refreshing: false,
                })
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

/// A value with its frequency in a sample.
#[derive(Debug, Deserialize)]
pub struct PropertyValue {
    /// The value, usually text.
    #[serde(default, deserialize_with = "any_depth")]
    pub name: Untrusted<Value>,
    /// The number of persons in the sample with this value.
    #[serde(default)]
    pub count: Option<u64>,
}

/// Decodes as [`Properties::value`] does: a value that is nested too deeply must not fail the whole response.
pub(crate) fn any_depth<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Untrusted<Value>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(Properties::value(raw.get().into()))
}

/// Some PostHog versions send `null` instead of an empty value.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_property_are_read_in_both_shapes() {
        for (body, refreshing) in [
            (
                r#"[{"name": "pro", "count": 2}, {"name": [1], "count": 1}]"#,
                false,
            ),
            (
                r#"{"results": [{"name": "pro", "count": 2}, {"name": [1]}], "refreshing": true}"#,
                true,
            ),
        ] {
            let values: PropertyValues = serde_json::from_str(body).unwrap();
            assert_eq!(values.results.len(), 2, "{body}");
            assert_eq!(values.results[0].count, Some(2));
            assert_eq!(values.refreshing, refreshing);
        }
        assert!(serde_json::from_str::<PropertyValues>("7").is_err());
    }

    #[test]
    fn person_id_is_a_uuid_or_a_positive_number() {
        let uuid = "018F0000-0000-7000-8000-00000000000A";
        assert_eq!(PersonId::parse(uuid).unwrap().as_str(), uuid.to_lowercase());
        assert_eq!(PersonId::parse("0042").unwrap().as_str(), "42");
        for other in [
            "",
            "0",
            "-1",
            "+1",
            "..",
            ".",
            "a/b",
            "user-3",
            "1.5",
            "99999999999999999999",
            "018f000000007000800000000000000a",
            "{018f0000-0000-7000-8000-000000000a}",
            "٣",
        ] {
            assert_eq!(PersonId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn person_is_decoded_from_every_endpoint() {
        let uuid = "018f0000-0000-7000-8000-00000000000a";
        for id in ["7".to_owned(), format!("\"{uuid}\"")] {
            let json = format!(
                r#"{{"id":{id},"uuid":"{uuid}","name":5,"distinct_ids":null,"properties":null,"created_at":null,"new_field":[1]}}"#
            );
            let person: Person = serde_json::from_str(&json).unwrap();
            assert_eq!(person.name, Value::from(5).into());
            assert!(person.properties.entries().next().is_none() && person.distinct_ids.is_empty());
        }
    }
}
