//! Authentication: who calls, and with which PostHog API key.
//!
//! Either every request carries its own API key, which is used for that request and never stored; or the server has one,
//! and requests carry the server's token or come from this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::key_registry::{CallerKey, KeyRegistry};
use crate::policy::Policy;
use crate::server::Caller;
use crate::setting_values::{is_bearer_token, list};
use posthog_client::{Client, Connection, KeyRejection, Project};

/// The path of the protected resource metadata (RFC 9728).
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Who may call.
pub struct Credentials {
    /// The URL at which callers reach this server, without a path.
    pub public_url: String,
    /// The connection to PostHog.
    pub connection: Arc<Connection>,
    /// The project of the calls.
    pub project: Project,
    /// The names of all tools, to validate `X-PostHog-Tools`.
    pub tool_names: Vec<&'static str>,
    /// The scopes that an API key needs for the offered tools.
    pub scopes: Vec<&'static str>,
    /// How requests authenticate.
    pub auth_mode: AuthMode,
    /// What is known of the API keys of requests.
    pub keys: Arc<KeyRegistry>,
}

/// How requests authenticate.
pub enum AuthMode {
    /// Each carries its own PostHog API key as bearer token.
    PerRequestKey,
    /// With the server's token, or from this machine where there is none; calls use the server's API key.
    ServerKey {
        /// The client with the server's API key.
        posthog: Client,
        /// The bearer token that requests need.
        token: Option<SecretString>,
    },
}

impl Credentials {
    fn caller(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<(Caller, Option<CallerKey>), AuthError> {
        let bearer = bearer(headers);
        let project = self.restrict_project(headers)?;
        let policy = self.restrict_policy(headers)?;
        let (principal, posthog, key) = match &self.auth_mode {
            AuthMode::PerRequestKey => {
                let key = bearer.ok_or(AuthError::Unauthorized(
                    "Missing PostHog personal API key (Authorization: Bearer)",
                ))?;
                if key.starts_with("phc_") || key.starts_with("phs_") {
                    return Err(AuthError::Unauthorized(
                        "Project API keys are not accepted; use a personal API key (phx_...)",
                    ));
                }
                let known = self.keys.key(key);
                let posthog = Client::of_caller(
                    Arc::clone(&self.connection),
                    SecretString::from(key),
                    project,
                    Arc::clone(&known.state),
                );
                (Arc::clone(&known.principal), posthog, Some(known))
            }
            AuthMode::ServerKey { posthog, token } => {
                match token {
                    Some(token) => {
                        let given = bearer.ok_or(AuthError::Unauthorized(
                            "Missing server token (Authorization: Bearer)",
                        ))?;
                        // Compares in constant time; the length is no secret.
                        let same = given.as_bytes().ct_eq(token.expose_secret().as_bytes());
                        if !bool::from(same) {
                            return Err(AuthError::Unauthorized("Invalid server token"));
                        }
                    }
                    None if peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) => {}
                    None => {
                        return Err(AuthError::Unauthorized(
                            "Only this machine may call a server without a token",
                        ));
                    }
                }
                if project != self.project {
                    return Err(AuthError::Forbidden(
                        "The server's API key works on one project only".to_owned(),
                    ));
                }
                ("shared".into(), posthog.clone(), None)
            }
        };
        let caller = Caller {
            principal,
            posthog,
            policy,
        };
        Ok((caller, key))
    }

    /// The project that the request selects, if the server allows it.
    fn restrict_project(&self, headers: &HeaderMap) -> Result<Project, AuthError> {
        let Some(asked) = header_text(headers, "x-posthog-project-id")? else {
            return Ok(self.project);
        };
        let asked = asked
            .parse::<Project>()
            .map_err(|error| AuthError::Bad(format!("X-PostHog-Project-Id: {error}")))?;
        match (self.project, asked) {
            (ours, theirs) if ours == theirs || theirs == Project::Current => Ok(ours),
            (Project::Current, theirs) => Ok(theirs),
            _ => Err(AuthError::Forbidden(
                "X-PostHog-Project-Id: the server works on another project".to_owned(),
            )),
        }
    }

    /// The restrictions of the request. Headers can only restrict, never extend, what the server offers.
    fn restrict_policy(&self, headers: &HeaderMap) -> Result<Policy, AuthError> {
        let read_only = match header_text(headers, "x-posthog-read-only")? {
            None => false,
            Some(word) => match word.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => true,
                "false" | "0" | "no" | "off" => false,
                _ => {
                    return Err(AuthError::Bad(
                        "X-PostHog-Read-Only must be true or false".to_owned(),
                    ));
                }
            },
        };
        let tools = match header_text(headers, "x-posthog-tools")? {
            None => Vec::new(),
            Some(names) => {
                list(names).map_err(|error| AuthError::Bad(format!("X-PostHog-Tools: {error}")))?
            }
        };
        let policy = Policy {
            read_only,
            tools,
            ..Policy::default()
        };
        match policy
            .unknown_names(self.tool_names.iter().copied())
            .first()
        {
            None => Ok(policy),
            Some(unknown) => Err(AuthError::Bad(format!("X-PostHog-Tools: {unknown}"))),
        }
    }
}

/// Why a request is rejected.
pub(super) enum AuthError {
    Unauthorized(&'static str),
    /// PostHog does not accept the key.
    Rejected(KeyRejection),
    /// Whether PostHog accepts the key cannot be known now.
    NotVerified,
    Forbidden(String),
    Bad(String),
}

impl Credentials {
    /// The caller of a request, and its API key, if it brings one.
    pub(super) fn authenticate(
        &self,
        request: &mut Request,
    ) -> Result<(Caller, Option<CallerKey>), AuthError> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|info| info.0);
        let caller = self.caller(request.headers(), peer)?;
        // No layer behind this one can log the key.
        request.headers_mut().remove(header::AUTHORIZATION);
        Ok(caller)
    }

    /// The response to a request that is not authenticated or not allowed.
    pub(super) fn reject(&self, error: &AuthError) -> Response {
        match error {
            AuthError::Unauthorized(why) => self.unauthorized(why, ""),
            AuthError::Rejected(why) => {
                self.unauthorized(&why.to_string(), ", error=\"invalid_token\"")
            }
            AuthError::NotVerified => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, "5")],
                "PostHog cannot be reached to confirm the API key; try again\n",
            )
                .into_response(),
            AuthError::Forbidden(why) => {
                (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
            }
            AuthError::Bad(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        }
    }

    /// A 401. It leads to PostHog's OAuth only where PostHog's tokens are accepted.
    fn unauthorized(&self, why: &str, error: &str) -> Response {
        let challenge = match self.auth_mode {
            AuthMode::PerRequestKey => format!(
                "Bearer resource_metadata=\"{}{METADATA}/mcp\", scope=\"{}\"{error}",
                self.public_url,
                self.scopes.join(" ")
            ),
            AuthMode::ServerKey { .. } => format!("Bearer realm=\"{}\"", env!("CARGO_PKG_NAME")),
        };
        (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, challenge)],
            format!("{why}\n"),
        )
            .into_response()
    }
}

/// The protected resource metadata (RFC 9728).
#[derive(Serialize)]
struct ResourceMetadata {
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_servers: Option<[String; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes_supported: Option<Vec<&'static str>>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'static str,
}

/// The protected resource metadata. The token of a server with its own key is issued by its operator, not by PostHog.
pub(super) async fn metadata(State(credentials): State<Arc<Credentials>>) -> impl IntoResponse {
    let takes_keys = matches!(credentials.auth_mode, AuthMode::PerRequestKey);
    Json(ResourceMetadata {
        resource: format!("{}/mcp", credentials.public_url),
        authorization_servers: takes_keys.then(|| [credentials.connection.host().to_owned()]),
        scopes_supported: takes_keys.then(|| credentials.scopes.clone()),
        bearer_methods_supported: ["header"],
        resource_name: "PostHog Persons",
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && is_bearer_token(token)).then_some(token)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        // Either may have been added by a proxy.
        return Err(AuthError::Bad(format!("{name} must be sent only once")));
    }
    let text = value
        .to_str()
        .map_err(|_| AuthError::Bad(format!("{name} must be ASCII text")))?
        .trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}
