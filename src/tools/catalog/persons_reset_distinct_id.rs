//! `persons-reset-distinct-id`: make a distinct id visible again that was deleted and then used anew.

use futures::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::ToolOutput;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::DistinctId;
use crate::tools::{
    Context, Outcome, PendingWrite, Status, Tool, ToolError, ToolOutcome, WriteResult,
};
use posthog_client::RequiredScopes;

pub(super) struct PersonsResetDistinctId;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Exact distinct id that was deleted and sends events again, such as "user_123".
    distinct_id: DistinctId,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    distinct_id: String,
    check: String,
}

impl Tool for PersonsResetDistinctId {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-reset-distinct-id";
    const TITLE: &'static str = "Reset a deleted distinct id";
    const DESCRIPTION: &'static str = "When a deleted user came back: make the person visible in lists again, after the distinct id has sent a \
         new event. It has no effect before that event.";
    const SEARCH_HINT: &'static str = "deleted user or customer came back, is missing from lists, signs up again \
         with the same id";
    const EFFECT: Effect = Effect::Change;
    const TOOLSET: Toolset = Toolset::Write;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str = r#"{"distinct_id": "luigi@example.com"}"#;
    const STATUSES: &'static [Status] = &[Status::Requested];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let distinct_id = input.distinct_id.0;
        let context = context.clone();
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            // PostHog does not return the person.
            persons: Vec::new(),
            property_keys: Vec::new(),
            deletes: Vec::new(),
            merged_into: None,
            preview: None,
            execute: async move {
                let shown = context.limits.sanitizer().argument(&distinct_id);
                let look = format!("persons-list with search {shown:?} finds the person once the reset worked");
                let sent = context.posthog.reset_distinct_id(&distinct_id).await;
                sent.map_err(|error| ToolError::from(error).with_verification_hint(format!("{look}.")))?;
                let check = format!(
                    "PostHog responds the same whether or not it had an effect: it works only if the distinct id has sent an event since the \
                     deletion. {look}; if not, wait for the next event and call this again."
                );
                let text = format!("Requested: reset of distinct id {shown}.\n{check}\n");
                let structured = Output {
                    distinct_id: shown,
                    check,
                };
                Ok(WriteResult {
                    status: Status::Requested,
                    output: ToolOutput { structured, text },
                    outcome: Outcome::Queued,
                })
            }
            .boxed(),
        }))
    }
}
