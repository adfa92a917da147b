//! What a model reads: small, valid, and safe to read.
//!
//! Text written by strangers gets out through [`Sanitizer`] alone, cleaned and redacted. Rows are cut to a budget by
//! [`truncate_rows`], whole. Knows persons as PostHog sends them; knows nothing of the protocol or of any tool.

mod budget;
mod person;
mod redact;
mod sanitize;
mod table;

pub use budget::{
    BYTES, OutputOptions, ToolOutput, Truncated, fits, truncate_lines, truncate_names,
    truncate_rows,
};
pub use person::{
    Page, PersonCard, PersonRow, PersonsPage, REQUESTED, Select, VALUE_AT_DATA_POINT,
    page_of_persons, person_card, write_notes,
};
pub use redact::Redaction;
pub use sanitize::{Sanitizer, clean, clean_lines};
pub use table::{Cells, Row, write_list};
