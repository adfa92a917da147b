//! What the operator withholds from every reader: values of named properties, and e-mail addresses.
//!
//! What is searched for and where it is searched are compared in one [normal form](normal_form).

mod emails;
mod escapes;
mod normal_form;
mod person;
mod rules;
mod spans;
mod steps;
mod terms;
mod texts;

pub(super) use rules::REDACTED;
pub use rules::{Redaction, is_withheld};
pub(super) use terms::MAX_TERM_BYTES;
pub use terms::RedactedTerms;
pub(super) use texts::insert_renamed;
