//! The person that a changing tool is about.

use uuid::Uuid;

use crate::tools::arguments::Subject;
use crate::tools::{Context, ToolError};
use posthog_client::PersonId;

/// The person's UUID: known at once if it was given, else looked up.
pub(in crate::tools) async fn uuid_of(
    context: &Context,
    subject: &Subject,
) -> Result<Uuid, ToolError> {
    let person = match subject {
        Subject::Id(id) => match id.uuid() {
            Some(uuid) => return Ok(uuid),
            None => context.posthog.person(id).await?,
        },
        Subject::DistinctId(distinct_id) => {
            context.posthog.person_by_distinct_id(distinct_id).await?
        }
    };
    match PersonId::parse(&person.uuid).and_then(|id| id.uuid()) {
        Some(uuid) => Ok(uuid),
        None => Err(ToolError::invalid_input(
            "PostHog gave a person without a usable UUID; nothing was sent.",
        )),
    }
}
