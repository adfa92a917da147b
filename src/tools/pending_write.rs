//! What a call leads to: a result, or a write that is prepared and not sent.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::ToolError;
use super::pending_export::{PendingExport, PreparedExport};
use super::preview::Preview;
use super::tool::Wanted;
use crate::output::ToolOutput;

/// What a tool returns.
pub enum ToolOutcome<T> {
    /// The result of a call that only reads.
    Complete(ToolOutput<T>),
    /// A write that is prepared and not sent.
    PendingWrite(PendingWrite<T>),
    /// An export that is prepared, for which nothing is read yet.
    PendingExport(PendingExport<T>),
}

impl<T> From<ToolOutput<T>> for ToolOutcome<T> {
    fn from(output: ToolOutput<T>) -> Self {
        Self::Complete(output)
    }
}

/// A prepared write. Nothing is sent until `execute` is polled.
pub struct PendingWrite<T> {
    /// The UUIDs of the persons that it changes.
    pub persons: Vec<String>,
    /// The keys of the properties that it changes; never their values.
    pub property_keys: Vec<String>,
    /// What it deletes of the persons; nothing for a change.
    pub deletes: Vec<PersonData>,
    /// The UUID of the person into which the others are merged.
    pub merged_into: Option<String>,
    /// What it would do. Required where the call requires a confirmation.
    pub preview: Option<Box<Preview<T>>>,
    /// Sends the requests and interprets the responses.
    pub execute: BoxFuture<'static, Result<WriteResult<T>, ToolError>>,
}

/// What a write did.
pub struct WriteResult<T> {
    /// The status in the result.
    pub status: Status,
    /// The result.
    pub output: ToolOutput<T>,
    /// The outcome in the audit log.
    pub outcome: Outcome,
}

impl<T> WriteResult<T> {
    /// The same result with other fields.
    pub(super) fn map<U>(self, fields: impl FnOnce(T) -> U) -> WriteResult<U> {
        WriteResult {
            status: self.status,
            output: ToolOutput {
                structured: fields(self.output.structured),
                text: self.output.text,
            },
            outcome: self.outcome,
        }
    }
}

/// The field `status` of a write's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing was sent; the result shows what would happen.
    DryRun,
    /// Nothing was sent; the call has to be repeated with the confirmation token.
    ConfirmationRequired,
    /// PostHog accepted it and does it later.
    Queued,
    /// PostHog accepted it and does not report whether it has an effect.
    Requested,
    /// It is done.
    Done,
    /// The persons are deleted.
    Deleted,
    /// Some of it is done or queued.
    Partly,
    /// None of it is done.
    Failed,
}

impl Status {
    /// The name in results and schemas.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::ConfirmationRequired => "confirmation_required",
            Self::Queued => "queued",
            Self::Requested => "requested",
            Self::Done => "done",
            Self::Deleted => "deleted",
            Self::Partly => "partly",
            Self::Failed => "failed",
        }
    }
}

/// The outcome of a write, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// PostHog accepted it and does it later.
    Queued,
    /// It is done.
    Done,
    /// Some of it failed.
    Partly,
    /// It was not done.
    NotDone,
    /// Unknown whether it was done.
    Unknown,
}

impl Outcome {
    /// The name in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Done => "done",
            Self::Partly => "partly done",
            Self::NotDone => "not done",
            Self::Unknown => "unknown",
        }
    }
}

/// A part of what PostHog holds about a person, which a deletion deletes or leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonData {
    /// The person with its properties and distinct ids.
    Profile,
    /// Its events.
    Events,
    /// Its session recordings.
    Recordings,
}

impl PersonData {
    /// All parts.
    pub const ALL: [Self; 3] = [Self::Profile, Self::Events, Self::Recordings];

    /// The name in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Events => "events",
            Self::Recordings => "recordings",
        }
    }
}

/// A call that is ready, with the tool's types erased.
pub enum PreparedCall {
    /// The result: of a read, without its fields where nobody wants them, or of a dry run.
    Complete(ToolOutput<Value>),
    /// A write that is not sent.
    Write(PreparedWrite),
    /// An export that has not begun.
    Export(PreparedExport),
}

/// A [`PendingWrite`] with its types erased.
pub struct PreparedWrite {
    /// The UUIDs of the persons that it changes.
    pub persons: Vec<String>,
    /// The keys of the properties that it changes.
    pub property_keys: Vec<String>,
    /// What it deletes of the persons.
    pub deletes: Vec<PersonData>,
    /// The UUID of the person into which the others are merged.
    pub merged_into: Option<String>,
    /// What has to be confirmed before it is sent; nothing if the call requires no confirmation.
    pub to_confirm: Option<Box<Preview<Value>>>,
    /// Sends it.
    pub execute: BoxFuture<'static, Result<(ToolOutput<Value>, Outcome), ToolError>>,
}

/// The fields of a write's result: those of the tool, and those that all writes have.
#[derive(Serialize)]
struct Fields<'a, T> {
    status: Status,
    #[serde(flatten)]
    facts: &'a T,
    /// The whole text: many clients give the model the fields alone, and what it says must reach it.
    message: &'a str,
}

impl<T: Serialize + 'static> ToolOutcome<T> {
    /// Erases the types, and replaces the write by its preview on a dry run.
    ///
    /// A call that deletes requires a confirmation, and so does one that changes more than one person.
    pub(super) fn prepare(self, deletes: bool, wanted: Wanted) -> Result<PreparedCall, ToolError> {
        let Wanted { dry_run, fields } = wanted;
        let write = match self {
            Self::Complete(ToolOutput { structured, text }) => {
                let structured = if fields {
                    to_value(&structured)?
                } else {
                    Value::Null
                };
                return Ok(PreparedCall::Complete(ToolOutput { structured, text }));
            }
            Self::PendingExport(export) => return Ok(PreparedCall::Export(export.prepare())),
            Self::PendingWrite(write) => write,
        };
        let requires_confirmation = deletes || write.persons.len() > 1;
        let preview = write.preview.as_ref();
        if (requires_confirmation || dry_run) && preview.is_none() {
            return Err(defect("a write without a preview"));
        }
        let to_confirm = match preview {
            Some(preview) if dry_run => return preview.dry_run().map(PreparedCall::Complete),
            Some(preview) if requires_confirmation => Some(Box::new(Preview {
                question: preview.question.clone(),
                text: preview.text.clone(),
                facts: to_value(&preview.facts)?,
                digest: preview.digest,
            })),
            _ => None,
        };
        let execute = write.execute.map(|result| {
            let result = result?;
            let structured = to_value(&Fields {
                status: result.status,
                facts: &result.output.structured,
                message: &result.output.text,
            })?;
            let text = result.output.text;
            Ok((ToolOutput { structured, text }, result.outcome))
        });
        Ok(PreparedCall::Write(PreparedWrite {
            persons: write.persons,
            property_keys: write.property_keys,
            deletes: write.deletes,
            merged_into: write.merged_into,
            to_confirm,
            execute: execute.boxed(),
        }))
    }
}

pub(super) fn to_value(structured: &impl Serialize) -> Result<Value, ToolError> {
    serde_json::to_value(structured).map_err(|error| defect(&error.to_string()))
}

fn defect(error: &str) -> ToolError {
    tracing::error!(error, "tool result could not be built");
    ToolError::invalid_input("The result could not be serialized; this is a defect of the server.")
}
