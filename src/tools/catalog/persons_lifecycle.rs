//! `persons-lifecycle`: who was new, returning, resurrecting or dormant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Action, Date, Event, Interval, Limit, Offset, Select, select};
use crate::tools::support::insight_page::{actor_page, arguments_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::RequiredScopes;

pub(super) struct PersonsLifecycle;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// A date in the period to look at, such as 2026-01-31.
    target_date: Date,
    /// Lifecycle stage in that period: new; returning from the previous period; resurrecting after a pause; dormant since then.
    lifecycle_type: LifecycleType,
    /// The event that counts as activity; or give `actions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    /// The action that counts as activity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    /// Start: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// Length of a period. Default: day.
    interval: Option<Interval>,
    /// Number of persons per page.
    #[serde(default)]
    limit: Limit,
    /// Number of persons to skip; take it from `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: name, email and country.
    #[serde(skip_serializing)]
    select: Option<Select>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum LifecycleType {
    New,
    Returning,
    Resurrecting,
    Dormant,
}

impl Tool for PersonsLifecycle {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-lifecycle";
    const TITLE: &'static str = "List persons by lifecycle stage";
    const DESCRIPTION: &'static str = "List the persons who were new, returning, resurrecting or dormant in a period. Works only with \
         an API key without scopes; otherwise use persons-list with a cohort filter.";
    const SEARCH_HINT: &'static str = "new, returning, inactive, dormant or churned users and customers; who came \
         back, who left";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = RequiredScopes::ClosedToScopedKeys;
    const EXAMPLE: &'static str = r#"{"target_date": "2026-10-28", "lifecycle_type": "new"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        if !input.events.is_empty() && !input.actions.is_empty() {
            return Err(ToolError::invalid_input(
                "Give `events` or `actions`, not both.",
            ));
        }
        let arguments = arguments_of(&input)?;
        let page = context.posthog.lifecycle(&arguments).await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |row, _| row,
        )
    }
}
