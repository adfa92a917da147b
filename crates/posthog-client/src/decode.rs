//! Decoding of response bodies. An error names a field and quotes nothing: values, and keys below the first level, can be
//! personal data.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

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
        Category::Data => match failing_field(text, &error) {
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

/// The top-level field in which decoding failed. Deeper keys are never named: batches are maps from distinct ids.
///
/// The text up to the error is read once more, and the last key in it is the field. Tracking the path while decoding
/// would cost an allocation for each key, and a second copy of every decoder in the binary.
fn failing_field(text: &str, error: &serde_json::Error) -> Option<String> {
    let lines_before: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let until_error = text.as_bytes().get(..lines_before + error.column())?;
    let mut last_key = None;
    let read_whole_object = serde_json::Deserializer::from_slice(until_error)
        .deserialize_map(LastKey(&mut last_key))
        .is_ok();
    // The error after the last brace is that a field is missing.
    last_key.filter(|_| !read_whole_object)
}

/// Keeps the last key of an object that ends too early.
struct LastKey<'a>(&'a mut Option<String>);

impl<'de> Visitor<'de> for LastKey<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key()? {
            *self.0 = Some(key);
            object.next_value::<IgnoredAny>()?;
        }
        Ok(())
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
        for (body, field) in [
            (r#"{"results": 7}"#, true),
            ("{\n\"results\":\n\n[7]\n}", true),
            (r#"{"é": "é", "results": {"é": "é"}, "next": 1}"#, true),
            (r#"{"é": {"results": {}}, "next": 1}"#, false),
        ] {
            let expected = if field {
                expected
            } else {
                "it has an unexpected shape"
            };
            assert_eq!(reason::<Batch>(body), expected, "{body}");
        }
        for body in ["{}", "7", r#"["results"]"#] {
            assert_eq!(
                reason::<Batch>(body),
                "it has an unexpected shape",
                "{body}"
            );
        }
    }
}
