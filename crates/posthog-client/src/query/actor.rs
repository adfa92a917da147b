//! A person as a row of an actors query.

use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use crate::person::{Person, null_as_default};
use crate::persons::LISTED_DISTINCT_IDS;
use crate::properties::Properties;
use crate::untrusted::Untrusted;

/// Cells after the person that are read. PostHog appends columns of its own.
const MAX_CELLS: usize = 2;

/// A person as an actors query has it. One that only the analytics store has consists of its id.
#[derive(Deserialize)]
struct ActorPerson {
    id: Uuid,
    #[serde(default)]
    properties: Option<Properties>,
    #[serde(default)]
    created_at: Option<Untrusted<String>>,
    #[serde(default, deserialize_with = "null_as_default")]
    distinct_ids: Vec<Untrusted<String>>,
}

/// One row: the person, and the cells after it.
pub(super) struct ActorRow {
    person: ActorPerson,
    cells: Vec<Value>,
}

impl ActorRow {
    /// The UUID, which those have that only the analytics store has, too.
    pub(super) fn uuid(&self) -> Uuid {
        self.person.id
    }

    /// A cell after the person.
    pub(super) fn cell(&self, index: usize) -> Option<&Value> {
        self.cells.get(index)
    }

    /// The person and the cells after it, unless only the analytics store has it.
    pub(super) fn into_person(self) -> Option<(Person, impl Iterator<Item = Value>)> {
        let properties = self.person.properties?;
        let mut distinct_ids = self.person.distinct_ids;
        distinct_ids.sort_by_key(looks_anonymous);
        let person = Person {
            uuid: self.person.id,
            name: display_name(&properties, &distinct_ids),
            distinct_ids,
            properties,
            created_at: self.person.created_at,
            last_seen_at: None,
            value_at_data_point: None,
        };
        Some((person, self.cells.into_iter()))
    }
}

impl ActorRow {
    /// The person as a list has it, last seen when the cell at this place says.
    pub(super) fn into_listed(self, last_seen: usize) -> Option<Person> {
        let (mut person, mut cells) = self.into_person()?;
        person.distinct_ids.truncate(LISTED_DISTINCT_IDS);
        person.last_seen_at = cells.nth(last_seen).and_then(|cell| match cell {
            Value::String(time) => Some(time.into()),
            _ => None,
        });
        Some(person)
    }
}

impl<'de> Deserialize<'de> for ActorRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = ActorRow;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a row that begins with a person")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<ActorRow, A::Error> {
                let person = row
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                let mut cells = Vec::new();
                while cells.len() < MAX_CELLS
                    && let Some(cell) = row.next_element()?
                {
                    cells.push(cell);
                }
                while row.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ActorRow { person, cells })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

/// Whether PostHog takes a distinct id for that of an anonymous visitor, which other endpoints send last: five groups of
/// lower-case letters and digits.
fn looks_anonymous(id: &Untrusted<String>) -> bool {
    let group = |group: &str| {
        let mut bytes = group.bytes();
        !group.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let id = id.expose_untrusted();
    id.split('-').count() == 5 && id.split('-').all(group)
}

/// The name that PostHog displays unless the project has chosen other properties: the first of these properties, else the
/// first distinct id.
fn display_name(properties: &Properties, ids: &[Untrusted<String>]) -> Untrusted<Value> {
    const DISPLAYED: [&str; 3] = ["email", "name", "username"];
    let value = |wanted: &str| {
        let mut entries = properties.entries();
        let (_, json) = entries.find(|(key, _)| *key == *wanted)?;
        let value = Properties::value(json);
        let shown = match value.expose_untrusted() {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        };
        shown.then_some(value)
    };
    DISPLAYED
        .iter()
        .find_map(|key| value(key))
        .or_else(|| Some(ids.first()?.clone().map(Value::from)))
        .unwrap_or_default()
}
