//! Ingestion: what an event does to its person.

use std::sync::Arc;

use uuid::Uuid;

use super::dates::Time;
use super::event::{Capture, Event};
use super::identity::person_uuid;
use super::project::{ProjectState, analytics_row};
use super::properties::Properties;
use super::stores::Person;

impl ProjectState {
    /// Ingestion: merges persons if the event asks for that, finds or creates the person of the distinct id, changes its
    /// properties, stores the event.
    pub(crate) fn capture(&mut self, at: Time, capture: Capture) {
        if !self.merge_by_event(at, &capture) {
            return;
        }
        let owner = self.primary.by_distinct_id(&capture.distinct_id);
        let id = match owner {
            Some(person) => person.id,
            None if capture.is_personless() => {
                let person = person_uuid(self.id, &capture.distinct_id);
                return self.store(at, capture, person, Properties::empty());
            }
            None => self.create(at, &capture.distinct_id),
        };
        let Some(person) = self.primary.get_mut(id) else {
            return;
        };
        if capture.changes_person() {
            person.properties.edit(|map| capture.apply_to(map));
            person.version += 1;
        }
        if capture.event == "$identify" {
            person.is_identified = true;
        }
        if !capture.is_bookkeeping() {
            person.last_seen_at = Some(at);
        }
        let (uuid, row) = (person.uuid, analytics_row(person));
        let person_properties = person.properties.clone();
        self.analytics.write(uuid, row);
        self.store(at, capture, uuid, person_properties);
    }

    fn store(&mut self, at: Time, capture: Capture, person: Uuid, person_properties: Properties) {
        let uuid = self.next_event();
        self.events.push(Event {
            uuid,
            at,
            name: capture.event,
            distinct_id: capture.distinct_id,
            person,
            properties: Arc::new(capture.properties),
            set: capture.set,
            set_once: capture.set_once,
            unset: capture.unset,
            person_properties,
        });
    }

    fn create(&mut self, at: Time, distinct_id: &str) -> u64 {
        let id = self.next_person;
        self.next_person += 1;
        self.add(Person {
            id,
            uuid: person_uuid(self.id, distinct_id),
            created_at: at,
            last_seen_at: None,
            is_identified: false,
            properties: Properties::empty(),
            distinct_ids: vec![Arc::from(distinct_id)],
            version: 0,
        });
        id
    }
}
