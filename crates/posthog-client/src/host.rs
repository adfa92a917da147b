//! The address of PostHog, as users give it.

use url::{Host, Url};

use crate::connection::{is_cloud, is_loopback};

/// A text that is not the address of PostHog. None of it is quoted but the host: it may be a key, or contain an e-mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not a URL.
    #[error("is not a URL. It should look like https://eu.posthog.com.")]
    NotUrl,
    /// A host without a scheme, and the URL that is meant.
    #[error("has no scheme. Set it to {0}.")]
    NoScheme(String),
    /// The address of a page, and that of PostHog.
    #[error("is the address of a page (/{page}/...). Set it to {base}{}.", and_project(*project))]
    Page {
        /// The first part of the page's path.
        page: String,
        /// PostHog's address.
        base: String,
        /// The project that the page belongs to.
        project: Option<u64>,
    },
}

fn and_project(project: Option<u64>) -> String {
    project.map_or_else(String::new, |project| {
        format!(", and POSTHOG_PROJECT_ID to {project}")
    })
}

/// Parses the address of PostHog.
///
/// # Errors
/// When it has no scheme, is the address of a page, or no URL at all.
pub fn parse_host(text: &str) -> Result<Url, HostError> {
    let text = text.trim();
    if !text.contains("://") {
        return Err(without_scheme(text).map_or(HostError::NotUrl, HostError::NoScheme));
    }
    let url = Url::parse(text).map_err(|_| HostError::NotUrl)?;
    match page(&url) {
        Some(error) => Err(error),
        None => Ok(url),
    }
}

/// The URL that is meant by a host without a scheme. A key has no dots, and host names have no underscores.
fn without_scheme(text: &str) -> Option<String> {
    let url = Url::parse(&format!("https://{text}")).ok()?;
    let is_host = match url.host()? {
        Host::Domain(name) => !name.contains('_') && (name.contains('.') || name == "localhost"),
        Host::Ipv4(_) | Host::Ipv6(_) => text.contains(['.', ':']),
    };
    let is_plain = is_host && url.username().is_empty() && url.password().is_none();
    let scheme = if is_loopback(&url) { "http" } else { "https" };
    let origin = url.origin().ascii_serialization();
    is_plain.then(|| origin.replacen("https", scheme, 1))
}

/// What is wrong with the address of a page. PostHog Cloud is not served below a path; another PostHog can be.
fn page(url: &Url) -> Option<HostError> {
    let segments: Vec<&str> = url
        .path_segments()?
        .filter(|part| !part.is_empty())
        .collect();
    let project_of = |at: usize| segments.get(at + 1).and_then(|number| number.parse().ok());
    let project_at = (0..segments.len())
        .find(|at| segments.get(*at) == Some(&"project") && project_of(*at).is_some());
    let at = match project_at {
        Some(at) => at,
        None if is_cloud(url) && !segments.is_empty() => 0,
        None => return None,
    };
    let origin = url.origin().ascii_serialization();
    let above = segments.get(..at)?.iter().map(|part| format!("/{part}"));
    Some(HostError::Page {
        page: (*segments.get(at)?).to_owned(),
        base: above.fold(origin, |base, part| base + &part),
        project: project_of(at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        match parse_host(text) {
            Ok(url) => url.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn right_value_is_named() {
        let set = |value: &str| format!("has no scheme. Set it to {value}.");
        for (text, expected) in [
            ("https://eu.posthog.com", "https://eu.posthog.com/".to_owned()),
            (" https://ph.example/posthog/ ", "https://ph.example/posthog/".to_owned()),
            ("us.posthog.com", set("https://us.posthog.com")),
            ("us.posthog.com/project/1", set("https://us.posthog.com")),
            ("ph.example:8443", set("https://ph.example:8443")),
            ("localhost:8000", set("http://localhost:8000")),
            ("127.0.0.1:8000", set("http://127.0.0.1:8000")),
            (
                "https://us.posthog.com/project/1/persons?q=ada@example.com",
                "is the address of a page (/project/...). Set it to https://us.posthog.com, and POSTHOG_PROJECT_ID to 1.".to_owned(),
            ),
            (
                "https://ph.example/posthog/project/12",
                "is the address of a page (/project/...). Set it to https://ph.example/posthog, and POSTHOG_PROJECT_ID to 12.".to_owned(),
            ),
            (
                "https://eu.posthog.com/settings/user-api-keys",
                "is the address of a page (/settings/...). Set it to https://eu.posthog.com.".to_owned(),
            ),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn key_in_the_wrong_setting_is_not_quoted() {
        for text in [
            "phx_secret",
            "phx_secret.more",
            "",
            "7",
            "user:secret@ph.example",
        ] {
            assert_eq!(parse_host(text), Err(HostError::NotUrl), "{text}");
        }
    }
}
