//! `persons-cohorts-retrieve`: the cohorts of the project, or those that a person is in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{Cells, Row, ToolOutput, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Id, Limit, Offset, SearchText};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{PersonId, RequiredScopes};

pub(super) struct PersonsCohortsRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Default: list the project's cohorts instead.
    person_id: Option<Id>,
    /// Part of the names of the project's cohorts, such as "paying". Default: all.
    search: Option<SearchText>,
    /// Cohorts per page.
    #[serde(default)]
    limit: Limit,
    /// Cohorts to skip: `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<String>,
    results: Vec<CohortRow>,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CohortRow {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    // Persons in the cohort.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<CohortKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_calculation: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum CohortKind {
    Static,
    Dynamic,
}

impl Row for CohortRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let mut header = vec!["id", "name", "count"];
        if rows.iter().any(|row| row.kind.is_some()) {
            header.extend(["kind", "last_calculation"]);
        }
        header.into_iter().map(str::to_owned).collect()
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        cells.number(self.id);
        cells.optional(self.name.as_deref());
        match self.count {
            Some(count) => cells.number(count),
            None => cells.empty(),
        }
        if header.len() > 3 {
            cells.optional(self.kind.map(|kind| match kind {
                CohortKind::Static => "static",
                CohortKind::Dynamic => "dynamic",
            }));
            cells.optional(self.last_calculation.as_deref());
        }
    }
}

impl Tool for PersonsCohortsRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-cohorts-retrieve";
    const TITLE: &'static str = "List cohorts";
    const DESCRIPTION: &'static str = "List the cohorts (segments, audiences) that a person is in, or without `person_id` those of the \
         project. To list the persons in a cohort, use persons-list with a cohort filter, which takes the cohort's name \
         as well.";
    const SEARCH_HINT: &'static str = "which cohort, segment, audience or group a user or customer is in; which \
         cohorts are there, how large";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read", "cohort:read"]);
    const EXAMPLE: &'static str = r#"{"person_id": "ada0ada0-1815-4852-8000-000000000101"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let output = match input.person_id {
            None => of_project(context, input.search.as_ref(), input.limit, input.offset).await?,
            Some(_) if input.search.is_some() || input.offset.0 > 0 => {
                return Err(ToolError::invalid_input(
                    "`search` and `offset` are for the project's cohorts; leave them out, or `person_id`.",
                ));
            }
            Some(id) => of_person(context, &id.0).await?,
        };
        Ok(output.into())
    }
}

async fn of_project(
    context: &Context,
    search: Option<&SearchText>,
    limit: Limit,
    offset: Offset,
) -> Result<ToolOutput<Output>, ToolError> {
    let search = search.map(|text| text.0.as_str());
    let page = context.posthog.cohorts(search, limit.0, offset.0).await?;
    let truncated = truncate_rows(&context.limits, &page.results, |cohort, sanitizer| {
        CohortRow {
            id: cohort.id,
            name: cohort.name.as_ref().map(|name| sanitizer.text(name)),
            count: cohort.count,
            kind: Some(if cohort.is_static {
                CohortKind::Static
            } else {
                CohortKind::Dynamic
            }),
            last_calculation: cohort
                .last_calculation
                .as_ref()
                .map(|time| sanitizer.day(time)),
        }
    });
    let shown = truncated.rows.len();
    let mut notes = Vec::new();
    if shown > 0 {
        notes.push(
            "`count` is the number of persons at the last calculation; the persons of a static cohort were picked and do not \
             change by themselves."
                .to_owned(),
        );
    } else if search.is_some() {
        notes.push("Call without `search` for all cohorts.".to_owned());
    }
    let is_last = shown == page.results.len() && !page.has_next();
    let next_offset = (!is_last && shown > 0).then(|| {
        let shown = u32::try_from(shown).unwrap_or(u32::MAX);
        offset.0.saturating_add(shown)
    });
    if let Some(next) = next_offset {
        notes.push(format!(
            "There are more: call {} with the same arguments and offset {next}.",
            PersonsCohortsRetrieve::NAME
        ));
    }
    let head = match (shown, page.count) {
        (0, _) if offset.0 > 0 => "No more cohorts\n".to_owned(),
        (0, _) if search.is_some() => "No cohort has such a name\n".to_owned(),
        (0, _) => "The project has no cohorts\n".to_owned(),
        (1, None | Some(1)) => "1 cohort\n".to_owned(),
        (_, Some(count)) if count > shown as u64 => format!("{shown} of {count} cohorts\n"),
        _ => format!("{shown} cohorts\n"),
    };
    Ok(
        truncated.into_output(&head, notes, |results, notes| Output {
            person_id: None,
            results,
            next_offset,
            notes,
        }),
    )
}

async fn of_person(context: &Context, id: &PersonId) -> Result<ToolOutput<Output>, ToolError> {
    let posthog = &context.posthog;
    // That endpoint looks in the project that the key's owner has selected, and fails in some versions of PostHog. A query
    // finds the cohorts in this project.
    let (cohorts, is_verified) = match posthog.person_cohorts(id).await {
        Ok(cohorts) if cohorts.is_empty() => match posthog.cohorts_in_project(id).await {
            Ok(cohorts) => (cohorts, true),
            Err(_) => (cohorts, false),
        },
        Ok(cohorts) => (cohorts, true),
        Err(error) if error.is_of_failing_endpoint() => {
            let cohorts = posthog.cohorts_in_project(id).await;
            (cohorts.map_err(|_| error)?, true)
        }
        Err(error) => return Err(error.into()),
    };
    let truncated = truncate_rows(&context.limits, &cohorts, |cohort, sanitizer| CohortRow {
        id: cohort.id,
        name: cohort.name.as_ref().map(|name| sanitizer.text(name)),
        count: cohort.count,
        kind: None,
        last_calculation: None,
    });
    let mut notes = vec!["As of each cohort's last calculation.".to_owned()];
    if !is_verified {
        let project = posthog.project().await?;
        notes.push(format!(
            "No cohorts. PostHog searches the project that the API key's owner has selected: if that is not project {project}, the \
             list is empty even if the person is in cohorts. With the scope query:read the key can search project {project}."
        ));
    } else if cohorts.is_empty() {
        notes.push("No cohorts.".to_owned());
    }
    Ok(truncated.into_output("", notes, |results, notes| Output {
        person_id: Some(id.as_str().to_owned()),
        results,
        next_offset: None,
        notes,
    }))
}
