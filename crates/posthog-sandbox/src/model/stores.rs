//! The two stores in which PostHog keeps persons (Persons API, Deletion and reuse). The primary store is authoritative
//! for one person; lists, searches and insights read the analytics store. There the higher version wins, which is why a
//! person that reuses a deleted distinct id stays hidden.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::dates::Time;
use super::event::Event;
use super::properties::Properties;

/// What a deletion adds to a version, so that its tombstone outranks writes that arrive late.
pub(crate) const TOMBSTONE_LEAD: u64 = 100;

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) uuid: Uuid,
    pub(crate) created_at: Time,
    pub(crate) last_seen_at: Option<Time>,
    pub(crate) is_identified: bool,
    pub(crate) properties: Properties,
    /// In storage order; property writes are events of the first one.
    pub(crate) distinct_ids: Vec<Arc<str>>,
    pub(crate) version: u64,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    person: u64,
    version: u64,
}

#[derive(Default)]
pub(crate) struct PrimaryStore {
    persons: BTreeMap<u64, Person>,
    by_uuid: HashMap<Uuid, u64>,
    owners: HashMap<Arc<str>, Owner>,
}

impl PrimaryStore {
    pub(crate) fn get(&self, id: u64) -> Option<&Person> {
        self.persons.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Person> {
        self.persons.get_mut(&id)
    }

    pub(crate) fn by_uuid(&self, uuid: Uuid) -> Option<&Person> {
        self.persons.get(self.by_uuid.get(&uuid)?)
    }

    pub(crate) fn by_distinct_id(&self, distinct_id: &str) -> Option<&Person> {
        self.persons.get(&self.owners.get(distinct_id)?.person)
    }

    pub(crate) fn version_of(&self, distinct_id: &str) -> Option<u64> {
        Some(self.owners.get(distinct_id)?.version)
    }

    pub(crate) fn insert(&mut self, person: Person) {
        self.by_uuid.insert(person.uuid, person.id);
        for distinct_id in &person.distinct_ids {
            let (person, version) = (person.id, 0);
            let owner = Owner { person, version };
            self.owners.insert(Arc::clone(distinct_id), owner);
        }
        self.persons.insert(person.id, person);
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Person> {
        let person = self.persons.remove(&id)?;
        self.by_uuid.remove(&person.uuid);
        for distinct_id in &person.distinct_ids {
            self.owners.remove(distinct_id);
        }
        Some(person)
    }

    /// Moves a distinct id to another person, under a higher version.
    pub(crate) fn reassign(&mut self, distinct_id: &str, to: u64, version: u64) {
        let Some((known, owner)) = self.owners.remove_entry(distinct_id) else {
            return;
        };
        if let Some(person) = self.persons.get_mut(&owner.person) {
            person.distinct_ids.retain(|id| **id != *known);
        }
        if let Some(person) = self.persons.get_mut(&to) {
            person.distinct_ids.push(Arc::clone(&known));
        }
        let owner = Owner {
            person: to,
            version,
        };
        self.owners.insert(known, owner);
    }

    /// Gives a person a distinct id that nobody has; the person's UUID.
    pub(crate) fn attach(&mut self, distinct_id: &Arc<str>, to: u64) -> Option<Uuid> {
        let person = self.persons.get_mut(&to)?;
        person.distinct_ids.push(Arc::clone(distinct_id));
        let owner = Owner {
            person: to,
            version: 0,
        };
        self.owners.insert(Arc::clone(distinct_id), owner);
        Some(person.uuid)
    }

    /// Raises the version of a distinct id without moving it.
    pub(crate) fn bump_version(&mut self, distinct_id: &str, version: u64) {
        if let Some(owner) = self.owners.get_mut(distinct_id) {
            owner.version = version;
        }
    }
}

/// A person in the analytics store.
#[derive(Clone, Debug)]
pub(crate) struct AnalyticsRow {
    pub(crate) version: u64,
    pub(crate) deleted: bool,
    pub(crate) created_at: Time,
    pub(crate) properties: Properties,
}

/// The person of a distinct id in the analytics store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DistinctIdMapping {
    pub(crate) person: Uuid,
    version: u64,
    deleted: bool,
}

#[derive(Default)]
pub(crate) struct AnalyticsStore {
    rows: HashMap<Uuid, AnalyticsRow>,
    /// The active rows, newest first and then by descending UUID, as ClickHouse compares them: the order of the list query.
    order: BTreeSet<(Reverse<Time>, Reverse<u128>)>,
    mappings: HashMap<Arc<str>, DistinctIdMapping>,
}

impl AnalyticsStore {
    pub(crate) fn active(&self, uuid: Uuid) -> Option<&AnalyticsRow> {
        self.rows.get(&uuid).filter(|row| !row.deleted)
    }

    pub(crate) fn version_of(&self, uuid: Uuid) -> u64 {
        self.rows.get(&uuid).map_or(0, |row| row.version)
    }

    pub(crate) fn mapping_version_of(&self, distinct_id: &str) -> u64 {
        self.mappings.get(distinct_id).map_or(0, |m| m.version)
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = (Uuid, &AnalyticsRow)> {
        self.order.iter().filter_map(|(_, Reverse(place))| {
            let uuid = Uuid::from_u128(place.rotate_left(64));
            Some((uuid, self.rows.get(&uuid)?))
        })
    }

    /// The number of active rows.
    pub(crate) fn count(&self) -> usize {
        self.order.len()
    }

    /// The person that an event belongs to now. Events follow their distinct id; once the id is deleted, they keep the
    /// deleted person.
    pub(crate) fn actor(&self, event: &Event) -> Uuid {
        let mapping = self.mappings.get(event.distinct_id.as_str());
        let active = mapping.filter(|mapping| !mapping.deleted);
        active.map_or(event.person, |mapping| mapping.person)
    }

    /// Every active distinct id with its person, in no particular order.
    pub(crate) fn distinct_ids(&self) -> impl Iterator<Item = (&str, Uuid)> {
        let active = self.mappings.iter().filter(|(_, mapping)| !mapping.deleted);
        active.map(|(distinct_id, mapping)| (distinct_id.as_ref(), mapping.person))
    }

    /// Stores a row unless a higher version is there already.
    pub(crate) fn write(&mut self, uuid: Uuid, row: AnalyticsRow) {
        let known = self.rows.get(&uuid);
        if known.is_some_and(|known| known.version > row.version) {
            return;
        }
        if let Some(known) = known {
            self.order
                .remove(&(Reverse(known.created_at), Reverse(place(uuid))));
        }
        if !row.deleted {
            let place = Reverse(place(uuid));
            self.order.insert((Reverse(row.created_at), place));
        }
        self.rows.insert(uuid, row);
    }

    /// Stores a mapping unless a higher version is there already.
    pub(crate) fn map(&mut self, distinct_id: &Arc<str>, person: Uuid, version: u64) {
        self.write_mapping(distinct_id, person, version, false);
    }

    pub(crate) fn unmap(&mut self, distinct_id: &Arc<str>, person: Uuid, version: u64) {
        self.write_mapping(distinct_id, person, version, true);
    }

    fn write_mapping(&mut self, id: &Arc<str>, person: Uuid, version: u64, deleted: bool) {
        if self.mapping_version_of(id) > version {
            return;
        }
        let mapping = DistinctIdMapping {
            person,
            version,
            deleted,
        };
        self.mappings.insert(Arc::clone(id), mapping);
    }
}

/// ClickHouse compares the second half of a UUID first.
fn place(uuid: Uuid) -> u128 {
    uuid.as_u128().rotate_left(64)
}
