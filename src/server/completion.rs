//! What a client is offered while an argument of a prompt is typed: persons, the names of their properties, their cohorts.
//!
//! Knows PostHog and the prompts' arguments; knows nothing of the protocol. A completion that fails is none: nobody
//! waits for it.

use crate::output::OutputOptions;
use crate::server::prompts::{COHORT, PERSON, PROPERTY};
use posthog_client::{Client, Error, Person, PersonId, PersonsQuery};

/// A client shows a short list, and the protocol has no longer ones.
const MAX_SUGGESTIONS: usize = 100;

/// Persons whose properties are looked at where nobody is named yet: the newest ones.
const SAMPLE: u32 = 20;

/// What is being typed, and where.
pub struct CompletionRequest<'a> {
    /// The argument of the prompt.
    pub argument: &'a str,
    /// What stands there so far.
    pub typed: &'a str,
    /// The person whom the prompt's first argument names, if that is filled in.
    pub person: Option<&'a str>,
}

/// What fits. `is_enabled` says which tools there are: what no tool may read is not completed either.
pub async fn complete(
    posthog: &Client,
    limits: &OutputOptions,
    typing: &CompletionRequest<'_>,
    is_enabled: impl Fn(&str) -> bool,
) -> Vec<String> {
    let found = match typing.argument {
        PERSON if is_enabled("persons-values-retrieve") => {
            emails(posthog, limits, typing.typed).await
        }
        PROPERTY if is_enabled("persons-retrieve") && is_enabled("persons-list") => {
            properties(posthog, limits, typing.person).await
        }
        COHORT if is_enabled("persons-retrieve") && is_enabled("persons-cohorts-retrieve") => {
            cohorts(posthog, limits, typing.person).await
        }
        _ => Ok(Vec::new()),
    };
    let typed = typing.typed.to_lowercase();
    let mut found = found.unwrap_or_default();
    found.retain(|value| !value.is_empty() && value.to_lowercase().contains(&typed));
    found.truncate(MAX_SUGGESTIONS);
    found
}

async fn emails(
    posthog: &Client,
    limits: &OutputOptions,
    typed: &str,
) -> Result<Vec<String>, Error> {
    let redaction = &limits.redaction;
    // Nothing typed yet would list everybody.
    if typed.is_empty() || redaction.masks_emails() || redaction.redacts("email") {
        return Ok(Vec::new());
    }
    let values = posthog.property_values("email", Some(typed)).await?;
    let sanitizer = limits.sanitizer();
    let values = values.results.iter();
    Ok(values
        .map(|value| sanitizer.property_text("email", &value.name))
        .collect())
}

async fn properties(
    posthog: &Client,
    limits: &OutputOptions,
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
    let sanitizer = limits.sanitizer();
    let entries = persons
        .iter()
        .flat_map(|person| person.properties.entries());
    let mut names: Vec<String> = entries.map(|(key, _)| sanitizer.text(&key)).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// PostHog lists the cohorts of a person, not all of a project.
async fn cohorts(
    posthog: &Client,
    limits: &OutputOptions,
    person: Option<&str>,
) -> Result<Vec<String>, Error> {
    let Some(person) = person else {
        return Ok(Vec::new());
    };
    let person = found(posthog, person).await?;
    let Some(person) = person else {
        return Ok(Vec::new());
    };
    let id = PersonId::from(person.uuid);
    let cohorts = posthog.person_cohorts(&id).await?;
    let sanitizer = limits.sanitizer();
    let names = cohorts.iter().filter_map(|cohort| cohort.name.as_ref());
    Ok(names.map(|name| sanitizer.text(name)).collect())
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
