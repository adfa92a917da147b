//! Decoding of response bodies. An error names a field and quotes nothing: values, and keys below the first level, can be
//! personal data.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::error::{Error, ErrorKind};
use crate::response::looks_like_html;

/// Decodes a JSON body.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let invalid =
        |reason: &str| Error::new(ErrorKind::InvalidResponse).with_reason(reason.to_owned());
    // UTF-8 is validated once for the whole body rather than for each string in it.
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(invalid("it is not UTF-8 text"));
    };
    serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => match failing_field::<T>(text) {
            Some(field) => invalid(&format!("its field `{field}` has an unexpected shape")),
            None => invalid("it has an unexpected shape"),
        },
        Category::Eof => invalid("it ends too early"),
        _ if looks_like_html(body) => invalid("it is a web page, not JSON"),
        _ if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            invalid("it is nested too deeply, or contains invalid Unicode escapes")
        }
        _ => invalid("it is not JSON"),
    })
}

/// The top-level field in which decoding fails. Deeper keys are never named: batches are maps from distinct ids.
///
/// Decodes again, because tracking the path costs an allocation for each key.
fn failing_field<T: DeserializeOwned>(text: &str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    match error.path().iter().next()? {
        Segment::Map { key } => Some(key.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;
    use crate::person::PersonPage;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only decoded")]
    struct Batch {
        results: HashMap<String, u64>,
    }

    fn reason<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> String {
        let error = decode::<T>(body.as_bytes()).unwrap_err();
        error.reason().unwrap().expose_untrusted().clone()
    }

    #[test]
    fn only_the_top_level_field_is_named() {
        let expected = "its field `results` has an unexpected shape";
        let batch = "{\"next\": 1,\n \"results\": {\"ada@example.com\": \"x\"}}";
        assert_eq!(reason::<Batch>(batch), expected);
        let person = r#"{"next": null, "results": [{"uuid": "018f0000-0000-7000-8000-00000000000a", "properties": 7}]}"#;
        assert_eq!(reason::<PersonPage>(person), expected);
        for body in ["{}", "7", r#"["results"]"#] {
            assert_eq!(
                reason::<Batch>(body),
                "it has an unexpected shape",
                "{body}"
            );
        }
    }
}
