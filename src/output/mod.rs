//! What a model reads: small, valid, and safe to read.
//!
//! Text written by strangers gets out through [`Screen`] alone, cleaned and redacted. Rows are cut to a budget by
//! [`fit`], whole. Knows persons as PostHog sends them; knows nothing of the protocol or of any tool.

mod budget;
mod person;
mod redact;
mod sanitize;
mod table;

pub use budget::{Answer, BYTES, Fitted, Limits, fit, fit_lines, fit_names, fits};
pub use person::{
    Page, PersonCard, PersonRow, PersonsPage, REQUESTED, Select, VALUE_AT_DATA_POINT,
    page_of_persons, person_card, push_notes,
};
pub use redact::Redaction;
pub use sanitize::{Screen, clean, clean_lines};
pub use table::{Cells, Row, push_list};
