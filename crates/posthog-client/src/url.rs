//! URLs of endpoints: path segments and query pairs, encoded.

use std::borrow::Cow;

use url::Url;

/// Query pairs in the order in which they are sent.
pub(crate) type Query = Vec<(Cow<'static, str>, String)>;

/// A path segment that would change the endpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a URL cannot have an empty segment, `.` or `..`")]
pub(crate) struct SegmentError;

/// Appends `path` to `base`, percent-encoding each segment.
///
/// Empty segments, `.` and `..` are rejected: the `url` crate drops them, so that a request for one person would become
/// one for all of them. `%2e` is harmless, since `%` itself is encoded.
pub(crate) fn endpoint_url(
    base: &Url,
    path: &[&str],
    trailing_slash: bool,
) -> Result<Url, SegmentError> {
    if path
        .iter()
        .any(|segment| matches!(*segment, "" | "." | ".."))
    {
        return Err(SegmentError);
    }
    let mut address = base.clone();
    {
        let mut segments = address.path_segments_mut().map_err(|()| SegmentError)?;
        segments.pop_if_empty().extend(path);
        if trailing_slash {
            segments.push("");
        }
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(base: &str, segments: &[&str]) -> Result<String, SegmentError> {
        endpoint_url(&Url::parse(base).unwrap(), segments, true).map(|url| url.path().to_owned())
    }

    #[test]
    fn segments_are_encoded_and_dots_rejected() {
        assert_eq!(
            path("https://h", &["api", "a/b c?d#e", "%2e%2e", "ü"]).unwrap(),
            "/api/a%2Fb%20c%3Fd%23e/%252e%252e/%C3%BC/"
        );
        for hostile in ["", ".", ".."] {
            assert_eq!(path("https://h", &["api", hostile]), Err(SegmentError));
        }
    }

    #[test]
    fn base_path_is_kept() {
        assert_eq!(
            path("https://h/posthog", &["api"]).unwrap(),
            "/posthog/api/"
        );
        assert_eq!(
            path("https://h/posthog/", &["api"]).unwrap(),
            "/posthog/api/"
        );
    }
}
