//! The persons of the ids that a call gives.

use std::collections::HashMap;
use std::hash::Hash;

use posthog_client::{Person, Untrusted};
use uuid::Uuid;

use crate::tools::arguments::Subject;
use crate::tools::{Context, ToolError};

/// The person's UUID, looked up unless it was given.
pub(in crate::tools) async fn uuid_of(
    context: &Context,
    subject: &Subject,
) -> Result<Uuid, ToolError> {
    let person = match subject {
        Subject::Id(id) => match id.uuid() {
            Some(uuid) => return Ok(uuid),
            None => context.posthog.person(id).await?,
        },
        Subject::DistinctId(distinct_id) => {
            context.posthog.person_by_distinct_id(distinct_id).await?
        }
    };
    Ok(person.uuid)
}

/// The person, with all properties.
pub(in crate::tools) async fn person_with_properties(
    context: &Context,
    subject: &Subject,
) -> Result<Person, ToolError> {
    let person = match subject {
        Subject::Id(id) => context.posthog.person(id).await,
        Subject::DistinctId(distinct_id) => {
            context.posthog.person_by_distinct_id(distinct_id).await
        }
    };
    Ok(person?)
}

/// Each id with its person, and the ids without one.
pub(in crate::tools) fn partition<K: Eq + Hash>(
    ids: Vec<K>,
    mut found: HashMap<K, Person>,
) -> (Vec<(K, Person)>, Vec<K>) {
    let (mut persons, mut not_found) = (Vec::new(), Vec::new());
    for id in ids {
        match found.remove(&id) {
            Some(person) => persons.push((id, person)),
            None => not_found.push(id),
        }
    }
    (persons, not_found)
}

/// Each person once, in the order of its first id, with the distinct ids that led to it.
pub(in crate::tools) fn once_each(
    found: Vec<(Person, Option<Untrusted<String>>)>,
) -> Vec<(Person, Vec<Untrusted<String>>)> {
    let mut persons: Vec<(Person, Vec<Untrusted<String>>)> = Vec::new();
    let mut places = HashMap::new();
    for (person, id) in found {
        let place = *places.entry(person.uuid).or_insert(persons.len());
        match persons.get_mut(place) {
            Some((_, ids)) => ids.extend(id),
            None => persons.push((person, id.into_iter().collect())),
        }
    }
    persons
}
