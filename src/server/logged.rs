//! The lines in the audit log around what a call sends.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use super::call::{Call, CallError, error_result};
use crate::audit::{Line, Write};
use crate::tools::{Outcome, PersonData};

const OUTCOME_NOT_LOGGED: &str = "The audit log has no line with this outcome, because it could not be written. Report this to the operator of this server.";

/// What a line says of a request that changes or exports.
pub(super) struct Request<'a> {
    pub(super) persons: &'a [String],
    pub(super) property_keys: &'a [String],
    pub(super) deletes: &'a [PersonData],
    pub(super) merged_into: Option<&'a str>,
    pub(super) confirmation: &'static str,
}

impl Call {
    /// Writes the line of what is about to be sent, if there is a log.
    pub(super) async fn begin_line(&self, request: Request<'_>) -> Result<Option<Line>, CallError> {
        let Some(audit) = &self.server.safety.audit else {
            return Ok(None);
        };
        let redaction = &self.server.limits.redaction;
        let keys = request.property_keys.iter();
        let posthog = &self.caller.posthog;
        let write = Write {
            tool: self.tool.name,
            host: posthog.host().to_owned(),
            project: self.project().await?,
            key: posthog.key_fingerprint(),
            persons: request.persons.to_vec(),
            property_keys: keys.map(|key| redaction.mask(key).into_owned()).collect(),
            deletes: request.deletes.iter().map(|data| data.name()).collect(),
            merged_into: request.merged_into.map(str::to_owned),
            confirmation: request.confirmation,
        };
        audit.begin(write).await.map(Some).map_err(|error| {
            tracing::error!(tool = self.tool.name, %error, "audit log not writable");
            error_result(
                "The audit log cannot be written, and nothing is changed or exported without an entry. Nothing was sent. The operator of this server must fix this.",
            )
            .into()
        })
    }

    /// Writes the line of the outcome, and says so in the result where that fails.
    pub(super) async fn complete_line(
        &self,
        line: Option<Line>,
        outcome: Outcome,
        result: Result<CallToolResult, CallError>,
    ) -> Result<CallToolResult, CallError> {
        let Some(line) = line else {
            return result;
        };
        match line.complete(outcome.name()).await {
            Ok(()) => result,
            Err(error) => {
                tracing::error!(tool = self.tool.name, %error, "audit log entry not completed");
                self.with_note(result, OUTCOME_NOT_LOGGED)
            }
        }
    }

    /// Adds a note to what the model reads.
    fn with_note(
        &self,
        result: Result<CallToolResult, CallError>,
        note: &str,
    ) -> Result<CallToolResult, CallError> {
        let mut result = match result {
            Err(CallError::Tool(error)) => self.failure(&error),
            result => result?,
        };
        result.content.push(ContentBlock::text(note));
        if let Some(Value::Object(fields)) = &mut result.structured_content {
            fields.insert("audit_log".to_owned(), note.into());
        }
        Ok(result)
    }
}
