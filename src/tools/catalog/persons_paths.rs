//! `persons-paths`: who came to a place on a path, went on from it, or left there.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::output::PersonsPage;
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    AnyFilter, Date, Limit, NonEmptyString, Offset, Select, list, select,
};
use crate::tools::support::filter_names::resolve_names;
use crate::tools::support::insight_page::{ACCESS, actor_page, actors_query};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    ActorsSource, Filter, InsightBase, PathNode, PathPosition, PathType, RequiredScopes,
};

/// PostHog computes paths of this length at most.
const MAX_STEP: u32 = 19;

pub(super) struct PersonsPaths;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Full URL, screen or event on the path, such as `https://app.example.com/pricing`.
    item: NonEmptyString,
    /// Position of the item on the path, from 1.
    #[schemars(range(min = 1, max = 19))]
    #[serde(default = "first")]
    step: u32,
    /// Which persons: those who arrived from an item before, went on to another, or left there.
    #[serde(default)]
    position: PathPosition,
    /// What the path consists of.
    #[serde(default)]
    path_type: PathType,
    /// Item that paths begin with, such as `https://app.example.com/`. Default: the first of each session.
    start_point: Option<NonEmptyString>,
    /// Start: 2026-01-31, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// As in persons-list; all must match.
    #[serde(default, deserialize_with = "list")]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
    /// Persons per page.
    #[serde(default)]
    limit: Limit,
    /// Persons to skip: `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
    /// As in persons-list.
    select: Option<Select>,
}

fn first() -> u32 {
    1
}

impl Tool for PersonsPaths {
    type Input = Input;
    type Output = PersonsPage;
    const NAME: &'static str = "persons-paths";
    const TITLE: &'static str = "List persons on a path";
    const DESCRIPTION: &'static str = "List the persons who came to a page, screen or event as a step of their path, went on from it, or \
         left there.";
    const SEARCH_HINT: &'static str = "which users and customers visited or left a page or screen; navigation, journey, \
         exits";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Insights;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"item": "sign up", "path_type": "custom_event", "position": "dropped_off", "date_from": "2026-10-26", "date_to": "2026-11-02"}"#;

    async fn call(
        context: &Context,
        mut input: Input,
    ) -> Result<ToolOutcome<PersonsPage>, ToolError> {
        if !(1..=MAX_STEP).contains(&input.step) {
            return Err(ToolError::invalid_input(format!(
                "`step` counts from 1, up to {MAX_STEP}."
            )));
        }
        if input.step == 1 && input.position == PathPosition::Arrived {
            return Err(ToolError::invalid_input(
                "Nobody arrives at step 1: a path begins there. Use `position` continued or dropped_off, or a later `step`.",
            ));
        }
        resolve_names(context, input.properties.iter_mut().collect()).await?;
        let source = ActorsSource::Path {
            base: InsightBase::new(Vec::new())
                .between(
                    input.date_from.map(|date| date.0),
                    input.date_to.map(|date| date.0),
                )
                .matching(&input.properties),
            kind: input.path_type,
            start: input.start_point.map(|start| start.0),
            place: PathNode {
                step: input.step,
                item: input.item.0,
                position: input.position,
            },
        };
        let query = actors_query(source, None, input.limit, input.offset);
        let page = context.posthog.actors(&query).await;
        let range = (input.limit, input.offset);
        actor_page(
            context,
            Self::NAME,
            page,
            range,
            &select(input.select),
            |row, _, _| row,
        )
    }
}
