//! `persons-split`: move distinct ids off a person that was merged by mistake.

mod loss;
mod plan;
mod question;
mod selection;

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;

use self::plan::{Output, Plan};
use self::selection::Selection;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, NonEmptyString, WaitSeconds};
use crate::tools::{Context, PendingWrite, Status, Tool, ToolError, ToolOutcome};
use posthog_client::{Feature, RequiredScopes, Support};

pub(super) struct PersonsSplit;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text.
    id: Id,
    /// Distinct ids to move, at most 200, such as ["user_123"].
    distinct_ids_to_split: Option<Vec<DistinctId>>,
    /// Or move all that begin so, at most 2500, such as "kiosk-".
    distinct_ids_prefix: Option<NonEmptyString>,
    /// Or move all but this one, such as "user_123".
    main_distinct_id: Option<DistinctId>,
    /// Allow moving the distinct id that the person's UUID derives from. PostHog before autumn 2026 blanks the person instead.
    #[serde(default)]
    allow_creator_id: bool,
    /// Seconds to wait for the effect.
    #[serde(default)]
    wait_seconds: WaitSeconds,
}

impl Tool for PersonsSplit {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-split";
    const TITLE: &'static str = "Split a merged person";
    const DESCRIPTION: &'static str = "Undo a wrong merge: move distinct ids off a person, each to a new person without properties; \
         their events follow. A split cannot be undone, so the user must confirm.";
    const SEARCH_HINT: &'static str = "undo a merge, unmerge, split or separate two users, customers or accounts; \
         wrong duplicate, mixed-up identities";
    const EFFECT: Effect = Effect::Delete { idempotent: false };
    const TOOLSET: Toolset = Toolset::Delete;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str = r#"{"id": "707be5a0-b120-5ae0-b57a-f77976f29c41", "distinct_ids_to_split": ["katherine@example.com"]}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Done, Status::Partly];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let wanted = Selection::new(
            input.distinct_ids_to_split,
            input.distinct_ids_prefix,
            input.main_distinct_id,
        )?;
        let person = context.posthog.person(&input.id.0).await?;
        let project = context.posthog.project().await?;
        let partial = match &wanted {
            Selection::These(_) | Selection::BeginningWith(_) => {
                context.posthog.require(Feature::PartialSplit).await?;
                true
            }
            Selection::AllBut(_) => {
                context.posthog.support(Feature::PartialSplit).await? == Support::Supported
            }
        };
        let plan = Plan::new(
            context,
            project,
            &person,
            &wanted,
            partial,
            input.allow_creator_id,
        )?;
        let preview = plan.preview();
        let (context, wait) = (context.clone(), input.wait_seconds);
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: vec![plan.target.uuid.clone()],
            property_keys: Vec::new(),
            deletes: Vec::new(),
            merged_into: None,
            preview: Some(Box::new(preview)),
            execute: async move { plan.send(&context, wait).await }.boxed(),
        }))
    }
}
