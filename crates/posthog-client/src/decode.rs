//! Decoding of response bodies. Errors name a place and quote nothing: a value may be personal data.

use std::collections::HashMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::error::{self, Error, ErrorKind};

/// Reads a JSON answer into its type.
///
/// The error names the place in the answer but quotes nothing of it: what stands there may be somebody's data.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let unreadable = |reason| Error::new(ErrorKind::InvalidResponse).with_reason(reason);
    // Looked at once as a whole; otherwise each piece would be.
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(unreadable("it is not text".to_owned()));
    };
    serde_json::from_str(text).map_err(|error| {
        unreadable(match error.classify() {
            serde_json::error::Category::Data => match field_at(text, &error) {
                Some(field) => format!("its field `{field}` has an unexpected shape"),
                None => "it has an unexpected shape".to_owned(),
            },
            serde_json::error::Category::Eof => "it ends too early".to_owned(),
            _ if error::looks_like_html(body) => "it is a web page, not JSON".to_owned(),
            _ if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
                "it is nested too deeply, or holds text that is no text".to_owned()
            }
            _ => "it is not JSON".to_owned(),
        })
    })
}

/// The field of an answer in which reading it failed, unless that is the answer as a whole. Deeper places can be named
/// after somebody: batches are maps from distinct ids.
fn field_at(text: &str, error: &serde_json::Error) -> Option<String> {
    let lines = text.split_inclusive('\n');
    let above: usize = lines
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let failed = above + error.column();
    let fields: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let mut fields = fields.into_iter();
    fields.find_map(|(name, value)| {
        let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
        (start..=start + value.get().len())
            .contains(&failed)
            .then_some(name)
    })
}
