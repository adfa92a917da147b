//! `persons-property-delete`: remove properties of a person.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::arguments::{DistinctId, Id, distinct, subject};
use super::change::{self, Changed};
use super::person::uuid_of;
use super::{Context, Outcome, Step, Tool, ToolError, Write};
use crate::answer::Answer;
use crate::policy::{Effect, Toolset};
use crate::posthog::{Client, Error, ErrorKind, PersonId};

/// PostHog takes one key a request, and 240 requests a minute.
const MOST_KEYS: usize = 100;

pub(super) struct PersonsPropertyDelete;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// UUID or numeric id. Give this or distinct_id
    id: Option<Id>,
    /// One of the person's distinct ids
    distinct_id: Option<DistinctId>,
    unset: Keys,
}

/// A property name, or a list of at most 100
#[derive(Debug, JsonSchema)]
#[schemars(inline, transparent)]
struct Keys(#[schemars(with = "serde_json::Value")] Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let wanted = || D::Error::custom("a property's name or a list of names is wanted");
        let keys = match OneOrMany::deserialize(deserializer).map_err(|_| wanted())? {
            OneOrMany::One(key) => vec![key],
            OneOrMany::Many(keys) => keys,
        };
        let keys = distinct(keys);
        match keys.len() {
            1..=MOST_KEYS if keys.iter().all(|key| !key.trim().is_empty()) => Ok(Self(keys)),
            1..=MOST_KEYS | 0 => Err(wanted()),
            _ => Err(D::Error::custom(format!(
                "at most {MOST_KEYS} properties in one call"
            ))),
        }
    }
}

impl Tool for PersonsPropertyDelete {
    type Input = Input;
    type Output = Changed;
    const NAME: &'static str = "persons-property-delete";
    const TITLE: &'static str = "Remove properties of a person";
    const DESCRIPTION: &'static str = "Removes one or more properties of one person, one request each, and says for each key whether PostHog took it.";
    const EFFECT: Effect = Effect::Change;
    const TOOLSET: Toolset = Toolset::Write;

    async fn call(context: &Context, input: Input) -> Result<Step<Changed>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        let keys = input.unset.0;
        let uuid = uuid_of(context, &subject).await?;
        let context = context.clone();
        Ok(Step::Write(Write {
            persons: vec![uuid.to_string()],
            property_keys: keys.clone(),
            preview: None,
            send: async move { remove(&context, uuid, keys).await }.boxed(),
        }))
    }
}

async fn remove(
    context: &Context,
    uuid: Uuid,
    keys: Vec<String>,
) -> Result<(Answer<Changed>, Outcome), ToolError> {
    let (posthog, limits) = (&context.posthog, &context.limits);
    let id = PersonId::from(uuid);
    let mut removed = Vec::new();
    let mut failed: Vec<(String, Error)> = Vec::new();
    let mut keys = keys.into_iter();
    for key in keys.by_ref() {
        match posthog.delete_property(&id, &key).await {
            Ok(()) => removed.push(key),
            Err(error) => {
                let error = explained(posthog, &id, error).await;
                let hopeless =
                    !matches!(error.kind(), ErrorKind::Failed | ErrorKind::Invalid { .. });
                failed.push((key, error));
                // What failed for the key's sake, or may have arrived, fails for the next as well.
                if hopeless {
                    break;
                }
            }
        }
    }
    let not_sent: Vec<String> = keys.collect();
    match (removed.is_empty(), failed.pop()) {
        // One failure and nothing else is simply a failure.
        (true, Some((_, error))) if failed.is_empty() && not_sent.is_empty() => {
            Err(change::failed(error, uuid))
        }
        (_, None) => Ok((
            change::queued(limits, uuid, &removed, "remove"),
            Outcome::Queued,
        )),
        (_, Some(last)) => {
            failed.push(last);
            change::partly(limits, uuid, &removed, &failed, &not_sent)
        }
    }
}

/// PostHog answers 500 for a person who does not exist; a look tells that from a failure.
async fn explained(posthog: &Client, id: &PersonId, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Server { status: 500 }) {
        return error;
    }
    match posthog.person(id).await {
        Err(missing) if *missing.kind() == ErrorKind::NotFound => missing,
        _ => error,
    }
}
