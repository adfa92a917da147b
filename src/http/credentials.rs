//! Who calls, and with which PostHog key.
//!
//! Either every request brings its own PostHog key, which is used for that request and kept nowhere; or the server has
//! one, and requests bring the server's token, or come from this machine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::policy::Policy;
use crate::server::Caller;
use crate::sync::lock;
use posthog_client::{Client, Connection, Project, ResolvedProject};

/// Where the protected-resource document (RFC 9728) is.
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Who may call.
pub struct Credentials {
    /// Where callers reach this server, without a path.
    pub public_url: String,
    /// The way to PostHog.
    pub connection: Arc<Connection>,
    /// The project that calls are about.
    pub project: Project,
    /// The names of all tools, to check a header that names some.
    pub tools: Vec<&'static str>,
    /// The scopes that a key needs for what is offered.
    pub scopes: Vec<&'static str>,
    /// How a request shows that it may.
    pub kind: AuthMode,
    /// What is remembered of keys: which project each works on.
    pub projects: ProjectCache,
}

/// How a request shows that it may.
pub enum AuthMode {
    /// By its own PostHog key, as bearer.
    PerRequestKey,
    /// By a token of this server, or by coming from this machine where there is none; PostHog sees the server's key.
    ServerKey {
        /// PostHog with the server's key.
        posthog: Client,
        /// What requests have to bring.
        token: Option<SecretString>,
    },
}

impl Credentials {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Finds out who calls, or says why not.
    fn caller(&self, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<Caller, Refusal> {
        let bearer = bearer(headers);
        let project = self.restrict_project(headers)?;
        let (principal, posthog) = match &self.kind {
            AuthMode::PerRequestKey => {
                let key = bearer.ok_or(Refusal::Unauthorized(
                    "a PostHog personal API key is wanted as bearer",
                ))?;
                if key.starts_with("phc_") || key.starts_with("phs_") {
                    return Err(Refusal::Unauthorized(
                        "a project's key opens nothing here; a personal API key begins with phx_",
                    ));
                }
                let resolved = self.projects.of(key, project);
                let posthog = Client::with_resolved(
                    Arc::clone(&self.connection),
                    SecretString::from(key),
                    project,
                    resolved,
                );
                (fingerprint("key", key), posthog)
            }
            AuthMode::ServerKey { posthog, token } => {
                match token {
                    Some(token) => {
                        let given = bearer.ok_or(Refusal::Unauthorized(
                            "this server's token is wanted as bearer",
                        ))?;
                        // Of equal length first, which says nothing of the content.
                        let same = given.as_bytes().ct_eq(token.expose_secret().as_bytes());
                        if !bool::from(same) {
                            return Err(Refusal::Unauthorized("this is not the server's token"));
                        }
                    }
                    None if peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) => {}
                    None => {
                        return Err(Refusal::Unauthorized(
                            "without a token only this machine may call",
                        ));
                    }
                }
                if project != self.project {
                    return Err(Refusal::Forbidden(
                        "this server's key works on one project only".to_owned(),
                    ));
                }
                ("shared".to_owned(), posthog.clone())
            }
        };
        Ok(Caller {
            principal: principal.into(),
            posthog,
            policy: self.restrict_policy(headers)?,
        })
    }

    /// The project that the request asks for, if the server leaves it open.
    fn restrict_project(&self, headers: &HeaderMap) -> Result<Project, Refusal> {
        let Some(asked) = text(headers, "x-posthog-project-id")? else {
            return Ok(self.project);
        };
        let asked = asked
            .parse::<Project>()
            .map_err(|error| Refusal::Bad(format!("X-PostHog-Project-Id: {error}")))?;
        match (self.project, asked) {
            (ours, theirs) if ours == theirs || theirs == Project::Current => Ok(ours),
            (Project::Current, theirs) => Ok(theirs),
            _ => Err(Refusal::Forbidden(
                "X-PostHog-Project-Id: this server works on another project".to_owned(),
            )),
        }
    }

    /// What the request wants less of. A header that says nothing takes nothing away, and none adds anything.
    fn restrict_policy(&self, headers: &HeaderMap) -> Result<Policy, Refusal> {
        let read_only = match text(headers, "x-posthog-read-only")? {
            None => false,
            Some(word) => match word.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => true,
                "false" | "0" | "no" | "off" => false,
                _ => {
                    return Err(Refusal::Bad(
                        "X-PostHog-Read-Only is true or false".to_owned(),
                    ));
                }
            },
        };
        let tools: Vec<String> = text(headers, "x-posthog-tools")?
            .unwrap_or_default()
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        let policy = Policy {
            read_only,
            tools,
            ..Policy::default()
        };
        match policy.unknown_names(self.tools.iter().copied()).first() {
            None => Ok(policy),
            Some(unknown) => Err(Refusal::Bad(format!("X-PostHog-Tools: {unknown}"))),
        }
    }
}

/// Why a request goes no further.
pub(super) enum Refusal {
    Unauthorized(&'static str),
    Forbidden(String),
    Bad(String),
}

impl Credentials {
    /// Finds out who calls, and tells the tools.
    pub(super) fn identify(&self, request: &mut Request) -> Result<(), Refusal> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|info| info.0);
        let caller = self.caller(request.headers(), peer)?;
        request.extensions_mut().insert(caller);
        // The key has served: nothing behind this line can log it.
        request.headers_mut().remove(header::AUTHORIZATION);
        Ok(())
    }

    /// What whoever may not call is told.
    pub(super) fn refuse(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Unauthorized(why) => {
                let challenge = format!(
                    "Bearer resource_metadata=\"{}{METADATA}/mcp\", scope=\"{}\"",
                    self.public_url,
                    self.scopes.join(" ")
                );
                (
                    StatusCode::UNAUTHORIZED,
                    [(header::WWW_AUTHENTICATE, challenge)],
                    format!("{why}\n"),
                )
                    .into_response()
            }
            Refusal::Forbidden(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
            Refusal::Bad(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        }
    }
}

/// The protected-resource document.
pub(super) async fn metadata(State(credentials): State<Arc<Credentials>>) -> impl IntoResponse {
    Json(json!({
        "resource": format!("{}/mcp", credentials.public_url),
        "authorization_servers": [credentials.connection.host()],
        "scopes_supported": credentials.scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "PostHog Persons",
    }))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let token = token.trim();
    let usable = scheme.eq_ignore_ascii_case("bearer")
        && (8..=1024).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then_some(token)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        // Which of them a proxy added, nobody can tell.
        return Err(Refusal::Bad(format!("{name} is given twice")));
    }
    let text = value
        .to_str()
        .map_err(|_| Refusal::Bad(format!("{name} is not plain text")))?
        .trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Tells credentials apart without holding them.
fn fingerprint(purpose: &str, secret: &str) -> String {
    let digest = Sha256::new()
        .chain_update(purpose)
        .chain_update([0])
        .chain_update(secret)
        .finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The project that each key works on, once it is known: by a hash of the key, and of no more keys than fit.
#[derive(Default)]
pub struct ProjectCache {
    known: Mutex<HashMap<String, ResolvedProject>>,
}

/// Keys remembered at once.
const MAX_KEYS: usize = 10_000;

impl ProjectCache {
    fn of(&self, key: &str, project: Project) -> ResolvedProject {
        if project != Project::Current {
            return ResolvedProject::default();
        }
        let mut known = lock(&self.known);
        if known.len() >= MAX_KEYS {
            // Rare, and forgetting costs each key one look-up.
            known.clear();
        }
        known
            .entry(fingerprint("project", key))
            .or_default()
            .clone()
    }
}
