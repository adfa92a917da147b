//! `persons-list`: find and page through persons.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::{DistinctId, Limit, Offset, Select, Text, select};
use super::{Context, Tool, ToolError};
use crate::answer::{self, Answer, Page, PersonsPage, clean_lines, page_of_persons, push_notes};
use crate::policy::{Effect, Toolset};
use crate::posthog::{Filter, PersonsQuery};

pub(super) struct PersonsList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Part of an email, name, UUID or distinct id (% and _ are wildcards). Slow; prefer email or distinct_id
    search: Option<Text>,
    /// Exact email
    email: Option<Text>,
    /// Exact distinct id
    distinct_id: Option<DistinctId>,
    /// Filters; all must hold
    #[serde(default)]
    properties: Vec<Filter>,
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    /// Also count all matches (slower)
    #[serde(default)]
    include_total: bool,
    select: Option<Select>,
    /// csv: every property, as text, cut to the answer's budget; limit, offset and select do not apply
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    #[default]
    Json,
    Csv,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    #[serde(flatten)]
    page: PersonsPage,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<String>,
}

impl Tool for PersonsList {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-list";
    const TITLE: &'static str = "List persons";
    const DESCRIPTION: &'static str = "Finds persons by email, distinct id, part of a name or id, or property filters; without any, lists \
         all, newest first. One known person: persons-retrieve. Many known ids: persons-batch-retrieve.";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;

    async fn call(context: &Context, input: Input) -> Result<Answer<Output>, ToolError> {
        let query = PersonsQuery {
            search: input.search.map(|text| text.0),
            email: input.email.map(|text| text.0),
            distinct_id: input.distinct_id.map(|id| id.0),
            properties: input.properties,
            limit: input.limit.0,
            offset: input.offset.0,
            include_total: input.include_total,
        };
        if input.format == Format::Csv {
            return csv(context, &query).await;
        }
        let select = select(input.select);
        let page = context.posthog.persons(&query).await?;
        let answer = page_of_persons(
            context.limits,
            &page.results,
            Page {
                tool: Self::NAME,
                offset: query.offset,
                limit: query.limit,
                has_next: page.has_next(),
                count: page.count,
                select: &select,
                notes: Vec::new(),
            },
        );
        Ok(Answer {
            structured: Output {
                page: answer.structured,
                csv: None,
            },
            text: answer.text,
        })
    }
}

async fn csv(context: &Context, query: &PersonsQuery) -> Result<Answer<Output>, ToolError> {
    let budget = answer::csv_budget(context.limits);
    let (csv, cut) = context.posthog.persons_csv(query, budget).await?;
    let mut csv = clean_lines(&csv).into_owned();
    let mut notes = Vec::new();
    if cut {
        // A quoted value can hold line breaks, so the last whole line may end inside one; it is still a line of the file.
        csv.truncate(csv.rfind('\n').map_or(0, |end| end + 1));
        notes.push(
            "The CSV is cut here at the answer's budget: more persons match. Narrow the filters, or page through \
             persons-list without format."
                .to_owned(),
        );
    }
    let mut text = csv.clone();
    push_notes(&mut text, &notes);
    let page = PersonsPage::empty(notes);
    Ok(Answer {
        structured: Output {
            page,
            csv: Some(csv),
        },
        text,
    })
}
