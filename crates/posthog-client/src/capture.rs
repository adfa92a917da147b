//! Merging persons: events that PostHog's capture host accepts, and its ingestion applies later.
//!
//! Invariants: the API key is never sent to the capture host, and the project's token nowhere else. An event is never sent
//! again once the host may have received it.

use reqwest::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::decode::decode;
use crate::error::{Error, ErrorKind};
use crate::person::Person;
use crate::quoted_key::without_key;
use crate::request::Request;
use crate::response::{self, ResponseHead, looks_like_html};
use crate::retry;
use crate::untrusted::Untrusted;

/// PostHog stores no longer distinct id, and its capture host cuts that of an event.
const MAX_DISTINCT_ID_CHARS: usize = 400;
const MAX_CAPTURED_CHARS: usize = 200;

/// Ids of faulty code, by which PostHog merges no person, in any letter case.
const ILLEGAL_IDS: [&str; 10] = [
    "anonymous",
    "distinct_id",
    "distinctid",
    "email",
    "false",
    "guest",
    "id",
    "not_authenticated",
    "true",
    "undefined",
];

/// The same, in this letter case.
const ILLEGAL_IDS_AS_WRITTEN: [&str; 6] = ["0", "NaN", "None", "[object Object]", "none", "null"];

/// The token with which events of a project are captured. PostHog's web pages contain it, and yet it is neither shown nor
/// logged: anyone who has it can merge persons.
#[derive(Debug, Clone)]
pub struct ProjectToken(SecretString);

/// The distinct id by which a person is merged into another: its first that PostHog does not refuse.
#[must_use]
pub fn mergeable_id(person: &Person) -> Option<&Untrusted<String>> {
    let mut ids = person.distinct_ids.iter();
    ids.find(|id| is_legal(id.expose_untrusted(), MAX_DISTINCT_ID_CHARS))
}

/// The distinct id by which others are merged into a person: its first that is neither refused nor cut.
#[must_use]
pub fn merge_target_id(person: &Person) -> Option<&Untrusted<String>> {
    let mut ids = person.distinct_ids.iter();
    ids.find(|id| is_legal(id.expose_untrusted(), MAX_CAPTURED_CHARS))
}

fn is_legal(id: &str, max_chars: usize) -> bool {
    let within = |quote: char| id.strip_prefix(quote)?.strip_suffix(quote);
    let bare = within('"').or_else(|| within('\'')).unwrap_or(id);
    let lower = bare.to_lowercase();
    !id.trim().is_empty()
        && !id.contains('\0')
        && id.chars().count() <= max_chars
        && !ILLEGAL_IDS_AS_WRITTEN.contains(&bare)
        && !ILLEGAL_IDS.contains(&lower.as_str())
}

impl Client {
    /// `GET /api/projects/{project}/`: the project's token.
    ///
    /// # Errors
    /// As PostHog and the network give them. The key needs the scope `project:read`.
    pub async fn project_token(&self) -> Result<ProjectToken, Error> {
        #[derive(Deserialize)]
        struct Project {
            api_token: String,
        }
        let number = self.project().await?.to_string();
        let request = Request::get(vec!["api", "projects", &number]);
        let project: Project = self.json(request).await.map_err(|error| {
            if *error.kind() == ErrorKind::NotFound {
                Error::new(ErrorKind::ProjectNotFound)
            } else {
                error
            }
        })?;
        Ok(ProjectToken(project.api_token.into()))
    }

    /// The capture host, without path or credentials, for messages.
    #[must_use]
    pub fn capture_host(&self) -> &str {
        self.inner.connection.capture().name()
    }

    /// `POST /i/v0/e/` of the capture host: merges the person of one distinct id into the person of `kept`.
    ///
    /// Applied within minutes, if at all; PostHog reports no failure. Read the distinct ids to verify.
    ///
    /// # Errors
    /// As the capture host and the network give them.
    pub async fn merge_person(
        &self,
        token: &ProjectToken,
        kept: &Untrusted<String>,
        merged: &Untrusted<String>,
    ) -> Result<(), Error> {
        let event = json!({
            "api_key": token.0.expose_secret(),
            "event": "$merge_dangerously",
            "distinct_id": kept.expose_untrusted(),
            "properties": {
                "alias": merged.expose_untrusted(),
                "$lib": "posthog-persons-mcp",
                // Otherwise the person moves to where this server is.
                "$geoip_disable": true,
            },
        });
        let base = self.inner.connection.retry_pause();
        let sent = self.retrying(
            |attempt, error, elapsed| retry::pause(false, attempt, error, elapsed, base),
            || self.capture_once(token, &event),
        );
        sent.await
            .map_err(|error| error.of_capture(self.capture_host()))
    }

    async fn capture_once(&self, token: &ProjectToken, event: &Value) -> Result<(), Error> {
        let connection = &self.inner.connection;
        let capture = connection.capture();
        let address = capture.address().map_err(|error| {
            Error::new(ErrorKind::InvalidRequest).with_reason(error.to_string())
        })?;
        let request = capture
            .http()
            .post(address)
            .header(ACCEPT, "application/json")
            .json(event);
        let response = request.send().await.map_err(Error::from_transport)?;
        let head = ResponseHead::new(&response);
        let body = connection.read(response, None, None).await?;
        let body = body.map(|body| without_key(body, head.status, token.0.expose_secret()));
        if head.status.is_success() {
            return accepted(&head, &body);
        }
        let is_page = head.html || looks_like_html(&body);
        Err(match head.status.as_u16() {
            // The capture host gives its reasons as text.
            401 if !is_page => Error::new(ErrorKind::TokenRejected),
            429 if !is_page => Error::new(ErrorKind::RateLimited {
                retry_after: head.retry_after,
            }),
            _ => response::classify(&head, &body, "e", true),
        })
    }
}

/// Whether the capture host has accepted an event: it does so whatever becomes of it, and says where it drops it.
fn accepted(head: &ResponseHead, body: &[u8]) -> Result<(), Error> {
    if head.html {
        return Err(
            Error::new(ErrorKind::InvalidResponse).with_reason("it is a web page, not JSON")
        );
    }
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let body: Map<String, Value> = decode(body)?;
    let limited = body.get("quota_limited").and_then(Value::as_array);
    if limited.is_some_and(|limited| limited.iter().any(|what| what == "events")) {
        return Err(Error::new(ErrorKind::NotPerformed)
            .with_reason("the project has used up its quota of events"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_ids_are_not_used() {
        let long = "ä".repeat(401);
        for refused in [
            "",
            " \u{a0}",
            "a\0",
            "Guest",
            "\"ID\"",
            "'undefined'",
            "nOt_AuThEnTiCaTeD",
            "0",
            "\"0\"",
            "'[object Object]'",
            "None",
            "none",
            "NaN",
            "null",
            &long,
        ] {
            assert!(!is_legal(refused, MAX_DISTINCT_ID_CHARS), "{refused:?}");
        }
        for legal in [
            "nan",
            "Null",
            "1",
            "ada@example.com",
            "''",
            "\"",
            "'ada'",
            "ids",
        ] {
            assert!(is_legal(legal, MAX_CAPTURED_CHARS), "{legal:?}");
        }
        let (stored, captured) = ("ä".repeat(400), "ä".repeat(200));
        assert!(is_legal(&stored, MAX_DISTINCT_ID_CHARS));
        assert!(!is_legal(&stored, MAX_CAPTURED_CHARS));
        assert!(is_legal(&captured, MAX_CAPTURED_CHARS));
    }
}
