//! The two places where PostHog keeps persons (contract section 8). The primary store is the truth
//! about one person; the analytics store is what lists, searches and insights read. Versions decide
//! who wins in the analytics store, and that is where the surprises after a deletion come from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::dates::Time;
use super::properties::Properties;
use super::world::Event;

/// What a deletion adds to a version, so that its tombstone outranks whatever still comes in late.
pub(super) const TOMBSTONE_LEAD: u64 = 100;

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) uuid: Uuid,
    pub(super) created_at: Time,
    pub(super) last_seen_at: Option<Time>,
    pub(super) is_identified: bool,
    pub(super) properties: Properties,
    /// In storage order; the first one is the one that writes are sent for.
    pub(super) distinct_ids: Vec<Arc<str>>,
    pub(super) version: u64,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    person: u64,
    version: u64,
}

#[derive(Default)]
pub(super) struct Primary {
    persons: BTreeMap<u64, Person>,
    by_uuid: HashMap<Uuid, u64>,
    owners: HashMap<Arc<str>, Owner>,
}

impl Primary {
    pub(super) fn get(&self, id: u64) -> Option<&Person> {
        self.persons.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Person> {
        self.persons.get_mut(&id)
    }

    pub(super) fn by_uuid(&self, uuid: Uuid) -> Option<&Person> {
        self.persons.get(self.by_uuid.get(&uuid)?)
    }

    pub(super) fn by_distinct_id(&self, distinct_id: &str) -> Option<&Person> {
        self.persons.get(&self.owners.get(distinct_id)?.person)
    }

    pub(super) fn version_of(&self, distinct_id: &str) -> Option<u64> {
        Some(self.owners.get(distinct_id)?.version)
    }

    pub(super) fn insert(&mut self, person: Person) {
        self.by_uuid.insert(person.uuid, person.id);
        for distinct_id in &person.distinct_ids {
            let (person, version) = (person.id, 0);
            let owner = Owner { person, version };
            self.owners.insert(Arc::clone(distinct_id), owner);
        }
        self.persons.insert(person.id, person);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Person> {
        let person = self.persons.remove(&id)?;
        self.by_uuid.remove(&person.uuid);
        for distinct_id in &person.distinct_ids {
            self.owners.remove(distinct_id);
        }
        Some(person)
    }

    /// Hands a distinct id to another person, under a higher version.
    pub(super) fn hand_over(&mut self, distinct_id: &str, to: u64, version: u64) {
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

    /// Raises the version of a distinct id without moving it.
    pub(super) fn lift(&mut self, distinct_id: &str, version: u64) {
        if let Some(owner) = self.owners.get_mut(distinct_id) {
            owner.version = version;
        }
    }
}

/// A person as the analytics store knows it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) version: u64,
    pub(super) deleted: bool,
    pub(super) created_at: Time,
    pub(super) properties: Properties,
}

/// Which person the analytics store thinks a distinct id belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    pub(super) person: Uuid,
    version: u64,
    deleted: bool,
}

#[derive(Default)]
pub(super) struct Analytics {
    rows: HashMap<Uuid, Row>,
    /// The living rows, newest first and then by descending UUID: the order of the list query.
    order: BTreeSet<(Reverse<Time>, Reverse<Uuid>)>,
    mappings: HashMap<Arc<str>, Mapping>,
}

impl Analytics {
    pub(super) fn living(&self, uuid: Uuid) -> Option<&Row> {
        self.rows.get(&uuid).filter(|row| !row.deleted)
    }

    pub(super) fn version_of(&self, uuid: Uuid) -> u64 {
        self.rows.get(&uuid).map_or(0, |row| row.version)
    }

    pub(super) fn mapping_version_of(&self, distinct_id: &str) -> u64 {
        self.mappings.get(distinct_id).map_or(0, |m| m.version)
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = (Uuid, &Row)> {
        self.order
            .iter()
            .filter_map(|(_, Reverse(uuid))| Some((*uuid, self.rows.get(uuid)?)))
    }

    /// The number of living rows.
    pub(super) fn count(&self) -> usize {
        self.order.len()
    }

    /// Whose event it is now. Events stay with their distinct id; one whose id was deleted keeps
    /// pointing at the person that is gone.
    pub(super) fn actor(&self, event: &Event) -> Uuid {
        let mapping = self.mappings.get(event.distinct_id.as_str());
        let living = mapping.filter(|mapping| !mapping.deleted);
        living.map_or(event.person, |mapping| mapping.person)
    }

    /// Every living distinct id with the person it belongs to, in no particular order.
    pub(super) fn distinct_ids(&self) -> impl Iterator<Item = (&str, Uuid)> {
        let living = self.mappings.iter().filter(|(_, mapping)| !mapping.deleted);
        living.map(|(distinct_id, mapping)| (distinct_id.as_ref(), mapping.person))
    }

    /// Takes a row in unless a higher version is already there.
    pub(super) fn write(&mut self, uuid: Uuid, row: Row) {
        let known = self.rows.get(&uuid);
        if known.is_some_and(|known| known.version > row.version) {
            return;
        }
        if let Some(known) = known {
            self.order
                .remove(&(Reverse(known.created_at), Reverse(uuid)));
        }
        if !row.deleted {
            self.order.insert((Reverse(row.created_at), Reverse(uuid)));
        }
        self.rows.insert(uuid, row);
    }

    /// Takes a mapping in unless a higher version is already there.
    pub(super) fn map(&mut self, distinct_id: &Arc<str>, person: Uuid, version: u64) {
        self.write_mapping(distinct_id, person, version, false);
    }

    pub(super) fn unmap(&mut self, distinct_id: &Arc<str>, person: Uuid, version: u64) {
        self.write_mapping(distinct_id, person, version, true);
    }

    fn write_mapping(&mut self, id: &Arc<str>, person: Uuid, version: u64, deleted: bool) {
        if self.mapping_version_of(id) > version {
            return;
        }
        let mapping = Mapping {
            person,
            version,
            deleted,
        };
        self.mappings.insert(Arc::clone(id), mapping);
    }
}
