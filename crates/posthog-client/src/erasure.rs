//! What PostHog still holds of persons that were to be erased: their profiles, the queued deletions of their events, and
//! their events.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::client::Client;
use crate::date::moment;
use crate::error::Error;
use crate::history::{DeletionStatus, DeletionStatusQuery};
use crate::query::HogQl;
use crate::untrusted::Untrusted;

/// Rows of event deletions in one page.
const PAGE: u32 = 1000;
/// Pages of event deletions that are read at most.
const MAX_PAGES: usize = 50;
/// Persons whose event deletions are read by a request each, at most.
const MAX_SINGLE_LOOKUPS: usize = 100;
/// Up to this number of persons no page is read.
const FEW: usize = 5;
const CONCURRENCY: usize = 4;
/// PostHog sorts events by day and wants a beginning. No event is older.
const BEGINNING: &str = "1970-01-01T00:00:00Z";

/// What PostHog holds of some persons.
#[derive(Debug)]
pub struct ErasureFacts {
    /// When the persons that exist were created, where PostHog says it.
    pub profiles: HashMap<Uuid, Option<DateTime<Utc>>>,
    /// The deletions of events.
    pub deletions: Result<EventDeletions, Error>,
    /// The events that a query finds. Persons without events are missing.
    pub events: Result<HashMap<Uuid, RemainingEvents>, Error>,
}

/// The deletions of the events of some persons.
#[derive(Debug, Default)]
pub struct EventDeletions {
    /// At most one for each person: a repeated request changes nothing.
    pub rows: HashMap<Uuid, EventDeletion>,
    /// Persons that were not looked up, because PostHog lists too many deletions.
    pub unread: HashSet<Uuid>,
}

/// The deletion of a person's events up to the moment of the request.
#[derive(Debug, Clone, Copy)]
pub struct EventDeletion {
    /// When it was requested first.
    pub queued_at: DateTime<Utc>,
    /// When PostHog verified that the events are deleted.
    pub verified_at: Option<DateTime<Utc>>,
}

/// Events of a person.
#[derive(Debug, Clone, Copy)]
pub struct RemainingEvents {
    /// How many there are.
    pub count: u64,
    /// When the first of them happened.
    pub first: DateTime<Utc>,
}

impl Client {
    /// Whether persons exist, whether the deletion of their events is queued or verified, and whether events remain.
    ///
    /// # Errors
    /// When the persons cannot be read. A failure of the other two reads is part of the facts.
    pub async fn erasure_facts(&self, uuids: &[Uuid]) -> Result<ErasureFacts, Error> {
        let (persons, deletions, events) = tokio::join!(
            self.persons_by_uuids(uuids),
            self.event_deletions(uuids),
            self.remaining_events(uuids)
        );
        let created = |text: Untrusted<String>| moment(text.expose_untrusted());
        let profiles = persons?
            .into_iter()
            .map(|(uuid, person)| (uuid, person.created_at.and_then(created)));
        Ok(ErasureFacts {
            profiles: profiles.collect(),
            deletions,
            events,
        })
    }

    /// By pages, the newest first, as long as that takes fewer requests than one for each person.
    async fn event_deletions(&self, uuids: &[Uuid]) -> Result<EventDeletions, Error> {
        let mut found = EventDeletions {
            unread: uuids.iter().copied().collect(),
            ..EventDeletions::default()
        };
        let mut offset = 0;
        let mut pages = 0;
        while found.unread.len() > FEW && pages < MAX_PAGES {
            let query = DeletionStatusQuery {
                person_uuid: None,
                status: None,
                limit: PAGE,
                offset,
            };
            let page = self.deletion_status(&query).await?;
            for row in &page.results {
                found.add(row);
            }
            let read = u32::try_from(page.results.len()).unwrap_or(PAGE);
            if !page.has_next() || read == 0 {
                found.unread.clear();
                return Ok(found);
            }
            pages += 1;
            offset = offset.saturating_add(read);
            let left = page.count.saturating_sub(offset.into());
            if found.unread.len() as u64 <= left.div_ceil(read.into()) {
                break;
            }
        }
        let singles: Vec<Uuid> = found.unread.iter().copied().collect();
        let mut lookups = Vec::new();
        for uuid in singles.into_iter().take(MAX_SINGLE_LOOKUPS) {
            lookups.push(async move {
                let query = DeletionStatusQuery {
                    person_uuid: Some(uuid),
                    status: None,
                    limit: 1,
                    offset: 0,
                };
                let page = self.deletion_status(&query).await?;
                Ok::<_, Error>((uuid, page.results.into_iter().next()))
            });
        }
        let lookups = stream::iter(lookups).buffer_unordered(CONCURRENCY);
        for (uuid, row) in lookups.try_collect::<Vec<_>>().await? {
            if let Some(row) = row {
                found.add(&row);
            }
            found.unread.remove(&uuid);
        }
        Ok(found)
    }

    /// One query for all.
    async fn remaining_events(
        &self,
        uuids: &[Uuid],
    ) -> Result<HashMap<Uuid, RemainingEvents>, Error> {
        let ids: Vec<String> = uuids.iter().map(Uuid::to_string).collect();
        let query = HogQl::new(
            "select person_id, count() as n, min(timestamp) as first from events \
             where person_id in {ids} and timestamp >= toDateTime({from}) group by person_id limit {n}",
        )
        .value("ids", ids)
        .value("from", BEGINNING)
        .value("n", uuids.len() + 1);
        let response = self
            .query::<(Uuid, u64, Untrusted<String>)>(query.node())
            .await?;
        let rows = response.results.into_iter();
        Ok(rows
            .map(|(person, count, first)| {
                // Without a time they count as old, which no deletion of later ones explains.
                let first = moment(first.expose_untrusted()).unwrap_or_default();
                (person, RemainingEvents { count, first })
            })
            .collect())
    }
}

impl EventDeletions {
    fn add(&mut self, row: &DeletionStatus) {
        let Ok(person) = Uuid::try_parse(row.person_uuid.expose_untrusted()) else {
            return;
        };
        let Some(queued_at) = moment(row.created_at.expose_untrusted()) else {
            return;
        };
        if !self.unread.remove(&person) {
            return;
        }
        let is_completed = *row.status.expose_untrusted() == "completed";
        let verified_at = row.delete_verified_at.as_ref();
        let verified_at = verified_at.and_then(|time| moment(time.expose_untrusted()));
        let row = EventDeletion {
            queued_at,
            verified_at: verified_at.filter(|_| is_completed),
        };
        self.rows.insert(person, row);
    }
}
