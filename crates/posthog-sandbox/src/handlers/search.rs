//! The search for persons (Persons API, List), which differs between versions. The words are not trimmed.

use std::collections::HashSet;

use uuid::Uuid;

use super::context::Context;
use crate::model::filters::property_text;
use crate::model::{Era, Pattern, Properties};

pub(crate) enum Search {
    /// The words are exactly a distinct id or a UUID, and nothing else is searched.
    Hit(Uuid),
    /// Part of one of the properties, of the UUID, or of the distinct id of one of these persons.
    Part {
        pattern: Pattern,
        properties: &'static [&'static str],
        in_uuid: bool,
        by_distinct_id: HashSet<Uuid>,
    },
}

impl Search {
    /// As the list of persons searches.
    pub(crate) fn new(context: &Context<'_>, words: &str) -> Self {
        let hit = exact_hit(context, words);
        match (context.era(), hit) {
            // Distinct ids and UUIDs match as a whole, and names are not searched.
            (Era::August2025, hit) => Self::Part {
                pattern: Pattern::containing(words),
                properties: &["email"],
                in_uuid: false,
                by_distinct_id: hit.into_iter().collect(),
            },
            (Era::September2026, Some(hit)) => Self::Hit(hit),
            _ => Self::part(context, words),
        }
    }

    /// As insights search, and the list if there is no hit.
    pub(crate) fn part(context: &Context<'_>, words: &str) -> Self {
        let pattern = Pattern::containing(words);
        let distinct_ids = context.project.analytics.distinct_ids();
        let matching = distinct_ids.filter(|(distinct_id, _)| pattern.matches(distinct_id));
        Self::Part {
            by_distinct_id: matching.map(|(_, person)| person).collect(),
            properties: &["email", "name"],
            in_uuid: true,
            pattern,
        }
    }

    pub(crate) fn finds(&self, uuid: Uuid, stored: &Properties) -> bool {
        match self {
            Self::Hit(hit) => *hit == uuid,
            Self::Part {
                pattern,
                properties,
                in_uuid,
                by_distinct_id,
            } => {
                let in_property = |key: &&str| {
                    let value = stored.get(key);
                    let value = value.as_deref().and_then(property_text);
                    value.is_some_and(|value| pattern.matches(&value))
                };
                by_distinct_id.contains(&uuid)
                    || properties.iter().any(in_property)
                    || (*in_uuid && pattern.matches(&uuid.to_string()))
            }
        }
    }
}

fn exact_hit(context: &Context<'_>, words: &str) -> Option<Uuid> {
    let primary = &context.project.primary;
    let by_uuid = || primary.by_uuid(Uuid::parse_str(words).ok()?);
    let person = primary.by_distinct_id(words).or_else(by_uuid)?;
    Some(person.uuid)
}
