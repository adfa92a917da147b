//! What a model reads: small, valid, and safe to read.
//!
//! Text that end users or PostHog wrote is shown through [`Sanitizer`] alone, sanitized and redacted. Rows are truncated
//! to a budget by [`truncate_rows`], each kept whole.
//!
//! Invariant: knows persons as PostHog sends them, and nothing of MCP or of any tool.

mod budget;
mod characters;
mod comparison;
mod csv;
mod csv_page;
mod file_columns;
mod file_text;
mod identifier;
mod merged_properties;
mod person_card;
mod person_page;
mod person_row;
mod person_summary;
mod quote;
mod redact;
mod sanitize;
mod select;
mod table;

pub use budget::{
    BYTES, OutputOptions, ToolOutput, Truncated, fit_fields, fits, truncate_lines, truncate_names,
    truncate_rows,
};
pub use characters::sanitize;
pub use comparison::{ChangedProperty, Comparison, compare};
pub use csv_page::{CsvPage, csv_page};
pub use file_columns::FileColumns;
pub use file_text::{EarlierTerms, FileEvent, FileRedactor, visible_json};
pub use identifier::{quoted, unescape};
pub use merged_properties::{MergedProperties, MergedProperty, merged_properties};
pub use person_card::{Card, DistinctIdPage, PersonCard, person_card};
pub use person_page::{Page, PersonsPage, RowNotes, page_of_persons};
pub use person_row::{ACTIVE_PERIODS, PersonRow, REQUESTED, VALUE_AT_DATA_POINT};
pub use person_summary::PersonSummary;
pub use quote::{quote, quote_list};
pub use redact::{RedactedTerms, Redaction, is_withheld};
pub use sanitize::Sanitizer;
pub use select::Select;
pub use table::{Cells, Row, write_list, write_notes};
