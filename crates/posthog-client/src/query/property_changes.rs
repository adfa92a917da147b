//! When properties of a person changed: read from the properties that each event carries as the person had them when it
//! was ingested, and from what events asked to set.
//!
//! Never from `person.properties` of an event, which are today's in many projects.

use serde_json::Value;
use uuid::Uuid;

use super::events::raw_value;
use super::hogql::HogQl;
use super::send::is_closed;
use super::time_range::TimeRange;
use crate::client::Client;
use crate::error::Error;
use crate::history::PropertiesTimeline;
use crate::insights::{InsightArguments, unless_closed};
use crate::person::PersonId;
use crate::properties::Properties;
use crate::untrusted::Untrusted;

/// Names of properties at most, where all are asked for.
const MAX_KEYS: u32 = 500;

/// Which changes.
#[derive(Debug, Clone)]
pub struct PropertyChangesQuery {
    /// Whose.
    pub person: Uuid,
    /// Of which properties; of all if empty.
    pub keys: Vec<String>,
    /// When.
    pub range: TimeRange,
    /// Rows that PostHog computes at most.
    pub limit: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub struct PropertyChanges {
    /// Oldest first. Each property begins with its value at the first event of the range.
    pub changes: Vec<PropertyChange>,
    /// Whether there are more, or more properties than could be looked at.
    pub is_truncated: bool,
}

/// One change, or the first value that is known.
#[derive(Debug)]
pub struct PropertyChange {
    /// The event that shows it, ISO 8601.
    pub timestamp: Untrusted<String>,
    /// The event's name, if it is known.
    pub event: Option<Untrusted<String>>,
    /// The property.
    pub key: Untrusted<String>,
    /// The value before. `None` if the property was not set.
    pub before: Option<Untrusted<Value>>,
    /// The value from then on. `None` if the property was removed.
    pub after: Option<Untrusted<Value>>,
    /// How it is known.
    pub source: ChangeSource,
}

/// How a change is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeSource {
    /// The value at the first event of the range. It may be older.
    First,
    /// The event set or removed it.
    Event,
    /// The event is the first that carries it: it changed at an unknown moment after the event before, at this time.
    Between(Option<Untrusted<String>>),
    /// The event asked for it, and no event carries it yet.
    Requested,
}

/// One row: time, event, property, carried value and the one before, the time of the event before, the number of the
/// event; what the event set, set once and removed.
type Row = (
    Untrusted<String>,
    Untrusted<String>,
    Untrusted<String>,
    String,
    String,
    Untrusted<String>,
    u64,
    String,
    String,
    u8,
);

impl PropertyChangesQuery {
    fn query(&self, keys: Vec<String>) -> HogQl {
        HogQl::new(
            "select timestamp, event, k, v, prev, since, rn, set_v, once_v, unset from (\
             select timestamp, uuid, event, k, v, set_v, once_v, unset, \
             lagInFrame(v) over (partition by k order by timestamp asc, toString(uuid) asc \
             rows between unbounded preceding and current row) as prev, \
             lagInFrame(timestamp) over (partition by k order by timestamp asc, toString(uuid) asc \
             rows between unbounded preceding and current row) as since, \
             row_number() over (partition by k order by timestamp asc, toString(uuid) asc) as rn \
             from (select timestamp, uuid, event, arrayJoin({keys}) as k, JSONExtractRaw(poe.properties, k) as v, \
             JSONExtractRaw(properties,'$set',k) as set_v, JSONExtractRaw(properties,'$set_once',k) as once_v, \
             has(JSONExtract(ifNull(JSONExtractRaw(properties,'$unset'),'[]'),'Array(String)'),k) as unset \
             from events where person_id = {pid} and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}))) \
             where rn = 1 or v != prev or (set_v != '' and set_v != prev) or (once_v != '' and prev = '') \
             or (unset and prev != '') order by timestamp, toString(uuid), k limit {n}",
        )
        .value("keys", keys)
        .value("pid", self.person.to_string())
        .value("from", self.range.from())
        .value("to", self.range.until())
        .value("n", self.limit.saturating_add(1))
    }

    fn names(&self) -> HogQl {
        HogQl::new(
            "select arrayJoin(JSONExtractKeys(poe.properties)) as k, count() as n from events \
             where person_id = {pid} and timestamp >= toDateTime({from}) and timestamp < toDateTime({to}) \
             group by k order by n desc, k limit {n}",
        )
        .value("pid", self.person.to_string())
        .value("from", self.range.from())
        .value("to", self.range.until())
        .value("n", MAX_KEYS + 1)
    }
}

impl Client {
    /// When properties of a person changed: by the query API, else by `persons/{id}/properties_timeline/` with these
    /// arguments, which name the properties.
    ///
    /// # Errors
    /// Where neither is open to the key, the error of the query, which names the scope that opens it.
    pub async fn property_history(
        &self,
        query: &PropertyChangesQuery,
        arguments: &InsightArguments,
    ) -> Result<PropertyChanges, Error> {
        match self.property_changes(query).await {
            Err(closed) if is_closed(&closed) => {
                let id = PersonId::from(query.person);
                let timeline = self.properties_timeline(&id, arguments).await;
                timeline
                    .map(|timeline| changes_between_points(&timeline))
                    .map_err(|error| unless_closed(error, closed))
            }
            result => result,
        }
    }

    /// When properties of a person changed.
    async fn property_changes(
        &self,
        query: &PropertyChangesQuery,
    ) -> Result<PropertyChanges, Error> {
        let (mut keys, mut is_truncated) = (query.keys.clone(), false);
        if keys.is_empty() {
            let mut names = self.query::<(String, u64)>(query.names().node()).await?;
            is_truncated = names.cut_to(MAX_KEYS);
            keys = names.results.into_iter().map(|(key, _)| key).collect();
        }
        if keys.is_empty() {
            return Ok(PropertyChanges::default());
        }
        let node = query.query(keys).node();
        let mut response = self.query::<Row>(node).await?;
        is_truncated |= response.cut_to(query.limit);
        Ok(PropertyChanges {
            changes: response.results.into_iter().filter_map(change).collect(),
            is_truncated,
        })
    }
}

/// What a row says, if it says anything: that a property is not set at the first event is no change.
fn change(row: Row) -> Option<PropertyChange> {
    let (timestamp, event, key, carried, before, since, number, set, once, unset) = row;
    let removed = unset == 1;
    // What the event asked for, where that has an effect.
    let requested = if removed {
        Some(String::new())
    } else if !set.is_empty() {
        Some(set)
    } else {
        Some(once).filter(|once| !once.is_empty() && before.is_empty())
    };
    let carries_request = requested.as_ref() == Some(&carried);
    let is_first = number == 1;
    let source = match &requested {
        Some(_) if carries_request => ChangeSource::Event,
        _ if is_first => ChangeSource::First,
        _ if carried != before => ChangeSource::Between(Some(since)),
        _ => ChangeSource::Requested,
    };
    let after = match (&source, requested) {
        (ChangeSource::Requested, Some(requested)) => requested,
        _ => carried,
    };
    if after == before && (after.is_empty() || !is_first) {
        return None;
    }
    Some(PropertyChange {
        timestamp,
        event: Some(event),
        key,
        before: raw_value(before),
        after: raw_value(after),
        source,
    })
}

/// The changes that the points of a timeline show.
fn changes_between_points(timeline: &PropertiesTimeline) -> PropertyChanges {
    let value = |properties: &Properties, key: &Untrusted<String>| {
        let mut entries = properties.entries();
        let (_, json) = entries.find(|(name, _)| *name == **key.expose_untrusted())?;
        Some(Properties::value(json))
    };
    let none = Properties::default();
    let mut before = None;
    let mut changes = Vec::new();
    for point in &timeline.points {
        for key in &timeline.crucial_property_keys {
            let old = value(before.unwrap_or(&none), key);
            let new = value(&point.properties, key);
            if old != new {
                changes.push(PropertyChange {
                    timestamp: point.timestamp.clone(),
                    event: None,
                    key: key.clone(),
                    before: old,
                    after: new,
                    source: match before {
                        None => ChangeSource::First,
                        Some(_) => ChangeSource::Between(None),
                    },
                });
            }
        }
        before = Some(&point.properties);
    }
    PropertyChanges {
        changes,
        is_truncated: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: (&str, &str, u64, &str, &str, u8)) -> Option<(ChangeSource, String, String)> {
        let (carried, before, number, set, once, unset) = row;
        let text = |text: &str| Untrusted::from(text.to_owned());
        let change = change((
            text("2026-11-16T12:00:00Z"),
            text("purchase"),
            text("plan"),
            carried.to_owned(),
            before.to_owned(),
            text("2026-11-15T12:00:00Z"),
            number,
            set.to_owned(),
            once.to_owned(),
            unset,
        ))?;
        let value = |value: Option<Untrusted<Value>>| {
            value.map_or_else(String::new, |value| value.expose_untrusted().to_string())
        };
        Some((change.source, value(change.before), value(change.after)))
    }

    #[test]
    fn rows_say_how_a_change_is_known() {
        const FREE: &str = "\"free\"";
        const PRO: &str = "\"pro\"";
        let expect =
            |source, before: &str, after: &str| Some((source, before.to_owned(), after.to_owned()));
        let between = || ChangeSource::Between(Some("2026-11-15T12:00:00Z".to_owned().into()));
        for (row, expected) in [
            (
                (FREE, "", 1, "", "", 0),
                expect(ChangeSource::First, "", FREE),
            ),
            (
                (FREE, "", 1, FREE, "", 0),
                expect(ChangeSource::Event, "", FREE),
            ),
            (("", "", 1, "", "", 0), None),
            (
                (PRO, FREE, 5, PRO, "", 0),
                expect(ChangeSource::Event, FREE, PRO),
            ),
            ((PRO, FREE, 5, "", "", 0), expect(between(), FREE, PRO)),
            ((PRO, FREE, 5, FREE, "", 0), expect(between(), FREE, PRO)),
            (
                (FREE, FREE, 5, PRO, "", 0),
                expect(ChangeSource::Requested, FREE, PRO),
            ),
            (
                ("", FREE, 5, "", "", 1),
                expect(ChangeSource::Event, FREE, ""),
            ),
            (
                (FREE, FREE, 5, "", "", 1),
                expect(ChangeSource::Requested, FREE, ""),
            ),
            (
                (FREE, "", 5, "", FREE, 0),
                expect(ChangeSource::Event, "", FREE),
            ),
            // `$set_once` has no effect on a property that is set.
            ((FREE, FREE, 5, "", PRO, 0), None),
        ] {
            assert_eq!(read(row), expected, "{row:?}");
        }
    }
}
