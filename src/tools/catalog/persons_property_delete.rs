//! `persons-property-delete`: remove properties of a person.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::output::{OutputOptions, ToolOutput, write_list};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, distinct, subject};
use crate::tools::support::property_change::{self, Changed};
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{
    Context, Outcome, PendingWrite, Status, Tool, ToolError, ToolOutcome, WriteResult,
};
use posthog_client::{Client, Error, ErrorKind, PersonId, RequiredScopes};

/// PostHog accepts one key per request, and 240 requests per minute.
const MAX_KEYS: usize = 100;

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
}

impl From<Changed> for Output {
    fn from(changed: Changed) -> Self {
        Self {
            changed,
            failed: Vec::new(),
            not_sent: Vec::new(),
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
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);
    const EXAMPLE: &'static str =
        r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "unset": "plan"}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Partly];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let subject = subject(input.id, input.distinct_id)?;
        let keys = input.unset.0;
        let uuid = uuid_of(context, &subject).await?;
        let context = context.clone();
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: vec![uuid.to_string()],
            property_keys: keys.clone(),
            preview: None,
            execute: async move { remove(&context, uuid, keys).await }.boxed(),
        }))
    }
}

async fn remove(
    context: &Context,
    uuid: Uuid,
    keys: Vec<String>,
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
                let error = explained(posthog, &id, error).await;
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
            let WriteResult {
                status,
                output,
                outcome,
            } = property_change::queued(limits, uuid, &removed, "remove");
            let structured = output.structured.into();
            let text = output.text;
            Ok(WriteResult {
                status,
                output: ToolOutput { structured, text },
                outcome,
            })
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
            reason: error.reason().map_or_else(
                || error.kind().name().to_owned(),
                |reason| sanitizer.text(reason),
            ),
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
    };
    Ok(WriteResult {
        status: Status::Partly,
        output: ToolOutput { structured, text },
        outcome,
    })
}

/// PostHog responds 500 for an unknown person; a read distinguishes that from a failure.
async fn explained(posthog: &Client, id: &PersonId, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Server { status: 500 }) {
        return error;
    }
    match posthog.person(id).await {
        Err(missing) if *missing.kind() == ErrorKind::NotFound => missing,
        _ => error,
    }
}
