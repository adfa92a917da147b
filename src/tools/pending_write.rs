//! What a call leads to: an answer, or a write that waits to be sent.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::ToolError;
use crate::output::ToolOutput;

/// Where a call has led.
pub enum ToolOutcome<T> {
    /// To its answer.
    Complete(ToolOutput<T>),
    /// To a write that is prepared and not sent.
    PendingWrite(PendingWrite<T>),
}

impl<T> From<ToolOutput<T>> for ToolOutcome<T> {
    fn from(answer: ToolOutput<T>) -> Self {
        Self::Complete(answer)
    }
}

/// A prepared write. Nothing is sent until `send` is polled, and it can be polled once.
pub struct PendingWrite<T> {
    /// The UUIDs of the persons it is about.
    pub persons: Vec<String>,
    /// The keys of the properties it is about; never their values.
    pub property_keys: Vec<String>,
    /// What a human has to see before. A deletion without one is never sent.
    pub preview: Option<Preview<T>>,
    /// The request, and what its answer means.
    pub execute: BoxFuture<'static, Result<(ToolOutput<T>, Outcome), ToolError>>,
}

/// What would be deleted.
pub struct Preview<T> {
    /// The question, for a human: plain text that nobody's name can forge.
    pub question: String,
    /// The same facts as fields, the answer's own with the status `confirmation_required`.
    pub facts: T,
}

/// What became of a write, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// PostHog has it and will do it.
    Queued,
    /// It is done.
    Done,
    /// Some of it failed.
    Partly,
    /// It was not done.
    NotDone,
    /// Nobody can say.
    Unknown,
}

impl Outcome {
    /// The word in the audit log.
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

impl<T: Serialize + 'static> ToolOutcome<T> {
    /// The same with fields in place of types.
    pub(super) fn into_values(self) -> Result<ToolOutcome<Value>, ToolError> {
        Ok(match self {
            Self::Complete(answer) => ToolOutcome::Complete(values(answer)?),
            Self::PendingWrite(write) => ToolOutcome::PendingWrite(PendingWrite {
                persons: write.persons,
                property_keys: write.property_keys,
                preview: match write.preview {
                    Some(preview) => Some(Preview {
                        question: preview.question,
                        facts: value(&preview.facts)?,
                    }),
                    None => None,
                },
                execute: write
                    .execute
                    .map(|sent| {
                        let (answer, outcome) = sent?;
                        Ok((values(answer)?, outcome))
                    })
                    .boxed(),
            }),
        })
    }
}

fn values<T: Serialize>(answer: ToolOutput<T>) -> Result<ToolOutput<Value>, ToolError> {
    Ok(ToolOutput {
        structured: value(&answer.structured)?,
        text: answer.text,
    })
}

fn value(structured: &impl Serialize) -> Result<Value, ToolError> {
    serde_json::to_value(structured).map_err(|error| {
        tracing::error!(%error, "an answer has no JSON form");
        ToolError::invalid_input(
            "The answer could not be put into JSON; this is a defect of the server.",
        )
    })
}
