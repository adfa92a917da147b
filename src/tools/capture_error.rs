//! Errors of the capture host, which knows the project's token and not the API key.

use posthog_client::{Error, ErrorKind};

use super::error::seconds;

/// The text of an error that has another cause or remedy than the same error of the API. `reason` begins with a colon, or is
/// a full stop.
pub(super) fn text(error: &Error, host: &str, reason: &str) -> Option<String> {
    Some(match error.kind() {
        ErrorKind::TokenRejected => format!(
            "The capture host {host} rejected the project's token{reason} It probably belongs to another region or instance than \
             POSTHOG_HOST. The user must set --capture-host to the one of this project; retrying will not help."
        ),
        ErrorKind::Connect => format!(
            "Could not connect to the capture host {host}{reason} Nothing was sent. Check --capture-host, the network and the proxy \
             settings."
        ),
        ErrorKind::Tls => format!(
            "Could not establish a TLS connection to the capture host {host}{reason} Nothing was sent, and retrying will not help. \
             For a private certificate the user must set --ca-cert; otherwise --capture-host or the proxy settings are wrong."
        ),
        ErrorKind::Redirected => format!(
            "The capture host {host} redirects to another address; the redirect is not followed. The user must set --capture-host to \
             the final address."
        ),
        ErrorKind::NotFound | ErrorKind::Unsupported(_) => format!(
            "The capture host {host} does not capture events{reason} The user must set --capture-host to the one that does."
        ),
        ErrorKind::RateLimited { retry_after } => {
            let wait = retry_after.map_or_else(|| "a minute".to_owned(), seconds);
            format!(
                "The rate limit of the capture host {host} is reached. Wait {wait}, then call again."
            )
        }
        _ => return None,
    })
}
