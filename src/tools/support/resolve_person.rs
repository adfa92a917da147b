//! The persons of the ids that a call gives.

use std::collections::HashMap;
use std::hash::Hash;

use posthog_client::{ErrorKind, Person, Untrusted};
use uuid::Uuid;

use crate::output::unescape;
use crate::tools::arguments::{Subject, distinct};
use crate::tools::{Context, ToolError};

/// The person of a distinct id, which is given literally or, quoted and escaped, as results show it. A distinct id that
/// literally is that text wins; where both exist, the call is refused.
pub(in crate::tools) async fn person_of(
    context: &Context,
    distinct_id: &str,
) -> Result<Person, ToolError> {
    let literal = context.posthog.person_by_distinct_id(distinct_id).await;
    let Some(meant) = unescape(distinct_id) else {
        return Ok(literal?);
    };
    let missing = match literal {
        Ok(person) => match context.posthog.person_by_distinct_id(&meant).await {
            Ok(other) if other.uuid != person.uuid => {
                return Err(ambiguous(distinct_id, person.uuid, other.uuid));
            }
            Err(error) if *error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => return Ok(person),
        },
        Err(error) => error,
    };
    if *missing.kind() != ErrorKind::NotFound {
        return Err(missing.into());
    }
    match context.posthog.person_by_distinct_id(&meant).await {
        Err(error) if *error.kind() == ErrorKind::NotFound => Err(missing.into()),
        person => Ok(person?),
    }
}

/// The persons of distinct ids, each given as [`person_of`] takes it. Ids without a person are missing from the map.
pub(in crate::tools) async fn persons_of(
    context: &Context,
    distinct_ids: &[String],
) -> Result<HashMap<Untrusted<String>, Person>, ToolError> {
    let meant: Vec<(&String, Untrusted<String>)> = distinct_ids
        .iter()
        .filter_map(|id| Some((id, unescape(id)?.into())))
        .collect();
    let literal = distinct_ids.iter().map(|id| Untrusted::from(id.clone()));
    let wanted = distinct(literal.chain(meant.iter().map(|(_, meant)| meant.clone())));
    let mut found = context.posthog.persons_by_distinct_ids(&wanted).await?;
    for (given, meant) in meant {
        let Some(person) = found.get(&meant).cloned() else {
            continue;
        };
        match found.get(&Untrusted::from(given.clone())) {
            None => {
                found.insert(given.clone().into(), person);
            }
            Some(literal) if literal.uuid != person.uuid => {
                return Err(ambiguous(given, literal.uuid, person.uuid));
            }
            Some(_) => {}
        }
    }
    Ok(found)
}

/// One of a person's distinct ids, given literally or as results show it; the literal one if the person has neither.
pub(in crate::tools) fn own_distinct_id(
    person: &Person,
    given: &str,
) -> Result<Untrusted<String>, ToolError> {
    let literal = Untrusted::from(given.to_owned());
    let Some(meant) = unescape(given).map(Untrusted::from) else {
        return Ok(literal);
    };
    let has = |id| person.distinct_ids.contains(id);
    match (has(&literal), has(&meant)) {
        (true, true) => Err(ToolError::invalid_input(format!(
            "The person has the distinct id {given} literally, and another that is shown so because of characters that cannot be \
             seen. Nothing was sent. Split these in PostHog."
        ))),
        (false, true) => Ok(meant),
        _ => Ok(literal),
    }
}

/// One of a person's properties, given literally or as results show its name; the literal name if the person has neither.
pub(in crate::tools) fn own_property(person: &Person, given: String) -> Result<String, ToolError> {
    let Some(meant) = unescape(&given) else {
        return Ok(given);
    };
    match (
        person.properties.contains(&given),
        person.properties.contains(&meant),
    ) {
        (true, true) => Err(ToolError::invalid_input(format!(
            "The person has the property {given} literally, and another that is shown so because of characters that cannot be seen. \
             Nothing was sent. Change these in PostHog."
        ))),
        (false, true) => Ok(meant),
        _ => Ok(given),
    }
}

fn ambiguous(given: &str, literal: Uuid, meant: Uuid) -> ToolError {
    ToolError::invalid_input(format!(
        "Two persons fit the distinct id {given}: {literal} has it literally, and {meant} has the one that is shown so because of \
         characters that cannot be seen. Call again with the UUID of the person you mean."
    ))
}

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
        Subject::DistinctId(distinct_id) => person_of(context, distinct_id).await?,
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
            return person_of(context, distinct_id).await;
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
