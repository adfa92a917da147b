//! The properties of the project's persons, counted: which there are, and which values one has.

use serde_json::Value;

use super::events::raw_value;
use super::hogql::HogQl;
use crate::client::Client;
use crate::error::Error;
use crate::untrusted::Untrusted;

/// The values of a property, counted in all persons.
#[derive(Debug)]
pub struct ValueCounts {
    /// The most frequent first.
    pub values: Vec<ValueCount>,
    /// Whether there are more values.
    pub has_more: bool,
    /// Persons that have the property, with any value.
    pub with_property: u64,
    /// Persons that do not have it.
    pub without_property: u64,
}

/// A value, and how many persons have it.
#[derive(Debug)]
pub struct ValueCount {
    /// The value.
    pub value: Untrusted<Value>,
    /// The number of persons.
    pub count: u64,
}

/// The names of properties, counted in all persons.
#[derive(Debug)]
pub struct KeyCounts {
    /// Names with the number of persons, the most frequent first.
    pub keys: Vec<(Untrusted<String>, u64)>,
    /// Whether there are more names.
    pub has_more: bool,
}

fn values(key: &str, part: Option<&str>, limit: u32) -> HogQl {
    let query = HogQl::new(
        "select JSONExtractRaw(properties, {k}) as v, count() as n from persons where JSONHas(properties, {k})",
    )
    .value("k", key);
    let query = match part {
        None => query,
        // The text of a value that is text, and the JSON of any other.
        Some(part) => query
            .push(
                " and position(lower(if(JSONExtractString(properties, {k}) = '', JSONExtractRaw(properties, {k}), \
                 JSONExtractString(properties, {k}))), lower({s})) > 0",
            )
            .value("s", part),
    };
    query
        .push(" group by v order by n desc, v limit {n}")
        .value("n", limit.saturating_add(1))
}

fn keys(part: Option<&str>, limit: u32) -> HogQl {
    let query = HogQl::new(
        "select arrayJoin(JSONExtractKeys(properties)) as k, count() as n from persons group by k",
    );
    let query = match part {
        None => query,
        Some(part) => query
            .push(" having position(lower(k), lower({s})) > 0")
            .value("s", part),
    };
    query
        .push(" order by n desc, k limit {n}")
        .value("n", limit.saturating_add(1))
}

impl Client {
    /// The values of a property, counted in all persons; with `part` only those that contain it.
    pub async fn value_counts(
        &self,
        key: &str,
        part: Option<&str>,
        limit: u32,
    ) -> Result<ValueCounts, Error> {
        let presence = HogQl::new(
            "select JSONHas(properties, {k}) as present, count() as n from persons group by present limit {n}",
        )
        .value("k", key)
        .value("n", 2);
        let (mut values, presence) = tokio::try_join!(
            self.query::<(String, u64)>(values(key, part, limit).node()),
            self.query::<(u8, u64)>(presence.node()),
        )?;
        let has_more = values.cut_to(limit);
        let persons = |has: bool| {
            let rows = presence.results.iter();
            let rows = rows.filter(|(present, _)| (*present != 0) == has);
            rows.map(|(_, count)| count).sum()
        };
        Ok(ValueCounts {
            has_more,
            with_property: persons(true),
            without_property: persons(false),
            values: values
                .results
                .into_iter()
                .filter_map(|(json, count)| {
                    let value = raw_value(json)?;
                    Some(ValueCount { value, count })
                })
                .collect(),
        })
    }

    /// The names of the properties that persons have; with `part` only those that contain it.
    pub async fn key_counts(&self, part: Option<&str>, limit: u32) -> Result<KeyCounts, Error> {
        let node = keys(part, limit).node();
        let mut response = self.query::<(Untrusted<String>, u64)>(node).await?;
        let has_more = response.cut_to(limit);
        Ok(KeyCounts {
            keys: response.results,
            has_more,
        })
    }
}
