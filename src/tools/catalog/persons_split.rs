//! `persons-split`: move distinct ids off a person that was merged by mistake.

mod loss;
mod plan;
mod question;

use futures::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;

use self::plan::{Output, Plan};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, Id, WaitSeconds};
use crate::tools::{Context, PendingWrite, Status, Tool, ToolError, ToolOutcome};
use posthog_client::{Feature, RequiredScopes, Support};

pub(super) struct PersonsSplit;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text.
    id: Id,
    /// Up to 200 distinct ids to move off the person, such as ["user_123"]. Or `main_distinct_id`.
    distinct_ids_to_split: Option<Vec<DistinctId>>,
    /// The only distinct id that stays, such as "user_123"; all others are moved.
    main_distinct_id: Option<DistinctId>,
    /// Allow moving the distinct id that the person's UUID was derived from. PostHog before autumn 2026 blanks the person instead.
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
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:write"]);
    const EXAMPLE: &'static str = r#"{"id": "707be5a0-b120-5ae0-b57a-f77976f29c41", "distinct_ids_to_split": ["katherine@example.com"]}"#;
    const STATUSES: &'static [Status] = &[Status::Queued, Status::Done, Status::Partly];

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let wanted = Selection::new(input.distinct_ids_to_split, input.main_distinct_id)?;
        let person = context.posthog.person(&input.id.0).await?;
        let project = context.posthog.project().await?;
        let partial = match &wanted {
            Selection::These(_) => {
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
            wanted,
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

/// Which distinct ids are to move.
enum Selection {
    These(Vec<String>),
    AllBut(String),
}

impl Selection {
    fn new(these: Option<Vec<DistinctId>>, main: Option<DistinctId>) -> Result<Self, ToolError> {
        match (these, main) {
            (Some(ids), None) if ids.is_empty() => Err(ToolError::invalid_input(
                "`distinct_ids_to_split` is empty. Nothing was sent.",
            )),
            (Some(ids), None) => Ok(Self::These(ids.into_iter().map(|id| id.0).collect())),
            (None, Some(main)) => Ok(Self::AllBut(main.0)),
            _ => Err(ToolError::invalid_input(
                "Give exactly one of `distinct_ids_to_split` and `main_distinct_id`: without either, PostHog would keep an arbitrary \
                 distinct id and move all others. Nothing was sent.",
            )),
        }
    }
}
