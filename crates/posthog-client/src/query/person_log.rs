//! All persons of a list, newest first, page after page.
//!
//! A page goes on after the last row of the one before, so that persons who come and go meanwhile shift nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::actor::ActorRow;
use super::cursor::{InvalidCursor, split, stored_as_text};
use super::time_range::text;
use crate::client::Client;
use crate::date::moment;
use crate::error::{Error, ErrorKind};
use crate::person::Person;
use crate::persons_query::PersonsQuery;

/// As texts, UUIDs have the same order in a comparison and in `ORDER BY`.
const ORDER: [&str; 2] = ["created_at DESC", "toString(id) DESC"];

/// Where the next page begins: after this person. It is a text where it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PersonCursor {
    created_at: DateTime<Utc>,
    uuid: Uuid,
}

impl PersonCursor {
    /// The condition of what comes after it, as the text of an expression in HogQL: of the person it has the format of a
    /// time and of a UUID.
    pub(super) fn condition(&self) -> String {
        let (created_at, uuid) = (text(self.created_at), self.uuid);
        format!("(created_at, toString(id)) < (toDateTime('{created_at}'), '{uuid}')")
    }
}

impl fmt::Display for PersonCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", text(self.created_at), self.uuid)
    }
}

impl FromStr for PersonCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (created_at, uuid) = split(text)?;
        let created_at = moment(created_at).ok_or(InvalidCursor)?;
        Ok(Self { created_at, uuid })
    }
}

stored_as_text!(PersonCursor);

/// A page of persons.
#[derive(Debug)]
pub struct PersonLogPage {
    /// Newest first, each after the cursor of the page.
    pub persons: Vec<Person>,
    /// Where the next page begins, if there is one.
    pub next: Option<PersonCursor>,
    /// The number of all persons, if it was requested with the first page.
    pub count: Option<u64>,
}

impl Client {
    /// A page of the persons, which goes on after the cursor. A larger response than `size_limit`, in bytes, is rejected.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidResponse`] where the rows are not in order, or not after the cursor: a page of something else
    /// would leave a gap or repeat persons.
    pub async fn person_log(
        &self,
        query: &PersonsQuery,
        after: Option<&PersonCursor>,
        size_limit: usize,
    ) -> Result<PersonLogPage, Error> {
        let node =
            |has_last_seen| query.rows(&["person", "created_at"], ORDER, has_last_seen, after);
        let response = self.query_with_last_seen::<ActorRow>(node, Some(size_limit));
        let (response, has_last_seen) = response.await?;
        let is_full = response.results.len() >= query.limit as usize;
        let has_more = response.has_more.unwrap_or(is_full);
        let mut last = after.copied();
        let mut persons = Vec::with_capacity(response.results.len());
        for row in response.results {
            let place = place(&row)?;
            match last.replace(place) {
                Some(before)
                    if (before.created_at, before.uuid) < (place.created_at, place.uuid) =>
                {
                    return Err(Error::new(ErrorKind::InvalidResponse)
                        .with_reason("its persons are not in the requested order"));
                }
                Some(before) if before == place => continue,
                _ => {}
            }
            persons.extend(row.into_listed(1));
        }
        let has_moved = last != after.copied();
        let mut page = PersonLogPage {
            persons,
            next: last.filter(|_| has_more && has_moved),
            count: None,
        };
        if query.include_total && after.is_none() {
            page.count = self.count_by_query(query, has_last_seen).await?;
        }
        Ok(page)
    }
}

/// What persons are sorted by, as the query sees it: what it reads of the person itself can be newer and more exact.
fn place(row: &ActorRow) -> Result<PersonCursor, Error> {
    let created_at = row.cell(0).and_then(Value::as_str).and_then(moment);
    let created_at = created_at.ok_or_else(|| {
        Error::new(ErrorKind::InvalidResponse).with_reason("a person has no valid time")
    })?;
    let uuid = row.uuid();
    Ok(PersonCursor { created_at, uuid })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_go_on_after_a_person() {
        let text = "2026-03-02T10:00:00.250Z_ada0ada0-1815-4852-8000-000000000101";
        let cursor: PersonCursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
        assert_eq!(
            PersonsQuery::default().node(&["person", "created_at"], true, Some(&cursor)),
            json!({
                "kind": "ActorsQuery",
                "select": ["person", "created_at"],
                "fixedProperties": [{
                    "type": "hogql",
                    "key": "(created_at, toString(id)) < \
                            (toDateTime('2026-03-02T10:00:00.250Z'), 'ada0ada0-1815-4852-8000-000000000101')",
                }],
            })
        );
        for text in ["", "2026_1", "x_ada0ada0-1815-4852-8000-000000000101"] {
            assert!(text.parse::<PersonCursor>().is_err(), "{text}");
        }
    }
}
