//! The tables of a query: their columns, and their rows.

use std::collections::HashMap;

use serde_json::Value as Json;
use uuid::Uuid;

use super::select::Output;
use super::types::Type;
use super::value::Value;
use crate::model::dates::Time;
use crate::model::{Era, Event, ProjectState, Properties, PropertyMap, PropertyOwner};

/// The most rows that a response has. PostHog lowers a higher limit without a sign of it.
pub(crate) const MAX_ROWS: usize = 50_000;

/// What a query reads.
#[derive(Clone, Copy)]
pub(crate) struct Database<'a> {
    pub(crate) project: &'a ProjectState,
    pub(crate) era: Era,
    pub(crate) now: Time,
    /// Whether `person.properties` of an event are those at the time of the event, and not the present ones.
    pub(crate) persons_on_events: bool,
    pub(crate) actors: Option<&'a Actors>,
}

/// The persons of an actors query, with the columns of its source.
#[derive(Debug, Default)]
pub(crate) struct Actors {
    pub(crate) columns: Vec<(String, Type)>,
    pub(crate) rows: Vec<(Uuid, Vec<Value>)>,
}

pub(super) enum Source {
    /// A SELECT without FROM has one row.
    Nothing,
    Events,
    Persons,
    PersonDistinctIds,
    CohortPeople {
        is_static: bool,
    },
    Actors,
    Derived(Output),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    EventUuid,
    EventName,
    EventTime,
    EventDistinctId,
    EventProperties,
    /// The person's properties at the time of the event.
    PropertiesThen,
    /// A property of the event that is a column too: its text, or an empty one.
    EventText(&'static str),
    Blank,
    DistinctId,
    Cohort,
    PersonId,
    PersonCreatedAt,
    PersonProperties,
    PersonIsIdentified,
    PersonLastSeenAt,
    PersonLastSeen,
    Derived(usize),
}

/// What columns are read from.
#[derive(Clone, Copy, Default)]
pub(super) struct BaseRow<'a> {
    event: Option<&'a Event>,
    person: Option<Uuid>,
    distinct_id: Option<&'a str>,
    cohort: u64,
    values: &'a [Value],
}

/// A column, its type, and how many names of the field lead to it.
pub(super) struct Resolved {
    pub(super) column: Column,
    pub(super) ty: Type,
    pub(super) names: usize,
}

impl<'a> BaseRow<'a> {
    pub(super) fn of_event(event: &'a Event, db: &Database<'a>) -> Self {
        Self {
            event: Some(event),
            person: Some(db.project.analytics.actor(event)),
            distinct_id: Some(&event.distinct_id),
            ..Self::default()
        }
    }
}

impl Source {
    pub(super) fn of_table(name: &str) -> Option<Self> {
        Some(match name {
            "events" => Self::Events,
            "persons" => Self::Persons,
            "person_distinct_ids" => Self::PersonDistinctIds,
            "cohort_people" => Self::CohortPeople { is_static: false },
            "static_cohort_people" => Self::CohortPeople { is_static: true },
            _ => return None,
        })
    }

    /// The columns of `*`.
    pub(super) fn columns(&self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Nothing => &[],
            Self::Events => &[
                "uuid",
                "event",
                "properties",
                "timestamp",
                "distinct_id",
                "elements_chain",
                "created_at",
                "person_id",
            ],
            Self::Persons | Self::Actors => &["id", "created_at", "properties", "is_identified"],
            Self::PersonDistinctIds => &["distinct_id", "person_id"],
            Self::CohortPeople { .. } => &["person_id", "cohort_id"],
            Self::Derived(output) => return output.columns.clone(),
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(super) fn resolve(&self, chain: &[String], db: &Database<'_>) -> Option<Resolved> {
        let names: Vec<&str> = chain.iter().map(String::as_str).collect();
        match self {
            Self::Nothing => None,
            Self::Derived(output) => {
                let first = names.first()?;
                let index = output.columns.iter().position(|column| column == first)?;
                let ty = output.types.get(index)?.clone();
                Some(found(Column::Derived(index), ty, 1))
            }
            Self::Actors => {
                let actors = db.actors?;
                let first = names.first()?;
                let mut columns = actors.columns.iter().enumerate();
                if let Some((index, (_, ty))) = columns.find(|(_, (name, _))| name == first) {
                    return Some(found(Column::Derived(index), ty.clone(), 1));
                }
                if matches!(*first, "actor_id" | "person_id") {
                    return Some(found(Column::PersonId, Type::Uuid, 1));
                }
                if *first == "last_seen" && db.era > Era::August2025 {
                    let ty = Type::Time(6).nullable();
                    return Some(found(Column::PersonLastSeen, ty, 1));
                }
                of_persons(&names, db)
            }
            Self::Persons => of_persons(&names, db),
            Self::PersonDistinctIds => match names.as_slice() {
                ["distinct_id", ..] => Some(found(Column::DistinctId, Type::String, 1)),
                ["person_id", ..] => Some(found(Column::PersonId, Type::Uuid, 1)),
                ["person", rest @ ..] => below(1, of_persons(rest, db)),
                _ => None,
            },
            Self::CohortPeople { .. } => match names.as_slice() {
                ["person_id", ..] => Some(found(Column::PersonId, Type::Uuid, 1)),
                ["cohort_id", ..] => Some(found(Column::Cohort, Type::Int64, 1)),
                ["person", rest @ ..] => below(1, of_persons(rest, db)),
                _ => None,
            },
            Self::Events => of_events(&names, db),
        }
    }

    /// Calls `visit` with each row. With `of_distinct_ids` a person has a row for each of its distinct ids.
    pub(super) fn scan<E>(
        &self,
        db: &Database<'_>,
        of_distinct_ids: bool,
        mut visit: impl FnMut(&BaseRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let analytics = &db.project.analytics;
        let mut distinct_ids: HashMap<Uuid, Vec<&str>> = HashMap::new();
        if of_distinct_ids {
            for (distinct_id, person) in analytics.distinct_ids() {
                distinct_ids.entry(person).or_default().push(distinct_id);
            }
        }
        let mut visit_person = |row: BaseRow<'_>| {
            let of_person = row.person.and_then(|person| distinct_ids.get(&person));
            let Some(ids) = of_person.filter(|_| of_distinct_ids) else {
                return visit(&row);
            };
            ids.iter().try_for_each(|distinct_id| {
                visit(&BaseRow {
                    distinct_id: Some(distinct_id),
                    ..row
                })
            })
        };
        match self {
            Self::Nothing => visit(&BaseRow::default()),
            Self::Events => {
                let mut events = db.project.events.iter();
                events.try_for_each(|event| visit(&BaseRow::of_event(event, db)))
            }
            Self::Persons => analytics.in_order().try_for_each(|(uuid, _)| {
                visit_person(BaseRow {
                    person: Some(uuid),
                    ..BaseRow::default()
                })
            }),
            Self::Actors => {
                let rows = db.actors.into_iter().flat_map(|actors| &actors.rows);
                rows.into_iter().try_for_each(|(uuid, values)| {
                    visit_person(BaseRow {
                        person: Some(*uuid),
                        values,
                        ..BaseRow::default()
                    })
                })
            }
            Self::PersonDistinctIds => analytics.distinct_ids().try_for_each(|(id, person)| {
                visit(&BaseRow {
                    person: Some(person),
                    distinct_id: Some(id),
                    ..BaseRow::default()
                })
            }),
            Self::CohortPeople { is_static } => {
                let cohorts = db.project.cohorts.iter();
                let cohorts = cohorts.filter(|cohort| cohort.members.is_static == *is_static);
                let members = cohorts.flat_map(|cohort| {
                    let uuids = cohort.members.uuids.iter();
                    uuids.map(|person| (cohort.id, *person))
                });
                let mut members = members;
                members.try_for_each(|(cohort, person)| {
                    visit(&BaseRow {
                        person: Some(person),
                        cohort,
                        ..BaseRow::default()
                    })
                })
            }
            Self::Derived(output) => output.rows.iter().try_for_each(|values| {
                visit(&BaseRow {
                    values,
                    ..BaseRow::default()
                })
            }),
        }
    }
}

fn found(column: Column, ty: Type, names: usize) -> Resolved {
    Resolved { column, ty, names }
}

fn below(names: usize, resolved: Option<Resolved>) -> Option<Resolved> {
    resolved.map(|resolved| Resolved {
        names: resolved.names + names,
        ..resolved
    })
}

fn of_persons(names: &[&str], db: &Database<'_>) -> Option<Resolved> {
    Some(match names {
        ["id", ..] => found(Column::PersonId, Type::Uuid, 1),
        ["created_at", ..] => found(Column::PersonCreatedAt, Type::Time(3), 1),
        ["properties", ..] => found(Column::PersonProperties, Type::String, 1),
        ["is_identified", ..] => found(Column::PersonIsIdentified, Type::Int8, 1),
        ["last_seen_at", ..] if db.era > Era::August2025 => {
            found(Column::PersonLastSeenAt, Type::Time(6).nullable(), 1)
        }
        ["pdi", "distinct_id", ..] => found(Column::DistinctId, Type::String, 2),
        ["pdi", "person_id", ..] => found(Column::PersonId, Type::Uuid, 2),
        _ => return None,
    })
}

fn of_events(names: &[&str], db: &Database<'_>) -> Option<Resolved> {
    Some(match names {
        ["uuid", ..] => found(Column::EventUuid, Type::Uuid, 1),
        ["event", ..] => found(Column::EventName, Type::String, 1),
        ["timestamp" | "created_at", ..] => found(Column::EventTime, Type::Time(6), 1),
        ["distinct_id", ..] => found(Column::EventDistinctId, Type::String, 1),
        ["person_id", ..] => found(Column::PersonId, Type::Uuid, 1),
        ["properties", ..] => found(Column::EventProperties, Type::String, 1),
        ["$session_id", ..] => found(Column::EventText("$session_id"), Type::String, 1),
        ["$window_id", ..] => found(Column::EventText("$window_id"), Type::String, 1),
        ["elements_chain", ..] => found(Column::Blank, Type::String, 1),
        ["poe", "properties", ..] => found(Column::PropertiesThen, Type::String, 2),
        ["poe" | "person", "id", ..] => found(Column::PersonId, Type::Uuid, 2),
        ["poe", "created_at", ..] => found(Column::PersonCreatedAt, Type::Time(6), 2),
        ["person", "properties", ..] if db.persons_on_events => {
            found(Column::PropertiesThen, Type::String, 2)
        }
        ["pdi", "distinct_id", ..] => found(Column::EventDistinctId, Type::String, 2),
        ["pdi", "person_id", ..] => found(Column::PersonId, Type::Uuid, 2),
        ["pdi", "person", rest @ ..] => return below(2, of_persons(rest, db)),
        ["person", rest @ ..] => return below(1, of_persons(rest, db)),
        _ => return None,
    })
}

impl Column {
    /// Whose definitions say how a property of this column is read.
    pub(super) fn owner(self) -> Option<PropertyOwner> {
        match self {
            Self::EventProperties => Some(PropertyOwner::Event),
            Self::PersonProperties | Self::PropertiesThen => Some(PropertyOwner::Person),
            _ => None,
        }
    }

    pub(super) fn read(self, row: &BaseRow<'_>, db: &Database<'_>) -> Value {
        self.found(row, db).unwrap_or(Value::Null)
    }

    fn found(self, row: &BaseRow<'_>, db: &Database<'_>) -> Option<Value> {
        let analytics = &db.project.analytics;
        let primary = &db.project.primary;
        Some(match self {
            Self::EventUuid => Value::Uuid(row.event?.uuid),
            Self::EventName => Value::text(&row.event?.name),
            Self::EventTime => Value::Time(row.event?.at),
            Self::EventDistinctId | Self::DistinctId => {
                Value::text(row.distinct_id.unwrap_or_default())
            }
            Self::EventProperties => Value::Properties(stored_properties(row.event?)),
            Self::PropertiesThen => Value::Properties(row.event?.person_properties.clone()),
            Self::EventText(name) => {
                let value = row.event?.properties.get(name).and_then(Json::as_str);
                Value::text(value.unwrap_or_default())
            }
            Self::Blank => Value::text(""),
            Self::Cohort => Value::Int(i64::try_from(row.cohort).ok()?),
            Self::PersonId => Value::Uuid(row.person?),
            Self::PersonCreatedAt => match analytics.active(row.person?) {
                Some(person) => Value::Time(person.created_at),
                None => Value::Time(Time::default()),
            },
            Self::PersonProperties => match analytics.active(row.person?) {
                Some(person) => Value::Properties(person.properties.clone()),
                None => Value::text(""),
            },
            Self::PersonIsIdentified => {
                let person = primary.by_uuid(row.person?);
                Value::flag(person.is_some_and(|person| person.is_identified))
            }
            Self::PersonLastSeenAt => {
                let seen = primary.by_uuid(row.person?)?.last_seen_at?;
                // Rounded to the hour.
                Value::Time(crate::model::dates::Interval::Hour.start(seen))
            }
            Self::PersonLastSeen => Value::Time(primary.by_uuid(row.person?)?.last_seen_at?),
            Self::Derived(index) => row.values.get(index)?.clone(),
        })
    }
}

/// The properties of an event as they are stored, with the changes that it makes to the person.
fn stored_properties(event: &Event) -> Properties {
    let mut map = PropertyMap::clone(&event.properties);
    for (name, changes) in [("$set", &event.set), ("$set_once", &event.set_once)] {
        if !changes.is_empty() {
            map.insert(name.to_owned(), Json::Object(changes.clone()));
        }
    }
    if !event.unset.is_empty() {
        map.insert("$unset".to_owned(), Json::from(event.unset.clone()));
    }
    Properties::from(map)
}
