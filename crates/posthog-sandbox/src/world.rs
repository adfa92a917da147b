//! The state of one project and the laws by which it changes. Knows nothing of HTTP: handlers
//! schedule effects here, and the effects happen when their time has come.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::dates::{Time, next_weekly_batch};
use super::filters::Filter;
use super::identity::{person_uuid, split_uuid};
use super::properties::{Properties, PropertyMap};
use super::stores::{Analytics, Person, Primary, Row, TOMBSTONE_LEAD};

/// One captured event, with the person's properties as they were right after it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Time,
    pub(super) name: String,
    pub(super) distinct_id: String,
    /// Where the event was attributed when it came in.
    pub(super) person: Uuid,
    pub(super) properties: PropertyMap,
    pub(super) set: PropertyMap,
    pub(super) set_once: PropertyMap,
    pub(super) unset: Vec<String>,
    pub(super) person_properties: Properties,
}

/// An event on its way in.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    pub(super) distinct_id: String,
    pub(super) event: String,
    pub(super) properties: PropertyMap,
    pub(super) set: PropertyMap,
    pub(super) set_once: PropertyMap,
    pub(super) unset: Vec<String>,
}

impl Capture {
    /// As ingestion reads it: `$set` and `$set_once` are no properties of the event.
    pub(super) fn read(distinct_id: &str, event: &str, mut properties: PropertyMap) -> Self {
        let mut take = |name: &str| match properties.remove(name) {
            Some(Value::Object(map)) => map,
            _ => PropertyMap::new(),
        };
        Self {
            set: take("$set"),
            set_once: take("$set_once"),
            distinct_id: distinct_id.to_owned(),
            event: event.to_owned(),
            properties,
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Activity {
    pub(super) id: Uuid,
    pub(super) at: Time,
    pub(super) activity: &'static str,
    /// The numeric id of the person.
    pub(super) person: u64,
    pub(super) name: Option<String>,
    pub(super) changes: Option<Value>,
    pub(super) by_system: bool,
}

/// A row of the event deletions that `deletion_status` shows.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub(super) person: Uuid,
    pub(super) created_at: Time,
    pub(super) verified_at: Option<Time>,
}

pub(super) struct Cohort {
    pub(super) id: u64,
    pub(super) name: Option<String>,
    /// `None` for a static cohort, whose members never change by themselves.
    pub(super) definition: Option<Vec<Filter>>,
    pub(super) members: Arc<HashSet<Uuid>>,
    pub(super) count: Option<usize>,
}

/// Something that the API has accepted and that happens later.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Capture(Capture),
    Split {
        person: u64,
        distinct_ids: Vec<Arc<str>>,
        creator_is_noop: bool,
    },
    Delete {
        person: u64,
    },
    DeleteEvents {
        person: Uuid,
    },
    CalculateCohorts,
}

struct Scheduled {
    due: Time,
    effect: Effect,
}

pub(super) struct World {
    pub(super) project: u64,
    pub(super) primary: Primary,
    pub(super) analytics: Analytics,
    pub(super) events: Vec<Event>,
    /// Oldest first.
    pub(super) activity: Vec<Activity>,
    pub(super) deletions: Vec<Deletion>,
    pub(super) cohorts: Vec<Cohort>,
    scheduled: Vec<Scheduled>,
    next_person: u64,
}

impl World {
    pub(super) fn empty(project: u64) -> Self {
        Self {
            project,
            primary: Primary::default(),
            analytics: Analytics::default(),
            events: Vec::new(),
            activity: Vec::new(),
            deletions: Vec::new(),
            cohorts: Vec::new(),
            scheduled: Vec::new(),
            next_person: 1,
        }
    }

    /// Numeric ids of persons made from now on start here.
    pub(super) fn number_persons_from(&mut self, id: u64) {
        self.next_person = id;
    }

    pub(super) fn schedule(&mut self, due: Time, effect: Effect) {
        self.scheduled.push(Scheduled { due, effect });
    }

    /// Lets everything happen that is due, in the order in which it falls due.
    pub(super) fn settle(&mut self, now: Time) {
        loop {
            let due = self.scheduled.iter().enumerate();
            let due = due.filter(|(_, scheduled)| scheduled.due <= now);
            let Some((index, _)) = due.min_by_key(|(index, scheduled)| (scheduled.due, *index))
            else {
                return;
            };
            let Scheduled { due, effect } = self.scheduled.remove(index);
            self.happen(due, effect, now);
        }
    }

    fn happen(&mut self, at: Time, effect: Effect, now: Time) {
        match effect {
            Effect::Capture(capture) => self.capture(at, capture),
            Effect::Split {
                person,
                distinct_ids,
                creator_is_noop,
            } => {
                self.split(at, person, &distinct_ids, creator_is_noop);
            }
            Effect::Delete { person } => self.delete(at, person),
            Effect::DeleteEvents { person } => self.delete_events(at, person),
            Effect::CalculateCohorts => {
                self.calculate_cohorts();
                // A long jump of the clock needs the last calculation only.
                let mut next = at + chrono::Duration::days(1);
                while next <= now {
                    next += chrono::Duration::days(1);
                }
                self.schedule(next, Effect::CalculateCohorts);
            }
        }
    }

    pub(super) fn log(
        &mut self,
        at: Time,
        activity: &'static str,
        person: &Person,
        changes: Option<Value>,
    ) {
        let number = u128::try_from(self.activity.len()).unwrap_or_default() + 1;
        self.activity.push(Activity {
            id: Uuid::from_u128(0x019d_0000_0000_7000_8000_0000_0000_0000 + number),
            at,
            activity,
            person: person.id,
            name: Some(person.uuid.to_string()),
            changes,
            by_system: false,
        });
    }

    /// Puts a person into both stores.
    pub(super) fn add(&mut self, person: Person) {
        let row = row_of(&person);
        for distinct_id in &person.distinct_ids {
            self.analytics.map(distinct_id, person.uuid, 0);
        }
        self.analytics.write(person.uuid, row);
        self.primary.insert(person);
    }

    /// Ingestion: finds or makes the person of the distinct id, changes its properties, keeps the
    /// event. Contract sections 7 and 8.
    pub(super) fn capture(&mut self, at: Time, capture: Capture) {
        let owner = self.primary.by_distinct_id(&capture.distinct_id);
        let id = match owner {
            Some(person) => person.id,
            None => self.create(at, &capture.distinct_id),
        };
        let Some(person) = self.primary.get_mut(id) else {
            return;
        };
        let writes =
            !(capture.set.is_empty() && capture.set_once.is_empty() && capture.unset.is_empty());
        if writes {
            person.properties.edit(|map| apply(map, &capture));
            person.version += 1;
        }
        if capture.event == "$identify" {
            person.is_identified = true;
        }
        if !is_bookkeeping(&capture.event) {
            person.last_seen_at = Some(at);
        }
        let (uuid, row) = (person.uuid, row_of(person));
        let person_properties = person.properties.clone();
        self.analytics.write(uuid, row);
        self.events.push(Event {
            at,
            name: capture.event,
            distinct_id: capture.distinct_id,
            person: uuid,
            properties: capture.properties,
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
            uuid: person_uuid(self.project, distinct_id),
            created_at: at,
            last_seen_at: None,
            is_identified: false,
            properties: Properties::empty(),
            distinct_ids: vec![Arc::from(distinct_id)],
            version: 0,
        });
        id
    }

    /// Contract 3.6 and 7.
    fn split(&mut self, at: Time, source: u64, distinct_ids: &[Arc<str>], creator_is_noop: bool) {
        for distinct_id in distinct_ids {
            let Some(person) = self.primary.get(source) else {
                return;
            };
            if !person.distinct_ids.contains(distinct_id) {
                continue;
            }
            let version = person.version;
            let mut target = person_uuid(self.project, distinct_id);
            if target == person.uuid {
                if creator_is_noop {
                    self.blank(source);
                    continue;
                }
                target = split_uuid(self.project, distinct_id);
            }
            let lead = TOMBSTONE_LEAD + 1;
            let mapping_version = self.primary.version_of(distinct_id).unwrap_or(0) + lead;
            let existing = self.primary.by_uuid(target).map(|person| person.id);
            let to = existing.unwrap_or_else(|| {
                let id = self.next_person;
                self.next_person += 1;
                self.add(Person {
                    id,
                    uuid: target,
                    created_at: at,
                    last_seen_at: None,
                    is_identified: false,
                    properties: Properties::empty(),
                    distinct_ids: Vec::new(),
                    version: version + lead,
                });
                id
            });
            self.primary.hand_over(distinct_id, to, mapping_version);
            self.analytics.map(distinct_id, target, mapping_version);
        }
    }

    /// What older servers did when a person's creator id was split off: nothing in the primary
    /// store, and an empty person over the full one in the analytics store.
    fn blank(&mut self, id: u64) {
        let Some(person) = self.primary.get_mut(id) else {
            return;
        };
        person.version += TOMBSTONE_LEAD + 1;
        let row = Row {
            properties: Properties::empty(),
            ..row_of(person)
        };
        let uuid = person.uuid;
        self.analytics.write(uuid, row);
    }

    /// Contract section 8: tombstones first, then the primary rows, then the activity entry.
    pub(super) fn delete(&mut self, at: Time, id: u64) {
        let Some(person) = self.primary.get(id).cloned() else {
            return;
        };
        for distinct_id in &person.distinct_ids {
            let known = self.primary.version_of(distinct_id).unwrap_or(0);
            let version = known + TOMBSTONE_LEAD;
            self.analytics.unmap(distinct_id, person.uuid, version);
        }
        let tombstone = Row {
            version: person.version + TOMBSTONE_LEAD,
            deleted: true,
            properties: Properties::empty(),
            ..row_of(&person)
        };
        self.analytics.write(person.uuid, tombstone);
        self.primary.remove(id);
        self.log(at, "deleted", &person, None);
    }

    /// Queues the person's events for the weekly batch. A row that is already there stays as it is,
    /// also when it was completed long ago.
    pub(super) fn queue_event_deletion(&mut self, now: Time, person: Uuid) {
        if self.deletions.iter().any(|row| row.person == person) {
            return;
        }
        self.deletions.push(Deletion {
            person,
            created_at: now,
            verified_at: None,
        });
        self.schedule(next_weekly_batch(now), Effect::DeleteEvents { person });
    }

    fn delete_events(&mut self, at: Time, person: Uuid) {
        let mut rows = self.deletions.iter_mut();
        let Some(row) = rows.find(|row| row.person == person) else {
            return;
        };
        row.verified_at = Some(at);
        let until = row.created_at;
        let analytics = &self.analytics;
        self.events
            .retain(|event| analytics.actor(event) != person || event.at > until);
    }

    /// Contract section 8: lifts the versions above the tombstones. Does nothing for an id that
    /// nobody has used since.
    pub(super) fn reset_distinct_id(&mut self, distinct_id: &str) {
        let Some(person) = self.primary.by_distinct_id(distinct_id) else {
            return;
        };
        let (id, uuid) = (person.id, person.uuid);
        let version = self.analytics.version_of(uuid).max(person.version) + 1;
        let mapping_version = self.analytics.mapping_version_of(distinct_id) + 1;
        self.primary.lift(distinct_id, mapping_version);
        if let Some(person) = self.primary.get_mut(id) {
            person.version = version;
            let row = row_of(person);
            self.analytics.write(uuid, row);
        }
        self.analytics
            .map(&Arc::from(distinct_id), uuid, mapping_version);
    }

    pub(super) fn calculate_cohorts(&mut self) {
        let analytics = &self.analytics;
        for cohort in &mut self.cohorts {
            let Some(definition) = &cohort.definition else {
                continue;
            };
            let matching = analytics.in_order().filter(|(uuid, row)| {
                definition
                    .iter()
                    .all(|filter| filter.matches(&row.properties, *uuid))
            });
            cohort.members = Arc::new(matching.map(|(uuid, _)| uuid).collect());
            cohort.count = Some(cohort.members.len());
        }
    }
}

fn row_of(person: &Person) -> Row {
    Row {
        version: person.version,
        deleted: false,
        created_at: person.created_at,
        properties: person.properties.clone(),
    }
}

/// Events that only carry property changes, and are no sign of a person being there.
fn is_bookkeeping(event: &str) -> bool {
    event == "$set" || event == "$delete_person_property"
}

fn apply(map: &mut PropertyMap, capture: &Capture) {
    for (key, value) in &capture.set_once {
        map.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &capture.set {
        map.insert(key.clone(), value.clone());
    }
    for key in &capture.unset {
        map.remove(key);
    }
}

/// The one change that an activity entry about properties carries: never the values.
pub(super) fn property_change() -> Value {
    json!([{
        "type": "Person",
        "action": "changed",
        "field": "properties",
        "before": null,
        "after": null,
    }])
}
