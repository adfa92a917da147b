//! What a client offers while an argument of a prompt is typed: persons, the names of their properties, their cohorts.
//!
//! Knows PostHog and the prompts' arguments; knows nothing of the protocol. A completion that fails is none: nobody
//! waits for it.

use crate::output::Limits;
use crate::server::prompts::{COHORT, PERSON, PROPERTY};
use posthog_client::{Client, Error, Person, PersonId, PersonsQuery};

/// A client shows a short list, and the protocol has no longer ones.
const MOST: usize = 100;

/// Persons whose properties are looked at where nobody is named yet: the newest ones.
const SAMPLE: u32 = 20;

/// What is being typed, and where.
pub struct Typing<'a> {
    /// The argument of the prompt.
    pub argument: &'a str,
    /// What stands there so far.
    pub typed: &'a str,
    /// The person whom the prompt's first argument names, if that is filled in.
    pub person: Option<&'a str>,
}

/// What fits. `offers` says which tools there are: what no tool may read is not completed either.
pub async fn complete(
    posthog: &Client,
    limits: &Limits,
    typing: &Typing<'_>,
    offers: impl Fn(&str) -> bool,
) -> Vec<String> {
    let found = match typing.argument {
        PERSON if offers("persons-values-retrieve") => emails(posthog, limits, typing.typed).await,
        PROPERTY if offers("persons-retrieve") && offers("persons-list") => {
            properties(posthog, limits, typing.person).await
        }
        COHORT if offers("persons-retrieve") && offers("persons-cohorts-retrieve") => {
            cohorts(posthog, limits, typing.person).await
        }
        _ => Ok(Vec::new()),
    };
    let typed = typing.typed.to_lowercase();
    let mut found = found.unwrap_or_default();
    found.retain(|value| !value.is_empty() && value.to_lowercase().contains(&typed));
    found.truncate(MOST);
    found
}

async fn emails(posthog: &Client, limits: &Limits, typed: &str) -> Result<Vec<String>, Error> {
    let redaction = &limits.redaction;
    // Nothing typed yet would list everybody.
    if typed.is_empty() || redaction.masks_emails() || redaction.hides("email") {
        return Ok(Vec::new());
    }
    let values = posthog.property_values("email", Some(typed)).await?;
    let screen = limits.screen();
    let values = values.results.iter();
    Ok(values.map(|value| screen.display(&value.name)).collect())
}

async fn properties(
    posthog: &Client,
    limits: &Limits,
    person: Option<&str>,
) -> Result<Vec<String>, Error> {
    let persons = match person {
        Some(person) => found(posthog, person).await?.into_iter().collect(),
        None => {
            let query = PersonsQuery {
                limit: SAMPLE,
                ..PersonsQuery::default()
            };
            posthog.persons(&query).await?.results
        }
    };
    let screen = limits.screen();
    let entries = persons
        .iter()
        .flat_map(|person| person.properties.entries());
    let mut names: Vec<String> = entries.map(|(key, _)| screen.name(key)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// PostHog lists the cohorts of a person, not all of a project.
async fn cohorts(
    posthog: &Client,
    limits: &Limits,
    person: Option<&str>,
) -> Result<Vec<String>, Error> {
    let Some(person) = person else {
        return Ok(Vec::new());
    };
    let person = found(posthog, person).await?;
    let Some(id) = person.and_then(|person| PersonId::parse(&person.uuid)) else {
        return Ok(Vec::new());
    };
    let cohorts = posthog.person_cohorts(&id).await?;
    let screen = limits.screen();
    let names = cohorts.iter().filter_map(|cohort| cohort.name.as_deref());
    Ok(names.map(|name| screen.name(name)).collect())
}

/// The person of a UUID, a numeric id, a distinct id or an e-mail, as the prompt lets people name one.
async fn found(posthog: &Client, person: &str) -> Result<Option<Person>, Error> {
    if let Some(id) = PersonId::parse(person) {
        return posthog.person(&id).await.map(Some);
    }
    if let Ok(person) = posthog.person_by_distinct_id(person).await {
        return Ok(Some(person));
    }
    let query = PersonsQuery {
        email: Some(person.to_owned()),
        limit: 1,
        ..PersonsQuery::default()
    };
    Ok(posthog.persons(&query).await?.results.into_iter().next())
}
