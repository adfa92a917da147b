//! What the operator withholds from every reader: values of named properties, and e-mail addresses.

mod person;
mod rules;

pub use person::RedactedTerms;
pub(super) use rules::REDACTED;
pub use rules::Redaction;
