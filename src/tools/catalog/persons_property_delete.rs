//! `persons-property-delete`: remove properties of a person.

use std::collections::HashSet;
use std::fmt::Write as _;

use futures::FutureExt;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::output::{OutputOptions, ToolOutput, write_list};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, WaitSeconds, distinct, subject};
use crate::tools::support::poll::poll;
use crate::tools::support::property_change::{self, Changed, Seen};
use crate::tools::support::resolve_person::{own_property, person_with_properties};
use crate::tools::{
    Context, Outcome, PendingWrite, Status, Tool, ToolError, ToolOutcome, WriteResult,
};
use posthog_client::{Error, ErrorKind, Person, PersonId, RequiredScopes};

/// PostHog accepts one key per request, and 240 requests per minute.
const MAX_KEYS: usize = 100;

/// Names of a person's properties that a message lists.
const MAX_NAMES: usize = 30;

pub(super) struct PersonsPropertyDelete;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Give this or `distinct_id`.
    id: Option<Id>,
    /// Exact distinct id, such as "user_123". Give this or `id`.
    distinct_id: Option<DistinctId>,
    /// Property name such as "plan", or a list of up to 100 property names.
    unset: Keys,
    /// Seconds to wait for the effect.
    #[serde(default)]
    wait_seconds: WaitSeconds,
}

#[derive(Debug, JsonSchema)]
#[schemars(inline, transparent, extend("type" = ["string", "array"], "maxItems" = MAX_KEYS))]
struct Keys(#[schemars(with = "Vec<String>")] Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let wanted = || D::Error::custom("expected a property name or a list of property names");
        let keys = match OneOrMany::deserialize(deserializer).map_err(|_| wanted())? {
            OneOrMany::One(key) => vec![key],
            OneOrMany::Many(keys) => keys,
        };
        let keys = distinct(keys);
        match keys.len() {
            1..=MAX_KEYS if keys.iter().all(|key| !key.trim().is_empty()) => Ok(Self(keys)),
            1..=MAX_KEYS | 0 => Err(wanted()),
            _ => Err(D::Error::custom(format!(
                "at most {MAX_KEYS} properties per call"
            ))),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(flatten)]
    changed: Changed,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedKey>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_sent: Vec<String>,
    // Not sent, because the person does not have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_on_person: Vec<String>,
}

impl From<Changed> for Output {
    fn from(changed: Changed) -> Self {
        Self {
            changed,
            failed: Vec::new(),
            not_sent: Vec::new(),
            not_on_person: Vec::new(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct FailedKey {
    key: String,
    reason: String,
    // The change may have been made nevertheless.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    outcome_unknown: bool,
}

impl Tool for PersonsPropertyDelete {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-property-delete";
    const TITLE: &'static str = "Remove person properties";
    const DESCRIPTION: &'static str = "Remove up to 100 properties of one person, with one request for each. The result says for each \
         property whether PostHog accepted it.";
    const SEARCH_HINT: &'static str = "remove, unset or clear a property, field or attribute of a user, customer, \
         contact or account";
    const EFFECT: Effect = Effect::Change;
    const TOOLSET: Toolset = Toolset::Write;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str =
        r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "unset": "plan"}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Done, Status::Partly];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        let person = person_with_properties(context, &subject).await?;
        let named = input.unset.0.into_iter();
        let keys: Result<Vec<String>, ToolError> =
            named.map(|key| own_property(&person, key)).collect();
        let (keys, absent) = partition(&person, distinct(keys?));
        let absent: Vec<String> = {
            let sanitizer = context.limits.sanitizer();
            absent.iter().map(|key| sanitizer.argument(key)).collect()
        };
        if keys.is_empty() {
            return Err(ToolError::invalid_input(not_on_person(
                &context.limits,
                &person,
                &absent,
            )));
        }
        let (uuid, wait) = (person.uuid, input.wait_seconds);
        let context = context.clone();
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: vec![uuid.to_string()],
            property_keys: keys.clone(),
            deletes: Vec::new(),
            merged_into: None,
            preview: None,
            execute: async move {
                let mut result = remove(&context, uuid, keys, wait).await?;
                if !absent.is_empty() {
                    let text = &mut result.output.text;
                    text.push_str("not on this person, not sent: ");
                    write_list(text, &absent);
                    text.push('\n');
                }
                result.output.structured.not_on_person = absent;
                Ok(result)
            }
            .boxed(),
        }))
    }
}

/// The keys that the person has, and the others: PostHog accepts their removal, and a read afterwards would seem to confirm
/// it.
fn partition(person: &Person, keys: Vec<String>) -> (Vec<String>, Vec<String>) {
    let has: HashSet<_> = person.properties.entries().map(|(key, _)| key).collect();
    keys.into_iter()
        .partition(|key| has.contains(&key.as_str().into()))
}

fn not_on_person(limits: &OutputOptions, person: &Person, absent: &[String]) -> String {
    let sanitizer = limits.sanitizer();
    let mut text = format!("Person {} has none of these properties: ", person.uuid);
    write_list(&mut text, absent);
    text.push_str(". Nothing was sent. It has ");
    let names = person
        .properties
        .entries()
        .map(|(key, _)| sanitizer.text(&key));
    let names: Vec<String> = names.collect();
    match names.len() {
        0 => text.push_str("no properties at all"),
        count => {
            write_list(&mut text, names.iter().take(MAX_NAMES));
            if count > MAX_NAMES {
                let _ = write!(text, " and {} more", count - MAX_NAMES);
            }
        }
    }
    text.push_str("; one that was set a moment ago is missing until PostHog has applied it.");
    text
}

async fn remove(
    context: &Context,
    uuid: Uuid,
    keys: Vec<String>,
    wait: WaitSeconds,
) -> Result<WriteResult<Output>, ToolError> {
    let (posthog, limits) = (&context.posthog, &context.limits);
    let id = PersonId::from(uuid);
    let mut removed = Vec::new();
    let mut failed: Vec<(String, Error)> = Vec::new();
    let mut keys = keys.into_iter();
    for key in keys.by_ref() {
        match posthog.delete_property(&id, &key).await {
            Ok(()) => removed.push(key),
            Err(error) => {
                let stop = !matches!(
                    error.kind(),
                    ErrorKind::NotPerformed | ErrorKind::Invalid { .. }
                );
                failed.push((key, error));
                // A failure that is not about this property key, or with an unknown outcome, ends the series.
                if stop {
                    break;
                }
            }
        }
    }
    let not_sent: Vec<String> = keys.collect();
    match (removed.is_empty(), failed.pop()) {
        // A single failed key is reported as a plain error.
        (true, Some((_, error))) if failed.is_empty() && not_sent.is_empty() => {
            Err(property_change::failed(error, uuid))
        }
        (_, None) => {
            let gone = |person: &Person| {
                let mut keys = removed.iter();
                keys.all(|key| !person.properties.contains(key))
            };
            let person = poll(context, wait, || posthog.person(&id), gone).await;
            let seen = Seen::new(wait, person.as_ref().map(gone));
            let result = property_change::accepted(limits, uuid, &removed, "remove", seen);
            Ok(result.map(Output::from))
        }
        (_, Some(last)) => {
            failed.push(last);
            partial_result(limits, uuid, &removed, &failed, &not_sent)
        }
    }
}

/// The result if PostHog accepted some of the keys.
fn partial_result(
    limits: &OutputOptions,
    uuid: Uuid,
    keys: &[String],
    failures: &[(String, Error)],
    not_sent: &[String],
) -> Result<WriteResult<Output>, ToolError> {
    let sanitizer = limits.sanitizer();
    let shown = |keys: &[String]| {
        keys.iter()
            .map(|key| sanitizer.argument(key))
            .collect::<Vec<_>>()
    };
    let (queued, not_sent) = (shown(keys), shown(not_sent));
    let failed: Vec<FailedKey> = failures
        .iter()
        .map(|(key, error)| FailedKey {
            key: sanitizer.argument(key),
            reason: sanitizer
                .reason(error)
                .unwrap_or_else(|| error.kind().name().to_owned()),
            outcome_unknown: error.kind().outcome_unknown(),
        })
        .collect();
    let touched: Vec<String> = queued
        .iter()
        .chain(failed.iter().map(|failed| &failed.key))
        .cloned()
        .collect();
    let check = property_change::check(uuid, &touched);
    let mut text = if queued.is_empty() {
        format!("No property of person {uuid} was confirmed as removed.")
    } else {
        let mut text = format!(
            "Only some properties of person {uuid} could be removed.\nqueued, not done yet: "
        );
        write_list(&mut text, &queued);
        text
    };
    for failed in &failed {
        let unknown = if failed.outcome_unknown {
            "outcome unknown"
        } else {
            "failed"
        };
        text.push_str(&format!("\n{unknown}: {}: {}", failed.key, failed.reason));
    }
    if !not_sent.is_empty() {
        text.push_str("\nnot sent: ");
        write_list(&mut text, &not_sent);
    }
    text.push_str(&format!("\n{check}\n"));
    let unknown = failed.iter().any(|failed| failed.outcome_unknown);
    let outcome = match (queued.is_empty(), unknown) {
        (_, true) => Outcome::Unknown,
        (true, false) => Outcome::NotDone,
        (false, false) => Outcome::Partly,
    };
    if queued.is_empty() {
        return Err(ToolError::write_failed(text, outcome));
    }
    let structured = Output {
        changed: Changed {
            person_uuid: uuid.to_string(),
            queued,
            check,
        },
        failed,
        not_sent,
        not_on_person: Vec::new(),
    };
    Ok(WriteResult {
        status: Status::Partly,
        output: ToolOutput { structured, text },
        outcome,
    })
}
