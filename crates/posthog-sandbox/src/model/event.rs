//! Events, before and after ingestion.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::dates::Time;
use super::properties::{Properties, PropertyMap};

/// An ingested event, with the person's properties as they were right after it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) uuid: Uuid,
    pub(crate) at: Time,
    pub(crate) name: String,
    pub(crate) distinct_id: String,
    /// The person that the event was attributed to at ingestion.
    pub(crate) person: Uuid,
    /// Shared by the events of a long history that have the same ones.
    pub(crate) properties: Arc<PropertyMap>,
    pub(crate) set: PropertyMap,
    pub(crate) set_once: PropertyMap,
    pub(crate) unset: Vec<String>,
    pub(crate) person_properties: Properties,
}

/// An event before ingestion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capture {
    pub(crate) distinct_id: String,
    pub(crate) event: String,
    pub(crate) properties: PropertyMap,
    pub(crate) set: PropertyMap,
    pub(crate) set_once: PropertyMap,
    pub(crate) unset: Vec<String>,
    /// A merge that would move more distinct ids is dropped, and the event with it.
    pub(crate) move_limit: Option<usize>,
}

impl Capture {
    /// As ingestion reads it: the changes of the person are not properties of the event.
    pub(crate) fn read(distinct_id: &str, event: &str, mut properties: PropertyMap) -> Self {
        let mut take = |name: &str| match properties.remove(name) {
            Some(Value::Object(map)) => map,
            _ => PropertyMap::new(),
        };
        let (set, set_once) = (take("$set"), take("$set_once"));
        let unset = properties.remove("$unset").unwrap_or_default();
        let unset = unset.as_array().into_iter().flatten();
        Self {
            set,
            set_once,
            unset: unset.filter_map(Value::as_str).map(str::to_owned).collect(),
            distinct_id: distinct_id.to_owned(),
            event: event.to_owned(),
            properties,
            move_limit: None,
        }
    }

    pub(crate) fn changes_person(&self) -> bool {
        !(self.set.is_empty() && self.set_once.is_empty() && self.unset.is_empty())
    }

    /// Whether the event only carries property changes, and does not count as activity of the person.
    pub(crate) fn is_bookkeeping(&self) -> bool {
        self.event == "$set" || self.event == "$delete_person_property"
    }

    /// Whether the event creates no person.
    pub(crate) fn is_personless(&self) -> bool {
        is_personless(&self.properties)
    }

    pub(crate) fn apply_to(&self, properties: &mut PropertyMap) {
        change_properties(properties, &self.set_once, &self.set, &self.unset);
    }
}

impl Event {
    /// Whether the event was sent without creating a person.
    pub(crate) fn is_personless(&self) -> bool {
        is_personless(&self.properties)
    }

    /// Applies the property changes of this event again, `$set_once` only on request.
    pub(crate) fn replay_on(&self, properties: &mut PropertyMap, include_set_once: bool) {
        let none = PropertyMap::new();
        let set_once = if include_set_once {
            &self.set_once
        } else {
            &none
        };
        change_properties(properties, set_once, &self.set, &self.unset);
    }
}

fn is_personless(properties: &PropertyMap) -> bool {
    properties.get("$process_person_profile") == Some(&Value::Bool(false))
}

fn change_properties(
    properties: &mut PropertyMap,
    set_once: &PropertyMap,
    set: &PropertyMap,
    unset: &[String],
) {
    for (key, value) in set_once {
        properties
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
    for (key, value) in set {
        properties.insert(key.clone(), value.clone());
    }
    for key in unset {
        properties.remove(key);
    }
}
