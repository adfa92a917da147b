//! A part of an export that can be missing.

use posthog_client::{Error, ErrorKind};

use super::error::ExportError;
use super::manifest::Missing;
use crate::output::FileRedactor;

/// What is missing where the key or this PostHog cannot read a part; other errors end the export.
pub(super) fn unless_closed<T>(
    result: Result<T, Error>,
    what: &'static str,
    redactor: &FileRedactor,
    missing: &mut Vec<Missing>,
) -> Result<Option<T>, ExportError> {
    let error = match result {
        Ok(part) => return Ok(Some(part)),
        Err(error) => error,
    };
    let why = match error.kind() {
        ErrorKind::MissingScope(scope) => format!(
            "The API key of the export lacks the scope {}.",
            redactor.word(scope)
        ),
        ErrorKind::ScopedKeysUnsupported => {
            "PostHog does not serve it to personal API keys.".to_owned()
        }
        ErrorKind::Unsupported(_) => "This version of PostHog does not have it.".to_owned(),
        ErrorKind::Forbidden => "PostHog denied the API key access.".to_owned(),
        _ => return Err(error.into()),
    };
    missing.push(Missing { what, why });
    Ok(None)
}
