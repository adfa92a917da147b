//! What a call leads to: an answer, or a write that waits to be sent.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::ToolError;
use crate::output::Answer;

/// Where a call has led.
pub enum Step<T> {
    /// To its answer.
    Done(Answer<T>),
    /// To a write that is prepared and not sent.
    Write(Write<T>),
}

impl<T> From<Answer<T>> for Step<T> {
    fn from(answer: Answer<T>) -> Self {
        Self::Done(answer)
    }
}

/// A prepared write. Nothing is sent until `send` is polled, and it can be polled once.
pub struct Write<T> {
    /// The UUIDs of the persons it is about.
    pub persons: Vec<String>,
    /// The keys of the properties it is about; never their values.
    pub property_keys: Vec<String>,
    /// What a human has to see before. A deletion without one is never sent.
    pub preview: Option<Preview<T>>,
    /// The request, and what its answer means.
    pub send: BoxFuture<'static, Result<(Answer<T>, Outcome), ToolError>>,
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

impl<T: Serialize + 'static> Step<T> {
    /// The same with fields in place of types.
    pub(super) fn into_values(self) -> Result<Step<Value>, ToolError> {
        Ok(match self {
            Self::Done(answer) => Step::Done(values(answer)?),
            Self::Write(write) => Step::Write(Write {
                persons: write.persons,
                property_keys: write.property_keys,
                preview: match write.preview {
                    Some(preview) => Some(Preview {
                        question: preview.question,
                        facts: value(&preview.facts)?,
                    }),
                    None => None,
                },
                send: write
                    .send
                    .map(|sent| {
                        let (answer, outcome) = sent?;
                        Ok((values(answer)?, outcome))
                    })
                    .boxed(),
            }),
        })
    }
}

fn values<T: Serialize>(answer: Answer<T>) -> Result<Answer<Value>, ToolError> {
    Ok(Answer {
        structured: value(&answer.structured)?,
        text: answer.text,
    })
}

fn value(structured: &impl Serialize) -> Result<Value, ToolError> {
    serde_json::to_value(structured).map_err(|error| {
        tracing::error!(%error, "an answer has no JSON form");
        ToolError::refused("The answer could not be put into JSON; this is a defect of the server.")
    })
}
