//! A page of persons.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use posthog_client::{LISTED_DISTINCT_IDS, Person};
use schemars::JsonSchema;
use serde::Serialize;

use super::budget::{OutputOptions, ToolOutput, truncate_rows};
use super::identifier::quoted;
use super::person_row::PersonRow;
use super::select::Select;
use super::table::Row;

// A page of persons.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PersonsPage<R = PersonRow> {
    results: Vec<R>,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl<R> PersonsPage<R> {
    /// The number of persons shown.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.results.len()
    }
}

impl PersonsPage {
    /// A page without rows.
    #[must_use]
    pub fn empty(notes: Vec<String>) -> Self {
        Self {
            results: Vec::new(),
            next_offset: None,
            notes,
        }
    }
}

/// A page of persons, as PostHog sent it, and what to say about it.
#[derive(Debug)]
pub struct Page<'a> {
    /// The tool that returns the next page.
    pub tool: &'static str,
    /// Persons skipped before the page.
    pub offset: u32,
    /// Persons requested.
    pub limit: u32,
    /// Whether there is a next page.
    pub has_next: bool,
    /// The number of matches, if counted.
    pub count: Option<u64>,
    /// The persons.
    pub persons: &'a [Person],
    /// The properties to show.
    pub select: &'a Select,
    /// Further notes.
    pub notes: Vec<String>,
}

/// What to say about the rows of persons, beyond what each row shows.
#[derive(Debug, Default)]
pub struct RowNotes {
    /// Whether some row shows only some of its distinct ids.
    omits_distinct_ids: Cell<bool>,
    /// Selected properties that no row has.
    never_set: RefCell<Option<BTreeSet<String>>>,
}

impl RowNotes {
    /// Takes a row into account.
    pub fn observe(&self, row: &PersonRow) {
        if row.omits_distinct_ids() {
            self.omits_distinct_ids.set(true);
        }
        let not_set: BTreeSet<String> = row.not_set().cloned().collect();
        let mut never_set = self.never_set.borrow_mut();
        *never_set = Some(match never_set.take() {
            None => not_set,
            Some(before) => before.intersection(&not_set).cloned().collect(),
        });
    }

    /// Writes the notes.
    pub fn write(self, notes: &mut Vec<String>) {
        if self.omits_distinct_ids.get() {
            notes.push(
                "Not all distinct ids of a person are listed here: call persons-retrieve with the uuid as id, and with \
                 distinct_ids_prefix for those that begin with a text."
                    .to_owned(),
            );
        }
        let never_set = self.never_set.into_inner().unwrap_or_default();
        if !never_set.is_empty() {
            let names: Vec<String> = never_set.iter().map(|name| quoted(name)).collect();
            notes.push(format!(
                "No person here has {}. Property names are case-sensitive.",
                names.join(", ")
            ));
        }
    }
}

/// The output of a tool that lists persons. `row` adds the columns that only this tool has.
#[must_use]
pub fn page_of_persons<R: Row>(
    options: &OutputOptions,
    page: Page<'_>,
    row: impl Fn(PersonRow, &Person) -> R,
) -> ToolOutput<PersonsPage<R>> {
    let persons = page.persons;
    let row_notes = RowNotes::default();
    let truncated = truncate_rows(options, persons, |person, sanitizer| {
        let shown = PersonRow::new(person, page.select, LISTED_DISTINCT_IDS, sanitizer);
        row_notes.observe(&shown);
        row(shown, person)
    });
    let shown = truncated.rows.len();
    let mut notes = page.notes;
    row_notes.write(&mut notes);
    if truncated.values_omitted && shown > 0 {
        notes.push(
            "Property values are omitted: those of a single person exceed the size limit. Select fewer properties."
                .to_owned(),
        );
    } else if truncated.truncated_values > 0 {
        notes.push("Long values are truncated and end with …; persons-retrieve with select shows more of one.".to_owned());
    }
    let cut = shown < persons.len();
    let next_offset = if cut {
        notes.push(format!(
            "Only {shown} of {} persons fit into the result; select fewer properties or request fewer persons.",
            persons.len()
        ));
        Some(
            page.offset
                .saturating_add(u32::try_from(shown).unwrap_or(u32::MAX)),
        )
    } else {
        page.has_next
            .then(|| page.offset.saturating_add(page.limit))
    };
    let gone = (page.limit as usize).saturating_sub(persons.len());
    if page.has_next && gone > 0 {
        notes.push(match gone {
            1 => "1 person on this page was deleted; offsets still count it.".to_owned(),
            gone => format!("{gone} persons on this page were deleted; offsets still count them."),
        });
    }
    if let Some(next) = next_offset {
        notes.push(format!(
            "There may be more: call {} with the same arguments and offset {next}.",
            page.tool
        ));
    }
    let head = match (shown, page.count) {
        // The count is what was asked for, even if this page shows nobody.
        (0, Some(count)) if count > 0 => format!("0 of {count} persons\n"),
        (0, _) if page.has_next => "No persons left on this page\n".to_owned(),
        (0, _) if page.offset == 0 => "No person matches\n".to_owned(),
        (0, _) => "No more persons\n".to_owned(),
        (1, None) => "1 person\n".to_owned(),
        (_, None) => format!("{shown} persons\n"),
        (_, Some(count)) => format!("{shown} of {count} persons\n"),
    };
    truncated.into_output(&head, notes, |results, notes| PersonsPage {
        results,
        next_offset,
        notes,
    })
}
