//! The state of one project and the rules by which it changes. Handlers schedule effects, which run when they are due on
//! the virtual clock.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::cohort::Cohort;
use super::dates::{Time, next_weekly_batch};
use super::definitions::PropertyDefinitions;
use super::event::{Capture, Event};
use super::filters::CohortMembers;
use super::identity::{person_uuid, split_uuid};
use super::properties::Properties;
use super::recording::Recording;
use super::stores::{AnalyticsRow, AnalyticsStore, Person, PrimaryStore, TOMBSTONE_LEAD};

/// An entry of the activity log.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    pub(crate) id: Uuid,
    pub(crate) at: Time,
    pub(crate) activity: &'static str,
    /// The numeric id of the person.
    pub(crate) person: u64,
    pub(crate) name: Option<String>,
    pub(crate) changes: Option<Value>,
    pub(crate) by_system: bool,
}

/// A row of the event deletions that `deletion_status` shows.
#[derive(Clone, Debug)]
pub(crate) struct EventDeletion {
    pub(crate) person: Uuid,
    pub(crate) created_at: Time,
    pub(crate) verified_at: Option<Time>,
}

/// A change that the API has accepted and that is carried out later.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Capture(Capture),
    Split {
        person: u64,
        distinct_ids: Vec<Arc<str>>,
        creator_is_noop: bool,
        wipes_properties: bool,
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

pub(crate) struct ProjectState {
    pub(crate) id: u64,
    pub(crate) primary: PrimaryStore,
    pub(crate) analytics: AnalyticsStore,
    pub(crate) events: Vec<Event>,
    /// Oldest first.
    pub(crate) recordings: Vec<Recording>,
    /// Oldest first.
    pub(crate) activity: Vec<Activity>,
    pub(crate) deletions: Vec<EventDeletion>,
    pub(crate) cohorts: Vec<Cohort>,
    pub(crate) definitions: PropertyDefinitions,
    /// The types of ingestion's warnings, oldest first.
    pub(crate) warnings: Vec<&'static str>,
    scheduled: Vec<Scheduled>,
    pub(super) next_person: u64,
    next_event: u128,
}

impl ProjectState {
    pub(crate) fn empty(id: u64) -> Self {
        Self {
            id,
            primary: PrimaryStore::default(),
            analytics: AnalyticsStore::default(),
            events: Vec::new(),
            recordings: Vec::new(),
            activity: Vec::new(),
            deletions: Vec::new(),
            cohorts: Vec::new(),
            definitions: PropertyDefinitions::default(),
            warnings: Vec::new(),
            scheduled: Vec::new(),
            next_person: 1,
            next_event: 1,
        }
    }

    /// Sets the numeric id of the next person that is created.
    pub(crate) fn number_persons_from(&mut self, id: u64) {
        self.next_person = id;
    }

    /// The UUID of the next event.
    pub(crate) fn next_event(&mut self) -> Uuid {
        let number = self.next_event;
        self.next_event += 1;
        Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + number)
    }

    pub(crate) fn schedule(&mut self, due: Time, effect: Effect) {
        self.scheduled.push(Scheduled { due, effect });
    }

    /// Applies the effects that are due, in the order of their times.
    pub(crate) fn run_due_effects(&mut self, now: Time) {
        loop {
            let due = self.scheduled.iter().enumerate();
            let due = due.filter(|(_, scheduled)| scheduled.due <= now);
            let Some((index, _)) = due.min_by_key(|(index, scheduled)| (scheduled.due, *index))
            else {
                return;
            };
            let Scheduled { due, effect } = self.scheduled.remove(index);
            self.apply(due, effect, now);
        }
    }

    fn apply(&mut self, at: Time, effect: Effect, now: Time) {
        match effect {
            Effect::Capture(capture) => self.capture(at, capture),
            Effect::Split {
                person,
                distinct_ids,
                creator_is_noop,
                wipes_properties,
            } => {
                if wipes_properties {
                    self.wipe_properties(person);
                }
                self.split(at, person, &distinct_ids, creator_is_noop);
            }
            Effect::Delete { person } => self.delete(at, person),
            Effect::DeleteEvents { person } => self.delete_events(at, person),
            Effect::CalculateCohorts => {
                self.calculate_cohorts();
                // After a long jump of the clock only the last calculation shows.
                let mut next = at + chrono::Duration::days(1);
                while next <= now {
                    next += chrono::Duration::days(1);
                }
                self.schedule(next, Effect::CalculateCohorts);
            }
        }
    }

    pub(crate) fn log(
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
            name: (activity != "updated").then(|| person.uuid.to_string()),
            changes,
            by_system: false,
        });
    }

    /// Adds a person to both stores.
    pub(crate) fn add(&mut self, person: Person) {
        let row = analytics_row(&person);
        for distinct_id in &person.distinct_ids {
            self.analytics.map(distinct_id, person.uuid, 0);
        }
        self.analytics.write(person.uuid, row);
        self.primary.insert(person);
    }

    /// Moves each distinct id to a person of its own (Persons API, Split).
    fn split(&mut self, at: Time, source: u64, distinct_ids: &[Arc<str>], creator_is_noop: bool) {
        for distinct_id in distinct_ids {
            let Some(person) = self.primary.get(source) else {
                return;
            };
            if !person.distinct_ids.contains(distinct_id) {
                continue;
            }
            let version = person.version;
            let mut target = person_uuid(self.id, distinct_id);
            if target == person.uuid {
                if creator_is_noop {
                    self.blank(source);
                    continue;
                }
                target = split_uuid(self.id, distinct_id);
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
            self.primary.reassign(distinct_id, to, mapping_version);
            self.analytics.map(distinct_id, target, mapping_version);
        }
    }

    fn wipe_properties(&mut self, id: u64) {
        let Some(person) = self.primary.get_mut(id) else {
            return;
        };
        person.properties = Properties::empty();
        person.version += 1;
        let (uuid, row) = (person.uuid, analytics_row(person));
        self.analytics.write(uuid, row);
    }

    /// Splitting off the creator id on older servers: nothing changes in the primary store, and an empty person replaces
    /// the full one in the analytics store.
    fn blank(&mut self, id: u64) {
        let Some(person) = self.primary.get_mut(id) else {
            return;
        };
        person.version += TOMBSTONE_LEAD + 1;
        let row = AnalyticsRow {
            properties: Properties::empty(),
            ..analytics_row(person)
        };
        let uuid = person.uuid;
        self.analytics.write(uuid, row);
    }

    /// Tombstones first, then the primary rows, then the activity entry (Persons API, Deletion and reuse).
    pub(crate) fn delete(&mut self, at: Time, id: u64) {
        let Some(person) = self.primary.get(id).cloned() else {
            return;
        };
        for distinct_id in &person.distinct_ids {
            let known = self.primary.version_of(distinct_id).unwrap_or(0);
            let version = known + TOMBSTONE_LEAD;
            self.analytics.unmap(distinct_id, person.uuid, version);
        }
        let tombstone = AnalyticsRow {
            version: person.version + TOMBSTONE_LEAD,
            deleted: true,
            properties: Properties::empty(),
            ..analytics_row(&person)
        };
        self.analytics.write(person.uuid, tombstone);
        self.primary.remove(id);
        self.log(at, "deleted", &person, None);
    }

    /// Queues the person's events for the weekly batch. An existing row stays as it is, even a completed one.
    pub(crate) fn queue_event_deletion(&mut self, now: Time, person: Uuid) {
        if self.deletions.iter().any(|row| row.person == person) {
            return;
        }
        self.deletions.push(EventDeletion {
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

    /// Raises the versions above the tombstones. Does nothing for an id that has not been used since its deletion. Without
    /// `with_person` the person itself stays deleted in the analytics store.
    pub(crate) fn reset_distinct_id(&mut self, distinct_id: &str, with_person: bool) {
        let Some(person) = self.primary.by_distinct_id(distinct_id) else {
            return;
        };
        let (id, uuid) = (person.id, person.uuid);
        let version = self.analytics.version_of(uuid).max(person.version) + 1;
        let mapping_version = self.analytics.mapping_version_of(distinct_id) + 1;
        self.primary.bump_version(distinct_id, mapping_version);
        if let Some(person) = self.primary.get_mut(id).filter(|_| with_person) {
            person.version = version;
            let row = analytics_row(person);
            self.analytics.write(uuid, row);
        }
        self.analytics
            .map(&Arc::from(distinct_id), uuid, mapping_version);
    }

    pub(crate) fn calculate_cohorts(&mut self) {
        for cohort in &mut self.cohorts {
            cohort.calculate(&self.analytics);
        }
    }

    pub(crate) fn cohort_members(&self, id: u64) -> Option<CohortMembers> {
        let cohort = self.cohorts.iter().find(|cohort| cohort.id == id)?;
        Some(cohort.members.clone())
    }
}

pub(super) fn analytics_row(person: &Person) -> AnalyticsRow {
    AnalyticsRow {
        version: person.version,
        deleted: false,
        created_at: person.created_at,
        properties: person.properties.clone(),
    }
}

/// The change that an activity entry about properties has: never the values.
pub(crate) fn property_change(activity: &str) -> Value {
    let field = (activity == "updated").then_some("properties");
    json!([{
        "type": "Person",
        "action": "changed",
        "field": field,
        "before": null,
        "after": null,
    }])
}
