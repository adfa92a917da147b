//! Persons that share the value of a property, grouped.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use uuid::Uuid;

use super::cursor::{InvalidCursor, split};
use super::hogql::HogQl;
use super::response::QueryResponse;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::untrusted::Untrusted;

/// Persons of a group that are listed at most.
pub const MAX_GROUP_PERSONS: u32 = 10;

/// Texts without the blanks around them and in lower case. `JSONExtractString` is empty where the property is no text or
/// not set; `properties.x` would be null there, and all these persons one group.
macro_rules! normalized {
    ($columns:literal) => {
        concat!(
            "select ",
            $columns,
            ", lower(trim(JSONExtractString(properties, {k}))) as norm from persons \
             where JSONExtractString(properties, {k}) != ''"
        )
    };
}

/// A page of groups, the largest first.
#[derive(Debug)]
pub struct DuplicatePage {
    /// The groups.
    pub groups: Vec<DuplicateGroup>,
    /// Whether there are more.
    pub has_next: bool,
}

/// Persons with the same value.
#[derive(Debug)]
pub struct DuplicateGroup {
    /// The value, normalized.
    pub value: Untrusted<Value>,
    /// The number of persons.
    pub count: u64,
    /// The first [`MAX_GROUP_PERSONS`] of them: the identified before the anonymous, of these the oldest first.
    pub persons: Vec<DuplicatePerson>,
    /// The first UUID, by which groups of the same size are ordered: the value is personal data, and a cursor is not.
    first: Uuid,
}

/// A person of a group.
#[derive(Debug)]
pub struct DuplicatePerson {
    /// The person's UUID.
    pub uuid: Uuid,
    /// ISO 8601.
    pub created_at: Untrusted<String>,
    /// ISO 8601. PostHog of 2025 does not have it.
    pub last_seen_at: Option<Untrusted<String>>,
    /// Whether the person is a known user, and no anonymous visitor.
    pub is_identified: bool,
    /// The number of distinct ids.
    pub distinct_id_count: u64,
}

/// Where the next page begins: after this group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuplicateCursor {
    count: u64,
    first: Uuid,
}

impl DuplicateCursor {
    /// After a group.
    #[must_use]
    pub fn after(group: &DuplicateGroup) -> Self {
        Self {
            count: group.count,
            first: group.first,
        }
    }
}

impl fmt::Display for DuplicateCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.count, self.first)
    }
}

impl FromStr for DuplicateCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (count, first) = split(text)?;
        let count = count.parse().map_err(|_| InvalidCursor)?;
        Ok(Self { count, first })
    }
}

type GroupRow = (Untrusted<String>, u64, Uuid);
type MemberRow = (
    Untrusted<Value>,
    Uuid,
    Untrusted<String>,
    u8,
    Option<Untrusted<String>>,
);

fn groups(key: &str, limit: u32, after: Option<DuplicateCursor>) -> HogQl {
    let query = HogQl::new(concat!(
        "select norm, count() as n, min(toString(id)) as first from (",
        normalized!("id"),
        ") where norm != '' group by norm having n > 1"
    ))
    .value("k", key);
    let query = match after {
        None => query,
        Some(after) => query
            .push(" and (n < {cn} or (n = {cn} and first > {cf}))")
            .value("cn", after.count)
            .value("cf", after.first.to_string()),
    };
    query
        .push(" order by n desc, first limit {n}")
        .value("n", limit.saturating_add(1))
}

/// The persons of groups, in the order in which they should be kept.
fn members(key: &str, values: Vec<Value>, with_last_seen: bool) -> HogQl {
    let limit = u64::from(MAX_GROUP_PERSONS) * values.len() as u64;
    let (outer, inner) = if with_last_seen {
        (
            "select norm, toString(id) as uuid, created_at, is_identified, last_seen_at from (select norm, id, created_at, is_identified, last_seen_at",
            normalized!("id, created_at, is_identified, last_seen_at"),
        )
    } else {
        (
            "select norm, toString(id) as uuid, created_at, is_identified, null as last_seen_at from (select norm, id, created_at, is_identified",
            normalized!("id, created_at, is_identified"),
        )
    };
    HogQl::new(outer)
        .push(
            ", row_number() over (partition by norm order by is_identified desc, created_at asc, toString(id) asc) as rn from (",
        )
        .push(inner)
        .push(") where norm in {norms}) where rn <= {m} order by norm, rn limit {n}")
        .value("k", key)
        .value("norms", values)
        .value("m", MAX_GROUP_PERSONS)
        .value("n", limit)
}

impl Client {
    /// The persons that share a value of this property, which is a text. Blanks around a value and letter case do not count.
    pub async fn duplicates(
        &self,
        key: &str,
        limit: u32,
        after: Option<DuplicateCursor>,
    ) -> Result<DuplicatePage, Error> {
        let node = groups(key, limit, after).node();
        let mut response = self.query::<GroupRow>(node).await?;
        let has_next = response.cut_to(limit);
        let mut groups: Vec<DuplicateGroup> = response
            .results
            .into_iter()
            .map(|(value, count, first)| DuplicateGroup {
                value: value.map(Value::from),
                count,
                persons: Vec::new(),
                first,
            })
            .collect();
        if !groups.is_empty() {
            self.add_members(key, &mut groups).await?;
        }
        Ok(DuplicatePage { groups, has_next })
    }

    async fn add_members(&self, key: &str, groups: &mut [DuplicateGroup]) -> Result<(), Error> {
        let values: Vec<Value> = groups
            .iter()
            .map(|group| group.value.expose_untrusted().clone())
            .collect();
        let rows = self.members(key, values).await?.results;
        let uuids: Vec<Uuid> = rows.iter().map(|row| row.1).collect();
        let counts = self.distinct_id_counts(&uuids).await?;
        let places: HashMap<Untrusted<Value>, usize> = groups
            .iter()
            .enumerate()
            .map(|(place, group)| (group.value.clone(), place))
            .collect();
        for (value, uuid, created_at, is_identified, last_seen_at) in rows {
            let place = places.get(&value).copied();
            let Some(group) = place.and_then(|place| groups.get_mut(place)) else {
                continue;
            };
            group.persons.push(DuplicatePerson {
                uuid,
                created_at,
                last_seen_at,
                is_identified: is_identified != 0,
                distinct_id_count: counts.get(&uuid).copied().unwrap_or_default(),
            });
        }
        Ok(())
    }

    async fn members(
        &self,
        key: &str,
        values: Vec<Value>,
    ) -> Result<QueryResponse<MemberRow>, Error> {
        let node = members(key, values.clone(), true).node();
        match self.query(node).await {
            // PostHog before February 2026 does not know the column.
            Err(error) if matches!(error.kind(), ErrorKind::Invalid { .. }) => {
                self.query(members(key, values, false).node()).await
            }
            response => response,
        }
    }

    /// How many distinct ids each of these persons has. Persons without any are missing.
    pub async fn distinct_id_counts(&self, persons: &[Uuid]) -> Result<HashMap<Uuid, u64>, Error> {
        let ids: Vec<String> = persons.iter().map(Uuid::to_string).collect();
        let query = HogQl::new(
            "select person_id, count() as n from person_distinct_ids where person_id in {ids} group by person_id limit {n}",
        )
        .value("n", ids.len())
        .value("ids", ids);
        let response = self.query::<(Uuid, u64)>(query.node()).await?;
        Ok(response.results.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn page_goes_on_after_the_last_group() {
        let after: DuplicateCursor = "3_01910000-0000-7000-8000-000000000007".parse().unwrap();
        assert_eq!(after.to_string(), "3_01910000-0000-7000-8000-000000000007");
        assert_eq!(
            groups("e'mail", 2, Some(after)).node(),
            json!({
                "kind": "HogQLQuery",
                "query": "select norm, count() as n, min(toString(id)) as first from (select id, \
                          lower(trim(JSONExtractString(properties, {k}))) as norm from persons \
                          where JSONExtractString(properties, {k}) != '') where norm != '' group by norm having n > 1 \
                          and (n < {cn} or (n = {cn} and first > {cf})) order by n desc, first limit {n}",
                "values": {"k": "e'mail", "cn": 3, "cf": "01910000-0000-7000-8000-000000000007", "n": 3},
            })
        );
        for text in [
            "",
            "3",
            "_",
            "3_x",
            "x_01910000-0000-7000-8000-000000000007",
        ] {
            assert!(text.parse::<DuplicateCursor>().is_err(), "{text}");
        }
    }
}
