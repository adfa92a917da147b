//! What a write would do: the question for the user, the text for the model, and what a confirmation is bound to.

use serde::Serialize;
use serde_json::Value;

use super::ToolError;
use super::pending_write::{Status, to_value};
use crate::output::ToolOutput;
use crate::question::{FactsDigest, Question};

/// What a write would do.
pub struct Preview<T> {
    /// The question for a human.
    pub question: Question,
    /// The same for the model, continuing the sentence "A call without dry_run would".
    pub text: String,
    /// The same as fields.
    pub facts: T,
    /// What the facts are made of: if that changes, a confirmation no longer matches.
    pub digest: FactsDigest,
}

/// The fields of a result that shows a preview.
#[derive(Serialize)]
struct PreviewFields<'a, T> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation: Option<&'a str>,
    /// The whole text: many clients give the model the fields alone, and what it says must reach it.
    message: &'a str,
    #[serde(flatten)]
    facts: &'a T,
}

impl<T: Serialize> Preview<T> {
    /// The fields of a result that asks for a confirmation by token. `message` is its text.
    ///
    /// # Errors
    /// When they have no JSON form, which is a defect.
    pub fn confirmation_required(&self, token: &str, message: &str) -> Result<Value, ToolError> {
        to_value(&PreviewFields {
            status: Status::ConfirmationRequired,
            confirmation: Some(token),
            message,
            facts: &self.facts,
        })
    }

    pub(super) fn dry_run(&self) -> Result<ToolOutput<Value>, ToolError> {
        let text = format!(
            "Nothing was sent. A call without dry_run would {}",
            self.text
        );
        let structured = to_value(&PreviewFields {
            status: Status::DryRun,
            confirmation: None,
            message: &text,
            facts: &self.facts,
        })?;
        Ok(ToolOutput { structured, text })
    }
}
