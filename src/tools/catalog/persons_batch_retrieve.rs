//! `persons-batch-retrieve`: many persons by known ids.

use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::output::{
    self, Cells, OutputOptions, PersonRow, REQUESTED, Row, Sanitizer, ToolOutput, Truncated,
    truncate_names, truncate_rows, write_list, write_notes,
};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, PersonUuid, Select, distinct, select};
use crate::tools::support::resolve_person::partition;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{MINIMAL_DISTINCT_IDS, Person, RequiredScopes, Untrusted};

/// The ids of ten requests.
const MAX_IDS: usize = 2000;

pub(super) struct PersonsBatchRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Up to 2000 exact distinct ids, such as ["user_123"]. Give this or `uuids`.
    distinct_ids: Option<Vec<DistinctId>>,
    /// Up to 2000 person UUIDs. Give this or `distinct_ids`.
    uuids: Option<Vec<PersonUuid>>,
    /// Property names to show, such as ["plan", "$os"]; ["*"] shows all. Default: name, email and country.
    select: Option<Select>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    results: Vec<RequestedRow>,
    not_found: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// A requested id and its person.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct RequestedRow {
    requested: String,
    #[serde(flatten)]
    person: PersonRow,
}

impl RequestedRow {
    fn new(
        id: &Untrusted<String>,
        sent: &Person,
        person: PersonRow,
        sanitizer: &Sanitizer,
    ) -> Self {
        Self {
            requested: requested(id, sent, sanitizer),
            person,
        }
    }
}

impl Row for RequestedRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let columns = PersonRow::columns(rows.iter().map(|row| &row.person));
        [vec![REQUESTED.to_owned()], columns].concat()
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.requested);
        let (_, columns) = header.split_first().unwrap_or((&String::new(), header));
        self.person.cells(columns, cells);
    }
}

impl Tool for PersonsBatchRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-batch-retrieve";
    const TITLE: &'static str = "Get persons in bulk";
    const DESCRIPTION: &'static str = "Look up many persons at once: up to 2000 by distinct ids or UUIDs, and the \
         ids that belong to no person. A person with several of the distinct ids is listed once for each.";
    const SEARCH_HINT: &'static str =
        "look up many users, customers or accounts in bulk from a list of ids";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"uuids": ["ada0ada0-1815-4852-8000-000000000101"]}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let posthog = &context.posthog;
        let (persons, not_found): (Vec<(Untrusted<String>, Person)>, Vec<_>) =
            match (input.distinct_ids, input.uuids) {
                (Some(ids), None) => {
                    let ids = wanted(ids.into_iter().map(|id| Untrusted::from(id.0)))?;
                    let found = posthog.persons_by_distinct_ids(&ids).await?;
                    partition(ids, found)
                }
                (None, Some(uuids)) => {
                    let ids = wanted(uuids.iter().map(|uuid| uuid.0))?;
                    let found = posthog.persons_by_uuids(&ids).await?;
                    let (persons, not_found) = partition(ids, found);
                    let text = |uuid: Uuid| Untrusted::from(uuid.to_string());
                    (
                        persons
                            .into_iter()
                            .map(|(uuid, person)| (text(uuid), person))
                            .collect(),
                        not_found.into_iter().map(text).collect(),
                    )
                }
                _ => {
                    return Err(ToolError::invalid_input(
                        "Give exactly one of `distinct_ids` and `uuids`.",
                    ));
                }
            };
        Ok(batch_output(context, &persons, &not_found, &select(input.select)).into())
    }
}

/// Drops repeated ids and checks how many are left.
fn wanted<T: Clone + Eq + Hash>(ids: impl Iterator<Item = T>) -> Result<Vec<T>, ToolError> {
    let ids = distinct(ids);
    match ids.len() {
        1..=MAX_IDS => Ok(ids),
        0 => Err(ToolError::invalid_input("The list of ids is empty.")),
        count => Err(ToolError::invalid_input(format!(
            "{count} ids are too many; at most {MAX_IDS} are allowed per call."
        ))),
    }
}

fn batch_output(
    context: &Context,
    persons: &[(Untrusted<String>, Person)],
    not_found: &[Untrusted<String>],
    select: &output::Select,
) -> ToolOutput<Output> {
    let sanitizer = context.limits.sanitizer();
    let missing = not_found.len();
    // The missing ids are part of the result, so the rows get the remaining bytes.
    let not_found = truncate_names(
        context.limits.bytes / 2,
        not_found.iter().map(|id| sanitizer.text(id)).collect(),
    );
    let taken: usize = not_found.iter().map(|id| id.len() + 4).sum();
    let limits = context.limits.without(taken);

    let mut notes = Vec::new();
    let truncated = rows(&limits, persons, select, &mut notes);
    if let Some((first, person)) = persons.get(truncated.rows.len()) {
        notes.push(format!(
            "{} persons did not fit, in the order of the request those from the id {} on; call again with the rest, or select fewer \
             properties.",
            persons.len() - truncated.rows.len(),
            requested(first, person, &sanitizer)
        ));
    }
    if truncated.truncated_values > 0 {
        notes.push("Long values are truncated and end with …; persons-retrieve with select shows more of one.".to_owned());
    }
    if not_found.len() < missing {
        notes.push(format!(
            "Only {} of the {missing} ids that belong to no person are listed; request fewer.",
            not_found.len()
        ));
    }
    let mut text = format!(
        "{} found, {missing} not found\n{}",
        persons.len(),
        truncated.table
    );
    if !not_found.is_empty() {
        text.push_str("not found: ");
        write_list(&mut text, &not_found);
        text.push('\n');
    }
    write_notes(&mut text, &notes);
    ToolOutput {
        structured: Output {
            results: truncated.rows,
            not_found,
            notes,
        },
        text,
    }
}

/// Rows with all selected fields, or with fewer fields if that shows more persons: there is no next page.
fn rows(
    limits: &OutputOptions,
    persons: &[(Untrusted<String>, Person)],
    select: &output::Select,
    notes: &mut Vec<String>,
) -> Truncated<RequestedRow> {
    let truncated = truncate_rows(limits, persons, |(id, person), sanitizer| {
        let row = PersonRow::new(person, select, MINIMAL_DISTINCT_IDS, sanitizer);
        RequestedRow::new(id, person, row, sanitizer)
    });
    if truncated.rows.len() == persons.len() {
        return truncated;
    }
    let lean = truncate_rows(limits, persons, |(id, person), sanitizer| {
        let row = PersonRow::summary(person, select, sanitizer).dedup_name();
        RequestedRow::new(id, person, row, sanitizer)
    });
    if lean.rows.len() == persons.len() {
        notes.push(
            "Distinct ids and dates are omitted to show all persons; request fewer to see them."
                .to_owned(),
        );
        return lean;
    }
    notes.push(
        "Only UUIDs are shown, to list as many persons as possible; request fewer for details."
            .to_owned(),
    );
    truncate_rows(limits, persons, |(id, person), sanitizer| {
        RequestedRow::new(id, person, PersonRow::id_only(person), sanitizer)
    })
}

/// The requested id, which can itself be a redacted property of its person.
fn requested(id: &Untrusted<String>, person: &Person, sanitizer: &Sanitizer) -> String {
    let terms = sanitizer.redaction().terms(person);
    sanitizer.text(&terms.redact_text(id))
}
