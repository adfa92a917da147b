//! `persons-cohorts-retrieve`: which cohorts a person is in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{Cells, Row, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::Id;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::RequiredScopes;

pub(super) struct PersonsCohortsRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text.
    person_id: Id,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    person_id: String,
    results: Vec<CohortRow>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CohortRow {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    // Persons in the cohort.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
}

impl Row for CohortRow {
    fn header(_: &[Self]) -> Vec<String> {
        ["id", "name", "count"].map(str::to_owned).to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.number(self.id);
        cells.optional(self.name.as_deref());
        match self.count {
            Some(count) => cells.number(count),
            None => cells.empty(),
        }
    }
}

impl Tool for PersonsCohortsRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-cohorts-retrieve";
    const TITLE: &'static str = "List a person's cohorts";
    const DESCRIPTION: &'static str = "List the cohorts (segments, audiences) that a person is in. To list the \
         persons in a cohort, use persons-list with a cohort filter.";
    const SEARCH_HINT: &'static str =
        "which cohort, segment, audience or group a user or customer is in";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read", "cohort:read"]);
    const EXAMPLE: &'static str = r#"{"person_id": "ada0ada0-1815-4852-8000-000000000101"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let posthog = &context.posthog;
        let id = &input.person_id.0;
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
        });
        let mut notes = vec!["As of each cohort's last calculation.".to_owned()];
        if !is_verified {
            let project = posthog.project().await?;
            notes.push(format!(
                "No cohorts. PostHog searches the project that the API key's owner has selected: if that is not project \
                 {project}, the list is empty even if the person is in cohorts. With the scope query:read the key can search project \
                 {project}."
            ));
        } else if cohorts.is_empty() {
            notes.push("No cohorts.".to_owned());
        }
        let output = truncated.into_output("", notes, |results, notes| Output {
            person_id: id.as_str().to_owned(),
            results,
            notes,
        });
        Ok(output.into())
    }
}
