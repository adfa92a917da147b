//! The series of an insight: events, as the caller selects them by name and filter.

use std::collections::HashSet;

use uuid::Uuid;

use super::event::Event;
use super::filters::Filter;
use super::properties::Properties;

pub(crate) struct Entity {
    /// If set, only these events: the first ones of each person.
    pub(crate) only: Option<HashSet<Uuid>>,
    /// `None` for "all events".
    pub(crate) event: Option<String>,
    pub(crate) order: i64,
    pub(crate) filters: EventFilters,
}

impl Entity {
    pub(crate) fn of_event(name: Option<&str>) -> Self {
        Self {
            event: name.map(str::to_owned),
            only: None,
            order: 0,
            filters: EventFilters::default(),
        }
    }

    /// Whether the name matches, whatever the filters say.
    pub(crate) fn matches_name(&self, event: &Event) -> bool {
        self.event.as_ref().is_none_or(|name| *name == event.name)
    }

    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.matches_name(event)
            && self
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&event.uuid))
            && self.filters.accept(event, &event.person_properties)
    }
}

/// Filters on an event or on its person.
#[derive(Default)]
pub(crate) struct EventFilters {
    pub(crate) on_event: Vec<Filter>,
    pub(crate) on_person: Vec<Filter>,
}

impl EventFilters {
    pub(crate) fn person_keys(&self) -> impl Iterator<Item = &str> {
        self.on_person.iter().filter_map(Filter::key)
    }

    pub(crate) fn accept(&self, event: &Event, person: &Properties) -> bool {
        let mut on_event = self.on_event.iter();
        let mut on_person = self.on_person.iter();
        on_event.all(|filter| filter.matches_map(&event.properties))
            && on_person.all(|filter| filter.matches(person, event.person))
    }
}
