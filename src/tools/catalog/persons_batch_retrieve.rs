//! `persons-batch-retrieve`: many persons by known ids.

use std::collections::HashMap;
use std::hash::Hash;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::output::{
    self, Cells, OutputOptions, PersonRow, REQUESTED, Row, RowNotes, Sanitizer, ToolOutput,
    Truncated, quoted, truncate_names, truncate_rows, write_list, write_notes,
};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    DistinctId, PersonUuid, SearchText, Select, blanks_count, distinct, select,
};
use crate::tools::support::resolve_person::{partition, persons_of};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{MINIMAL_DISTINCT_IDS, Person, PersonId, RequiredScopes, Untrusted};

/// The ids of ten requests.
const MAX_IDS: usize = 2000;
/// The emails of ten requests.
const MAX_EMAILS: usize = 400;

/// The next step for emails of nobody.
const OTHER_PROPERTIES: &str = "Only the property `email` was searched. Some projects store the address in `$email` or `Email`: \
     persons-list with a filter on it, or with `search`, finds those.";

pub(super) struct PersonsBatchRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Up to 2000 UUIDs and distinct ids, mixed, such as ["user_123"]; the result says which each is.
    ids: Option<Vec<DistinctId>>,
    /// Up to 2000 exact distinct ids, such as ["user_123"].
    distinct_ids: Option<Vec<DistinctId>>,
    /// Up to 2000 person UUIDs.
    uuids: Option<Vec<PersonUuid>>,
    /// Up to 400 values of the property `email`, such as `["ada@example.com"]`, in any letter case.
    emails: Option<Vec<SearchText>>,
    /// As in persons-list.
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
    // What the id is, where it could be either.
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<&'static str>,
    #[serde(flatten)]
    person: PersonRow,
}

impl Row for RequestedRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let mut header = vec![REQUESTED.to_owned()];
        if rows.iter().any(|row| row.matched.is_some()) {
            header.push(MATCHED.to_owned());
        }
        header.extend(PersonRow::columns(rows.iter().map(|row| &row.person)));
        header
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        cells.identifier(&self.requested);
        let columns = header.get(1..).unwrap_or_default();
        match columns.split_first() {
            Some((first, columns)) if first == MATCHED => {
                cells.optional(self.matched);
                self.person.cells(columns, cells);
            }
            _ => self.person.cells(columns, cells),
        }
    }
}

const MATCHED: &str = "matched";

/// A person that was found.
struct Found {
    /// The id of the call.
    requested: Untrusted<String>,
    matched: Option<&'static str>,
    person: Person,
}

impl Tool for PersonsBatchRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-batch-retrieve";
    const TITLE: &'static str = "Get persons in bulk";
    const DESCRIPTION: &'static str = "Look up many persons at once: up to 2000 by distinct ids or UUIDs, or 400 by email in any letter case, and the \
         ids that belong to no person. A person with several of the distinct ids is listed once for each.";
    const SEARCH_HINT: &'static str =
        "look up many users, customers or accounts in bulk from a list of ids";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const EXAMPLE: &'static str = r#"{"uuids": ["ada0ada0-1815-4852-8000-000000000101"]}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let by_email = input.emails.is_some();
        let (found, not_found) = match (input.ids, input.distinct_ids, input.uuids, input.emails) {
            (Some(ids), None, None, None) => by_either(context, &texts(ids)?).await?,
            (None, Some(ids), None, None) => by_distinct_ids(context, &texts(ids)?).await?,
            (None, None, Some(uuids), None) => {
                let uuids = wanted(uuids.iter().map(|uuid| uuid.0), MAX_IDS)?;
                by_uuids(context, uuids).await?
            }
            (None, None, None, Some(emails)) => {
                let emails = wanted(emails.into_iter().map(|email| email.0), MAX_EMAILS)?;
                by_emails(context, &emails).await?
            }
            _ => {
                return Err(ToolError::invalid_input(
                    "Give exactly one of `ids`, `distinct_ids`, `uuids` and `emails`.",
                ));
            }
        };
        let mut notes = Vec::new();
        if by_email && !not_found.is_empty() {
            notes.push(OTHER_PROPERTIES.to_owned());
        }
        let select = select(input.select);
        Ok(batch_output(context, &found, &not_found, &select, notes).into())
    }
}

type Lookup = (Vec<Found>, Vec<Untrusted<String>>);

async fn by_distinct_ids(context: &Context, ids: &[String]) -> Result<Lookup, ToolError> {
    let found = persons_of(context, ids).await?;
    let ids = ids.iter().map(|id| Untrusted::from(id.clone())).collect();
    let (persons, not_found) = partition(ids, found);
    Ok((rows_of(persons), not_found))
}

async fn by_uuids(context: &Context, uuids: Vec<Uuid>) -> Result<Lookup, ToolError> {
    let found = context.posthog.persons_by_uuids(&uuids).await?;
    let (persons, not_found) = partition(uuids, found);
    let text = |uuid: Uuid| Untrusted::from(uuid.to_string());
    let persons = persons
        .into_iter()
        .map(|(uuid, person)| (text(uuid), person));
    Ok((
        rows_of(persons.collect()),
        not_found.into_iter().map(text).collect(),
    ))
}

fn rows_of(persons: Vec<(Untrusted<String>, Person)>) -> Vec<Found> {
    let row = |(requested, person)| Found {
        requested,
        matched: None,
        person,
    };
    persons.into_iter().map(row).collect()
}

/// A UUID can be a distinct id as well, even that of another person; then both are found.
async fn by_either(context: &Context, ids: &[String]) -> Result<Lookup, ToolError> {
    let uuid = |id: &String| PersonId::parse(id)?.uuid();
    let uuids = distinct(ids.iter().filter_map(uuid));
    let by_distinct_id = persons_of(context, ids).await?;
    let by_uuid = if uuids.is_empty() {
        HashMap::new()
    } else {
        context.posthog.persons_by_uuids(&uuids).await?
    };
    let (mut found, mut not_found) = (Vec::new(), Vec::new());
    for id in ids {
        let requested = Untrusted::from(id.clone());
        let matches = [
            ("uuid", uuid(id).and_then(|uuid| by_uuid.get(&uuid))),
            ("distinct_id", by_distinct_id.get(&requested)),
        ];
        if matches.iter().all(|(_, person)| person.is_none()) {
            not_found.push(requested.clone());
        }
        found.extend(matches.into_iter().filter_map(|(matched, person)| {
            Some(Found {
                requested: requested.clone(),
                matched: Some(matched),
                person: person?.clone(),
            })
        }));
    }
    Ok((found, not_found))
}

/// Several persons can have the same email.
async fn by_emails(context: &Context, emails: &[String]) -> Result<Lookup, ToolError> {
    let (mut found, mut not_found) = (Vec::new(), Vec::new());
    for (email, persons) in context.posthog.persons_by_emails(emails).await? {
        if persons.is_empty() {
            not_found.push(email.clone().into());
        }
        let rows = persons
            .into_iter()
            .map(|person| (email.clone().into(), person));
        found.extend(rows_of(rows.collect()));
    }
    Ok((found, not_found))
}

fn texts(ids: Vec<DistinctId>) -> Result<Vec<String>, ToolError> {
    wanted(ids.into_iter().map(|id| id.0), MAX_IDS)
}

/// Drops repeated ids and checks how many are left.
fn wanted<T: Clone + Eq + Hash>(
    ids: impl Iterator<Item = T>,
    max: usize,
) -> Result<Vec<T>, ToolError> {
    let ids = distinct(ids);
    match ids.len() {
        0 => Err(ToolError::invalid_input("The list of ids is empty.")),
        count if count > max => Err(ToolError::invalid_input(format!(
            "{count} ids are too many; at most {max} are allowed per call."
        ))),
        _ => Ok(ids),
    }
}

fn batch_output(
    context: &Context,
    persons: &[Found],
    not_found: &[Untrusted<String>],
    select: &output::Select,
    mut notes: Vec<String>,
) -> ToolOutput<Output> {
    let sanitizer = context.limits.sanitizer();
    let missing = not_found.len();
    // The missing ids are part of the result, so the rows get the remaining bytes.
    let not_found = truncate_names(
        context.limits.bytes / 2,
        not_found
            .iter()
            .map(|id| sanitizer.identifier(id))
            .collect(),
    );
    let meant = |shown: &String| output::unescape(shown).unwrap_or_else(|| shown.clone());
    let has_blanks = not_found
        .iter()
        .any(|shown| blanks_count(&meant(shown)).is_some());
    let taken: usize = not_found.iter().map(|id| id.len() + 4).sum();
    let limits = context.limits.without(taken);

    let truncated = rows(&limits, persons, select, &mut notes);
    if let Some(first) = persons.get(truncated.rows.len()) {
        notes.push(format!(
            "{} persons did not fit, in the order of the request those from the id {} on; call again with the rest, or select fewer \
             properties.",
            persons.len() - truncated.rows.len(),
            quoted(&requested(first, &sanitizer))
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
    if has_blanks {
        notes.push(
            "An id that is not found was given with blanks around it, and they count.".to_owned(),
        );
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
    persons: &[Found],
    select: &output::Select,
    notes: &mut Vec<String>,
) -> Truncated<RequestedRow> {
    let row_notes = RowNotes::default();
    let truncated = truncate_rows(limits, persons, |found, sanitizer| {
        let row = PersonRow::new(&found.person, select, MINIMAL_DISTINCT_IDS, sanitizer);
        row_notes.observe(&row);
        requested_row(found, row, sanitizer)
    });
    if truncated.rows.len() == persons.len() {
        row_notes.write(notes);
        return truncated;
    }
    let lean = truncate_rows(limits, persons, |found, sanitizer| {
        let row = PersonRow::summary(&found.person, select, sanitizer);
        requested_row(found, row, sanitizer)
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
    truncate_rows(limits, persons, |found, sanitizer| {
        requested_row(found, PersonRow::id_only(&found.person), sanitizer)
    })
}

fn requested_row(found: &Found, person: PersonRow, sanitizer: &Sanitizer) -> RequestedRow {
    RequestedRow {
        requested: requested(found, sanitizer),
        matched: found.matched,
        person,
    }
}

/// The requested id, which can itself be a redacted property of its person.
fn requested(found: &Found, sanitizer: &Sanitizer) -> String {
    let terms = sanitizer.redaction().terms(&found.person);
    sanitizer.identifier(&terms.redact_text(&found.requested))
}
