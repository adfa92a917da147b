//! What the operator withholds from every reader: values of named properties, and e-mail addresses.

mod csv;
mod person;
mod rules;

pub use rules::Redaction;
