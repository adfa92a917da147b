//! Persons and what hangs on them, as the API sends them.
//!
//! The API's `id` is a UUID in lists, an integer elsewhere and a string of that integer in activity; only `uuid` means
//! the same everywhere, so `id` is not read at all.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

/// What names a person in an address: a UUID or the numeric id.
///
/// A distinct id can look like either, so nothing is guessed: what is neither cannot become a `PersonId`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonId(String);

impl PersonId {
    /// Reads a hyphenated UUID, in either case, or a positive integer.
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

    /// The id as it stands in an address.
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
    pub uuid: String,
    /// The display name as stored: usually text, but a project may display a number.
    #[serde(default, deserialize_with = "any_depth")]
    pub name: Value,
    /// Distinct ids, the anonymous ones last. Whether they are all depends on the endpoint.
    #[serde(default, deserialize_with = "null_as_default")]
    pub distinct_ids: Vec<String>,
    /// Properties; those the credential may not see are missing without a trace.
    #[serde(default)]
    pub properties: Properties,
    /// ISO 8601.
    #[serde(default)]
    pub created_at: Option<String>,
    /// ISO 8601.
    #[serde(default)]
    pub last_seen_at: Option<String>,
    /// In trends: the value that put the person into the data point.
    #[serde(default)]
    pub value_at_data_point: Option<serde_json::Number>,
}

/// A person's properties as PostHog sent them. They are read when they are asked for: most are never shown.
#[derive(Debug, Clone, Default)]
pub struct Properties(Option<Box<RawValue>>);

impl Properties {
    /// Keys and values, in the order in which they were sent.
    #[must_use]
    pub fn entries(&self) -> Vec<(Cow<'_, str>, &RawValue)> {
        let entries = self.0.as_ref().map(|raw| serde_json::from_str(raw.get()));
        match entries {
            Some(Ok(Entries(entries))) => entries,
            _ => Vec::new(),
        }
    }

    /// A value as JSON. What is nested too deeply to be read becomes its text.
    #[must_use]
    pub fn value(raw: &RawValue) -> Value {
        serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
    }

    /// Whether a text is what [`Properties::value`] makes of JSON that it cannot read.
    #[must_use]
    pub fn is_unread(text: &str) -> bool {
        text.starts_with(['[', '{'])
            && serde_json::from_str::<Value>(text).is_err()
            && serde_json::from_str::<&RawValue>(text).is_ok()
    }
}

impl From<Map<String, Value>> for Properties {
    fn from(properties: Map<String, Value>) -> Self {
        Self(serde_json::value::to_raw_value(&properties).ok())
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
        match &raw {
            Some(raw) if !raw.get().starts_with('{') => {
                Err(D::Error::custom("properties are an object"))
            }
            _ => Ok(Self(raw)),
        }
    }
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// One page of the list.
#[derive(Debug, Deserialize)]
pub struct PersonPage {
    /// May be fewer than the limit though there is a next page: persons already gone are dropped.
    pub results: Vec<Person>,
    next: Option<String>,
    /// All matches, where they were counted.
    #[serde(default)]
    pub count: Option<u64>,
}

impl PersonPage {
    /// Whether PostHog says that there is more. The address that it gives is never followed: it is absolute, and the
    /// key would go with it.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

/// A cohort that a person is in.
#[derive(Debug, Deserialize)]
pub struct Cohort {
    /// The cohort's number.
    pub id: i64,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// How many persons it held when it was last calculated.
    #[serde(default)]
    pub count: Option<i64>,
}

/// Values of one property, the most frequent first.
#[derive(Debug, Deserialize)]
pub struct PropertyValues {
    /// At most twenty.
    pub results: Vec<PropertyValue>,
    /// Whether a newer answer is being computed.
    #[serde(default)]
    pub refreshing: bool,
}

/// A value with its frequency in a sample.
#[derive(Debug, Deserialize)]
pub struct PropertyValue {
    /// The value, mostly as text.
    #[serde(default, deserialize_with = "any_depth")]
    pub name: Value,
    /// Persons in the sample that have it.
    #[serde(default)]
    pub count: Option<u64>,
}

/// A value as [`Properties::value`] reads it: one that is nested too deeply must not cost the whole answer.
pub(super) fn any_depth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(Properties::value(&raw))
}

/// The same for each value of an object.
pub(super) fn object_of_any_depth<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    let properties = Properties::deserialize(deserializer)?;
    let entries = properties.entries().into_iter();
    Ok(entries
        .map(|(key, raw)| (key.into_owned(), Properties::value(raw)))
        .collect())
}

/// Some builds send `null` where there is nothing.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
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
    fn a_person_id_is_a_uuid_or_a_positive_number() {
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
    fn a_person_is_read_from_every_endpoint() {
        for id in ["7", "\"018f0000-0000-7000-8000-00000000000a\""] {
            let json = format!(
                r#"{{"id":{id},"uuid":"u","name":5,"distinct_ids":null,"properties":null,"created_at":null,"new_field":[1]}}"#
            );
            let person: Person = serde_json::from_str(&json).unwrap();
            assert_eq!(person.name, Value::from(5));
            assert!(person.properties.entries().is_empty() && person.distinct_ids.is_empty());
        }
    }
}
