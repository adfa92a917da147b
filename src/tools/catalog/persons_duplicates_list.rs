//! `persons-duplicates-list`: persons that share an email or another property.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::{Cells, Row, Sanitizer, ToolOutput, quoted, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Groups, NonEmptyString};
use crate::tools::support::insight_page::ACCESS;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    DuplicateCursor, DuplicateGroup, DuplicatePage, DuplicatePerson, MAX_GROUP_PERSONS,
    RequiredScopes, Untrusted,
};

const DEFAULT_KEY: &str = "email";

pub(super) struct PersonsDuplicatesList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Property that duplicates share, such as "phone"; only text is compared. Default: email.
    key: Option<NonEmptyString>,
    /// Groups of duplicates per page.
    #[serde(default)]
    limit: Groups,
    /// Where the page begins, such as "2_0190…": `next_cursor` of the previous page.
    cursor: Option<NonEmptyString>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    // That they share.
    property: String,
    // The largest groups first.
    results: Vec<GroupRow>,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    notes: Vec<String>,
}

// Persons with the same value.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct GroupRow {
    value: Value,
    count: u64,
    // The person to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<Duplicate>,
    // The others, to be merged into it; the first few.
    duplicates: Vec<Duplicate>,
    #[serde(skip)]
    column: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Duplicate {
    uuid: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
    distinct_id_count: u64,
    is_identified: bool,
}

impl Duplicate {
    fn new(person: &DuplicatePerson, sanitizer: &Sanitizer) -> Self {
        Self {
            uuid: person.uuid.to_string(),
            created_at: sanitizer.day(&person.created_at),
            last_seen_at: person.last_seen_at.as_ref().map(|seen| sanitizer.day(seen)),
            distinct_id_count: person.distinct_id_count,
            is_identified: person.is_identified,
        }
    }

    /// Without commas, which separate the persons of a cell.
    fn text(&self) -> String {
        let seen = self.last_seen_at.as_ref();
        format!(
            "{} (created {}{} · {} {} · {})",
            self.uuid,
            self.created_at,
            seen.map_or_else(String::new, |seen| format!(" · seen {seen}")),
            self.distinct_id_count,
            if self.distinct_id_count == 1 {
                "id"
            } else {
                "ids"
            },
            if self.is_identified {
                "identified"
            } else {
                "anonymous"
            },
        )
    }
}

impl Row for GroupRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let key = rows.first().map(|row| row.column.clone());
        let columns = ["persons", "keep", "duplicates"].map(str::to_owned);
        key.into_iter().chain(columns).collect()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.value(&self.value);
        cells.number(self.count);
        cells.optional(self.keep.as_ref().map(Duplicate::text).as_deref());
        let duplicates: Vec<String> = self.duplicates.iter().map(Duplicate::text).collect();
        let rest = self.count.saturating_sub(1 + duplicates.len() as u64);
        let more = (rest > 0).then(|| format!("{rest} more"));
        cells.list(&duplicates, more.as_deref());
    }
}

impl Tool for PersonsDuplicatesList {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-duplicates-list";
    const TITLE: &'static str = "Find duplicate persons";
    const DESCRIPTION: &'static str = "Find duplicates: persons who share an email, whatever its letter case and the blanks around it, or \
         the value of another property; the largest groups first, with the person to keep in each. Changes nothing.";
    const SEARCH_HINT: &'static str = "duplicate users, customers, contacts or accounts with the same email; \
         deduplicate, who exists twice, what to merge";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"key": "email"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let key = input.key.map_or(DEFAULT_KEY.to_owned(), |key| key.0);
        let cursor: Option<DuplicateCursor> = match input.cursor {
            None => None,
            Some(text) => Some(text.0.trim().parse().map_err(|_| {
                ToolError::invalid_input(
                    "Invalid argument `cursor`: not a cursor of an earlier page. Leave it out for the first page.",
                )
            })?),
        };
        let page = context
            .posthog
            .duplicates(&key, input.limit.0, cursor)
            .await?;
        Ok(output(context, &key, &page).into())
    }
}

fn output(context: &Context, key: &str, page: &DuplicatePage) -> ToolOutput<Output> {
    let column = context.limits.sanitizer().given_identifier(key);
    let truncated = truncate_rows(&context.limits, &page.groups, |group, sanitizer| {
        row(key, &column, group, sanitizer)
    });
    let shown = truncated.rows.len();
    let name = quoted(&column);
    let mut notes = Vec::new();
    if shown == 0 {
        notes.push(format!(
            "No more than one person has any {name}, as far as it is text. Property names are case-sensitive; \
             persons-values-retrieve without `key` lists them."
        ));
    } else {
        notes.push(
            "`keep` is the identified person before the anonymous, of these the oldest. A merge into it keeps its UUID, and its values where several have a property. The same value does not prove that it is the same person: check \
             before merging."
                .to_owned(),
        );
    }
    let is_capped = |group: &DuplicateGroup| group.count > u64::from(MAX_GROUP_PERSONS);
    if page.groups.iter().take(shown).any(is_capped) {
        notes.push(format!(
            "Of a group {MAX_GROUP_PERSONS} persons are shown; persons-list with a filter on {name} shows all."
        ));
    }
    let cut = shown < page.groups.len();
    let last = shown.checked_sub(1).and_then(|last| page.groups.get(last));
    let next_cursor = last
        .filter(|_| cut || page.has_next)
        .map(|group| DuplicateCursor::after(group).to_string());
    if let Some(cursor) = &next_cursor {
        notes.push(format!(
            "There are more: call {} with the same arguments and cursor {cursor}.",
            PersonsDuplicatesList::NAME
        ));
    }
    let head = match shown {
        0 => "No duplicates\n".to_owned(),
        1 => "1 group of duplicates\n".to_owned(),
        _ => format!("{shown} groups of duplicates, the largest first\n"),
    };
    truncated.into_output(&head, notes, |results, notes| Output {
        property: column.clone(),
        results,
        next_cursor,
        notes,
    })
}

fn row(key: &str, column: &str, group: &DuplicateGroup, sanitizer: &Sanitizer) -> GroupRow {
    let mut persons = group
        .persons
        .iter()
        .map(|one| Duplicate::new(one, sanitizer));
    GroupRow {
        value: sanitizer.property(&Untrusted::from(key), &group.value),
        count: group.count,
        keep: persons.next(),
        duplicates: persons.collect(),
        column: column.to_owned(),
    }
}
