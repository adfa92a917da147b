//! The events of a person, newest first, and how many there are of each name.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::cursor::{InvalidCursor, split, stored_as_text};
use super::hogql::HogQl;
use super::time_range::TimeRange;
use crate::client::Client;
use crate::date::is_timestamp;
use crate::error::Error;
use crate::properties::Properties;
use crate::untrusted::Untrusted;

/// Which events.
#[derive(Debug, Clone)]
pub struct EventsQuery {
    /// Whose events.
    pub source: EventSource,
    /// Only events with these names; all if empty.
    pub names: Vec<String>,
    /// When they happened.
    pub range: TimeRange,
}

/// Whose events.
#[derive(Debug, Clone)]
pub enum EventSource {
    /// Of a person, with all distinct ids that the person has or had.
    Person(Uuid),
    /// Sent with a distinct id.
    DistinctId(String),
}

/// Where the next page begins: after this event. It is a text where it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EventCursor {
    pub(super) timestamp: String,
    pub(super) uuid: Uuid,
}

impl EventCursor {
    /// After an event, if its time is one.
    #[must_use]
    pub fn after(event: &Event) -> Option<Self> {
        let timestamp = event.timestamp.expose_untrusted();
        is_timestamp(timestamp).then(|| Self {
            timestamp: timestamp.clone(),
            uuid: event.uuid,
        })
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.timestamp, self.uuid)
    }
}

impl FromStr for EventCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (timestamp, uuid) = split(text)?;
        if !is_timestamp(timestamp) {
            return Err(InvalidCursor);
        }
        let timestamp = timestamp.to_owned();
        Ok(Self { timestamp, uuid })
    }
}

stored_as_text!(EventCursor);

/// A page of events.
#[derive(Debug)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<Event>,
    /// Where the next page begins, if there is one.
    pub next: Option<EventCursor>,
}

/// One event.
#[derive(Debug)]
pub struct Event {
    /// The event's UUID.
    pub uuid: Uuid,
    /// The name.
    pub name: Untrusted<String>,
    /// ISO 8601.
    pub timestamp: Untrusted<String>,
    /// The distinct id that it was sent with.
    pub distinct_id: Untrusted<String>,
    /// The selected properties, in the order in which they were selected; `None` where it does not have one.
    pub properties: Vec<Option<Untrusted<Value>>>,
}

/// How many events there are of each name, the most frequent first.
#[derive(Debug)]
pub struct EventCounts {
    /// One entry for each name.
    pub counts: Vec<EventCount>,
    /// Whether there are more names.
    pub has_more: bool,
}

/// How many events there are of a name.
#[derive(Debug)]
pub struct EventCount {
    /// The name.
    pub name: Untrusted<String>,
    /// The number of events.
    pub count: u64,
    /// When the first happened, ISO 8601.
    pub first: Untrusted<String>,
    /// When the last happened, ISO 8601.
    pub last: Untrusted<String>,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = Event;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a row of an event")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Event, A::Error> {
                let missing = |column| serde::de::Error::invalid_length(column, &"more columns");
                let uuid = row.next_element()?.ok_or_else(|| missing(0))?;
                let name = row.next_element()?.ok_or_else(|| missing(1))?;
                let timestamp = row.next_element()?.ok_or_else(|| missing(2))?;
                let distinct_id = row.next_element()?.ok_or_else(|| missing(3))?;
                let mut properties = Vec::new();
                while let Some(json) = row.next_element::<Option<String>>()? {
                    properties.push(raw_value(json.unwrap_or_default()));
                }
                Ok(Event {
                    uuid,
                    name,
                    timestamp,
                    distinct_id,
                    properties,
                })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

/// A value that PostHog sends as JSON in a text, which is empty where there is none.
pub(super) fn raw_value(json: String) -> Option<Untrusted<Value>> {
    let json = Some(json).filter(|json| !json.is_empty())?;
    Some(Properties::value(json.as_str().into()))
}

impl EventsQuery {
    /// Appends the conditions to a text.
    pub(super) fn conditions(&self, query: HogQl) -> HogQl {
        let query = match &self.source {
            EventSource::Person(uuid) => query
                .push(" from events where person_id = {pid}")
                .value("pid", uuid.to_string()),
            EventSource::DistinctId(id) => query
                .push(" from events where distinct_id in {ids}")
                .value("ids", vec![id.clone()]),
        };
        let query = query
            .push(" and timestamp >= toDateTime({from}) and timestamp < toDateTime({to})")
            .value("from", self.range.from())
            .value("to", self.range.until());
        if self.names.is_empty() {
            return query;
        }
        query
            .push(" and event in {names}")
            .value("names", self.names.clone())
    }

    /// The conditions, and for a page after another the one that goes on behind its last row, in the order of the page.
    pub(super) fn conditions_after(
        &self,
        query: HogQl,
        after: Option<&EventCursor>,
        goes_on: &'static str,
    ) -> HogQl {
        let query = self.conditions(query);
        let Some(after) = after else {
            return query;
        };
        query
            .push(goes_on)
            .value("ts", after.timestamp.clone())
            .value("u", after.uuid.to_string())
    }

    fn page(&self, select: &[String], limit: u32, after: Option<&EventCursor>) -> HogQl {
        let mut query = HogQl::new("select uuid, event, timestamp, distinct_id");
        for (number, key) in select.iter().enumerate() {
            query = query.property_column(number + 1, key);
        }
        let older = " and (timestamp, toString(uuid)) < (toDateTime({ts}), {u})";
        self.conditions_after(query, after, older)
            .push(" order by timestamp desc, toString(uuid) desc limit {n}")
            .value("n", limit.saturating_add(1))
    }

    fn counts(&self, limit: u32) -> HogQl {
        let query = HogQl::new(
            "select event, count() as n, min(timestamp) as first, max(timestamp) as last",
        );
        self.conditions(query)
            .push(" group by event order by n desc, event limit {n}")
            .value("n", limit.saturating_add(1))
    }
}

impl Client {
    /// A page of events with the selected properties.
    pub async fn events(
        &self,
        query: &EventsQuery,
        select: &[String],
        limit: u32,
        after: Option<&EventCursor>,
    ) -> Result<EventPage, Error> {
        let node = query.page(select, limit, after).node();
        let mut response = self.query::<Event>(node).await?;
        let more = response.cut_to(limit);
        let last = response.results.last().filter(|_| more);
        Ok(EventPage {
            next: last.and_then(EventCursor::after),
            events: response.results,
        })
    }

    /// How many events there are of each name.
    pub async fn event_counts(
        &self,
        query: &EventsQuery,
        limit: u32,
    ) -> Result<EventCounts, Error> {
        type Row = (Untrusted<String>, u64, Untrusted<String>, Untrusted<String>);
        let node = query.counts(limit).node();
        let mut response = self.query::<Row>(node).await?;
        let has_more = response.cut_to(limit);
        let rows = response.results.into_iter();
        Ok(EventCounts {
            counts: rows
                .map(|(name, count, first, last)| EventCount {
                    name,
                    count,
                    first,
                    last,
                })
                .collect(),
            has_more,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::json;

    use super::*;

    fn query(source: EventSource, names: &[&str]) -> EventsQuery {
        EventsQuery {
            source,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            range: TimeRange::resolve(Some("2026-10-01"), Some("2026-11-30"), 1, Utc::now())
                .unwrap(),
        }
    }

    #[test]
    fn page_goes_on_after_the_last_row() {
        let person = Uuid::from_u128(1);
        let after: EventCursor = "2026-11-16T12:01:00.123456Z_01910000-0000-7000-8000-000000000007"
            .parse()
            .unwrap();
        let select = ["$current_url".to_owned(), "a'b".to_owned()];
        let query = query(EventSource::Person(person), &["$pageview"]);
        assert_eq!(
            query.page(&select, 2, Some(&after)).node(),
            json!({
                "kind": "HogQLQuery",
                "query": "select uuid, event, timestamp, distinct_id, JSONExtractRaw(properties, {k1}) as v1, \
                          JSONExtractRaw(properties, {k2}) as v2 from events where person_id = {pid} \
                          and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}) and event in {names} \
                          and (timestamp, toString(uuid)) < (toDateTime({ts}), {u}) \
                          order by timestamp desc, toString(uuid) desc limit {n}",
                "values": {
                    "pid": person.to_string(), "from": "2026-10-01T00:00:00Z", "to": "2026-12-01T00:00:00Z",
                    "names": ["$pageview"], "k1": "$current_url", "k2": "a'b", "n": 3,
                    "ts": "2026-11-16T12:01:00.123456Z", "u": "01910000-0000-7000-8000-000000000007",
                },
            })
        );
    }

    #[test]
    fn counts_are_by_name() {
        let query = query(EventSource::DistinctId("ada".to_owned()), &[]);
        assert_eq!(
            query.counts(100).node(),
            json!({
                "kind": "HogQLQuery",
                "query": "select event, count() as n, min(timestamp) as first, max(timestamp) as last from events \
                          where distinct_id in {ids} and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}) \
                          group by event order by n desc, event limit {n}",
                "values": {
                    "ids": ["ada"], "from": "2026-10-01T00:00:00Z", "to": "2026-12-01T00:00:00Z", "n": 101,
                },
            })
        );
    }

    #[test]
    fn only_cursors_of_earlier_pages_are_accepted() {
        for text in [
            "",
            "2026-11-16T12:01:00Z",
            "soon_01910000-0000-7000-8000-000000000007",
            "2026-11-16T12:01:00Z_x",
            "-7d_01910000-0000-7000-8000-000000000007",
        ] {
            assert!(text.parse::<EventCursor>().is_err(), "{text}");
        }
        let text = "2026-11-16T12:01:00-05:00_01910000-0000-7000-8000-000000000007";
        assert_eq!(text.parse::<EventCursor>().unwrap().to_string(), text);
    }

    #[test]
    fn rows_are_read_by_position() {
        let row = json!([
            "01910000-0000-7000-8000-000000000007",
            "purchase",
            "2026-11-16T12:01:00Z",
            "ada",
            "12.50",
            "",
            null
        ]);
        let event: Event = serde_json::from_value(row).unwrap();
        let values = event.properties.into_iter();
        let values: Vec<Option<Value>> = values
            .map(|value| value.map(Untrusted::expose_untrusted_owned))
            .collect();
        // Numbers keep their digits.
        let amount: Value = serde_json::from_str("12.50").unwrap();
        assert_eq!(values, [Some(amount), None, None]);
    }
}
