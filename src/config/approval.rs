//! The settings of the approval page, validated.

use url::Url;

use super::ConfigError;
use crate::approval::ApprovalOptions;
use crate::cli::WriteArgs;

/// Where and how the page is served.
pub(super) fn options(writes: &WriteArgs) -> Result<ApprovalOptions, ConfigError> {
    let bind = writes.approval_bind;
    let url = writes.approval_url.as_deref().map(origin).transpose()?;
    if url.is_some() && bind.port() == 0 {
        return Err(ConfigError::new(
            "--approval-url needs a port that does not change: name it in --approval-bind too, such as 127.0.0.1:8810",
        ));
    }
    if url.is_none() && !bind.ip().is_loopback() {
        return Err(ConfigError::new(
            "--approval-bind is not an address of this machine alone: say with --approval-url where the user's browser reaches the page, such as http://127.0.0.1:8810",
        ));
    }
    Ok(ApprovalOptions {
        bind,
        url,
        open_browser: writes.open_browser,
        ..ApprovalOptions::default()
    })
}

/// A URL that is an origin: the page has a path of its own.
fn origin(url: &str) -> Result<Url, ConfigError> {
    Url::parse(url)
        .ok()
        .filter(|url| {
            let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            let anonymous = url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && bare && anonymous
        })
        .ok_or_else(|| {
            // It is not quoted: it may hold a password.
            ConfigError::new(
                "--approval-url is not a scheme and a host. It should look like http://127.0.0.1:8810.",
            )
        })
}
