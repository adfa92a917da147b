//! All events of a person in the order of their times, with all properties, page after page.
//!
//! A page goes on after the last row of the one before, so that events that arrive meanwhile shift nothing, and ends before
//! a moment that the range fixes.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::events::{EventCursor, EventsQuery};
use super::hogql::HogQl;
use crate::client::Client;
use crate::date::moment;
use crate::error::{Error, ErrorKind};
use crate::untrusted::Untrusted;

/// How many events there are.
#[derive(Debug)]
pub struct EventTotal {
    /// The number of events.
    pub count: u64,
    /// The time of the first, if there is one.
    pub first: Option<DateTime<Utc>>,
    /// When they were counted, by PostHog's clock.
    pub counted_at: Option<DateTime<Utc>>,
}

/// One event with all of its properties.
#[derive(Debug, Deserialize)]
pub struct LoggedEvent {
    /// The event's UUID.
    pub uuid: Uuid,
    /// The name.
    pub name: Untrusted<String>,
    /// ISO 8601.
    pub timestamp: Untrusted<String>,
    /// The distinct id that it was sent with.
    pub distinct_id: Untrusted<String>,
    /// The properties as JSON.
    pub properties: Untrusted<String>,
}

impl LoggedEvent {
    /// The size of its texts, in bytes.
    fn bytes(&self) -> usize {
        let texts = [
            &self.name,
            &self.timestamp,
            &self.distinct_id,
            &self.properties,
        ];
        texts.iter().map(|text| text.expose_untrusted().len()).sum()
    }

    /// What events are sorted by.
    fn place(&self) -> Result<(DateTime<Utc>, Uuid), Error> {
        place(self.timestamp.expose_untrusted(), self.uuid)
    }
}

fn place(timestamp: &str, uuid: Uuid) -> Result<(DateTime<Utc>, Uuid), Error> {
    let at = moment(timestamp).ok_or_else(|| {
        Error::new(ErrorKind::InvalidResponse).with_reason("an event has no valid time")
    })?;
    Ok((at, uuid))
}

/// A page of events.
#[derive(Debug)]
pub struct EventLogPage {
    /// Oldest first, each after the cursor of the page.
    pub events: Vec<LoggedEvent>,
    /// Rows that PostHog sent twice, as it may while it stores them.
    pub repeated: u64,
    /// Where the next page begins: after the last event.
    pub next: Option<EventCursor>,
    /// Whether PostHog sent an event beyond the page.
    pub has_more: bool,
    /// The size of the events, in bytes.
    pub bytes: usize,
}

impl EventsQuery {
    fn total(&self) -> HogQl {
        let query = HogQl::new("select count() as n, min(timestamp) as first");
        self.conditions(query).push(" limit {n}").value("n", 1)
    }

    fn log_page(&self, limit: u32, after: Option<&EventCursor>) -> HogQl {
        let query = HogQl::new("select uuid, event, timestamp, distinct_id, properties");
        let newer = " and (timestamp, toString(uuid)) > (toDateTime({ts}), {u})";
        self.conditions_after(query, after, newer)
            .push(" order by timestamp asc, toString(uuid) asc limit {n}")
            .value("n", limit.saturating_add(1))
    }
}

impl Client {
    /// How many events there are, when the first was, and the moment of the count.
    pub async fn event_total(&self, query: &EventsQuery) -> Result<EventTotal, Error> {
        let response = self
            .query::<(u64, Option<String>)>(query.total().node())
            .await?;
        let row = response.results.first();
        let count = row.map_or(0, |(count, _)| *count);
        let first = row.and_then(|(_, first)| moment(first.as_ref()?));
        Ok(EventTotal {
            count,
            first: first.filter(|_| count > 0),
            counted_at: response.computed_at.as_deref().and_then(moment),
        })
    }

    /// A page of events, oldest first. A larger response than `size_limit`, in bytes, is rejected.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidResponse`] where the rows are not in order, or not after the cursor: a page of something else
    /// would leave a gap or repeat events.
    pub async fn event_log(
        &self,
        query: &EventsQuery,
        limit: u32,
        after: Option<&EventCursor>,
        size_limit: usize,
    ) -> Result<EventLogPage, Error> {
        let mut last = after
            .map(|after| place(&after.timestamp, after.uuid))
            .transpose()?;
        // The table is sorted by time: what is before the cursor is not read.
        let range = last.and_then(|(at, _)| query.range.since(at));
        let query = EventsQuery {
            range: range.unwrap_or(query.range),
            ..query.clone()
        };
        let node = query.log_page(limit, after).node();
        let response = self.query_within::<LoggedEvent>(node, Some(size_limit));
        let mut response = response.await?;
        let has_more = response.cut_to(limit);
        let sent = response.results.len() as u64;
        let mut events: Vec<LoggedEvent> = Vec::with_capacity(response.results.len());
        for event in response.results {
            let place = event.place()?;
            match last.replace(place) {
                Some(before) if before > place => {
                    return Err(Error::new(ErrorKind::InvalidResponse)
                        .with_reason("its events are not in the requested order"));
                }
                Some(before) if before == place => {}
                _ => events.push(event),
            }
        }
        Ok(EventLogPage {
            repeated: sent - events.len() as u64,
            next: events.last().map(|event| EventCursor {
                timestamp: event.timestamp.expose_untrusted().clone(),
                uuid: event.uuid,
            }),
            has_more,
            bytes: events.iter().map(LoggedEvent::bytes).sum(),
            events,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::events::EventSource;
    use super::super::time_range::TimeRange;
    use super::*;

    #[test]
    fn pages_go_on_in_the_order_of_time() {
        let person = Uuid::from_u128(1);
        let query = EventsQuery {
            source: EventSource::Person(person),
            names: Vec::new(),
            range: TimeRange::resolve(Some("2026-10-01"), Some("2026-11-30"), 1, Utc::now())
                .unwrap(),
        };
        let uuid = Uuid::from_u128(7);
        let timestamp = "2026-11-16T12:01:00.123456Z".to_owned();
        let after = EventCursor { timestamp, uuid };
        assert_eq!(
            query.log_page(2, Some(&after)).node(),
            json!({
                "kind": "HogQLQuery",
                "query": "select uuid, event, timestamp, distinct_id, properties from events where person_id = {pid} \
                          and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}) \
                          and (timestamp, toString(uuid)) > (toDateTime({ts}), {u}) \
                          order by timestamp asc, toString(uuid) asc limit {n}",
                "values": {
                    "pid": person.to_string(), "from": "2026-10-01T00:00:00Z", "to": "2026-12-01T00:00:00Z",
                    "ts": "2026-11-16T12:01:00.123456Z", "u": uuid.to_string(), "n": 3,
                },
            })
        );
        assert_eq!(
            query.total().node()["query"],
            "select count() as n, min(timestamp) as first from events where person_id = {pid} \
             and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}) limit {n}"
        );
    }
}
