//! Completion of prompt arguments: persons, their property keys, their cohorts.
//!
//! Invariant: knows PostHog and the arguments of the prompts, and nothing of MCP. A completion that fails is empty.

use crate::output::OutputOptions;
use crate::server::prompts::{COHORT, PERSON, PROPERTY};
use posthog_client::{Client, Error, Person, PersonId, PersonsQuery};
use uuid::Uuid;

/// The maximum that MCP allows.
const MAX_SUGGESTIONS: usize = 100;

/// The number of newest persons whose property keys are offered if no person is given.
const SAMPLE_SIZE: u32 = 20;

/// An incomplete argument of a prompt.
pub struct CompletionRequest<'a> {
    /// The name of the argument.
    pub argument: &'a str,
    /// Its text so far.
    pub typed: &'a str,
    /// The person that the prompt's first argument names, if given.
    pub person: Option<&'a str>,
}

/// The completions of an argument, and what they were read from.
#[derive(Debug, Default)]
pub struct Completions {
    /// The texts.
    pub values: Vec<String>,
    /// The persons, where they are known.
    pub persons: Vec<Uuid>,
    /// What the texts are.
    pub field: &'static str,
}

/// The completions. `is_enabled` reports whether a tool is enabled: data that no enabled tool can read is not completed.
pub async fn complete(
    posthog: &Client,
    limits: &OutputOptions,
    request: &CompletionRequest<'_>,
    is_enabled: impl Fn(&str) -> bool,
) -> Completions {
    let found = match request.argument {
        PERSON if is_enabled("persons-values-retrieve") => {
            emails(posthog, limits, request.typed).await
        }
        PROPERTY if is_enabled("persons-retrieve") && is_enabled("persons-list") => {
            properties(posthog, limits, request.person).await
        }
        COHORT if is_enabled("persons-retrieve") && is_enabled("persons-cohorts-retrieve") => {
            cohorts(posthog, limits, request.person).await
        }
        _ => Ok(Completions::default()),
    };
    let typed = request.typed.to_lowercase();
    let mut found = found.unwrap_or_default();
    let values = &mut found.values;
    values.retain(|value| !value.is_empty() && value.to_lowercase().contains(&typed));
    values.truncate(MAX_SUGGESTIONS);
    found
}

async fn emails(
    posthog: &Client,
    limits: &OutputOptions,
    typed: &str,
) -> Result<Completions, Error> {
    let redaction = &limits.redaction;
    // An empty text would match all persons.
    if typed.is_empty() || redaction.masks_emails() || redaction.redacts("email") {
        return Ok(Completions::default());
    }
    let values = posthog.property_values("email", Some(typed)).await?;
    let sanitizer = limits.sanitizer();
    let values = values.results.iter();
    let values = values.map(|value| sanitizer.property_text("email", &value.name));
    Ok(Completions {
        values: values.collect(),
        persons: Vec::new(),
        field: "properties.email",
    })
}

async fn properties(
    posthog: &Client,
    limits: &OutputOptions,
    person: Option<&str>,
) -> Result<Completions, Error> {
    let persons: Vec<Person> = match person {
        Some(person) => find_person(posthog, person).await?.into_iter().collect(),
        None => {
            let query = PersonsQuery {
                limit: SAMPLE_SIZE,
                ..PersonsQuery::default()
            };
            posthog.persons(&query).await?.results
        }
    };
    let sanitizer = limits.sanitizer();
    let mut names = Vec::new();
    for person in &persons {
        let terms = limits.redaction.terms(person);
        let keys = person.properties.entries().map(|(key, _)| key);
        names.extend(keys.map(|key| sanitizer.text(&terms.redact_text(&key))));
    }
    names.sort_unstable();
    names.dedup();
    Ok(Completions {
        values: names,
        persons: persons.iter().map(|person| person.uuid).collect(),
        field: "names of properties",
    })
}

/// The cohorts of a person, of which the prompt is about one.
async fn cohorts(
    posthog: &Client,
    limits: &OutputOptions,
    person: Option<&str>,
) -> Result<Completions, Error> {
    let Some(person) = person else {
        return Ok(Completions::default());
    };
    let person = find_person(posthog, person).await?;
    let Some(person) = person else {
        return Ok(Completions::default());
    };
    let id = PersonId::from(person.uuid);
    let cohorts = posthog.person_cohorts(&id).await?;
    let sanitizer = limits.sanitizer();
    let names = cohorts.iter().filter_map(|cohort| cohort.name.as_ref());
    Ok(Completions {
        values: names.map(|name| sanitizer.text(name)).collect(),
        persons: vec![person.uuid],
        field: "cohorts",
    })
}

/// The person of a UUID, a numeric id, a distinct id or an e-mail, as the prompts accept them.
async fn find_person(posthog: &Client, person: &str) -> Result<Option<Person>, Error> {
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
