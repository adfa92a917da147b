//! Inspects a key: its kind, region, scopes and projects.
//!
//! Invariant: sends reads only, none of which reads a person, and never retries, so that failures are visible.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::account::{KeyScope, Me, Team, me, own_key};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::query::HogQl;
use crate::request::{Request, persons};
use crate::scopes::GrantedScopes;
use crate::untrusted::Untrusted;

const MIN_LEGACY_KEY_LEN: usize = 30;

/// The kind of a key, by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `phx_`
    Personal,
    /// `pha_`
    OAuth,
    /// A personal API key from before there were prefixes.
    Legacy,
    /// Not a key that PostHog creates.
    Unrecognized,
}

impl KeyKind {
    /// The kind of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        match key.split_once('_') {
            Some(("phx", _)) => Self::Personal,
            Some(("pha", _)) => Self::OAuth,
            // Random bytes in URL-safe base64.
            _ if key.len() >= MIN_LEGACY_KEY_LEN
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) =>
            {
                Self::Legacy
            }
            _ => Self::Unrecognized,
        }
    }
}

/// A region of PostHog Cloud. A key of one region is invalid in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The name.
    pub name: String,
    /// The address, without a trailing slash.
    pub host: String,
}

impl Region {
    /// All regions.
    #[must_use]
    pub fn all() -> Vec<Self> {
        [
            ("US", "https://us.posthog.com"),
            ("EU", "https://eu.posthog.com"),
        ]
        .map(|(name, host)| Self {
            name: name.to_owned(),
            host: host.to_owned(),
        })
        .to_vec()
    }
}

/// PostHog's response about an OAuth token (RFC 7662).
#[derive(Deserialize)]
pub(crate) struct Introspection {
    pub(crate) active: bool,
    /// Whom the token is meant for: a text or a list of them.
    #[serde(default)]
    pub(crate) aud: Option<Value>,
    /// When it expires, in seconds since 1970.
    #[serde(default)]
    pub(crate) exp: Option<i64>,
    /// Space-separated.
    #[serde(default)]
    scope: String,
    #[serde(default)]
    scoped_teams: Option<Vec<u64>>,
}

/// What is known about a key that PostHog accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// The scopes, if the key can read them.
    pub grants: Option<GrantedScopes>,
    /// The projects that the key is limited to; empty means no limit.
    pub teams: Vec<u64>,
    /// The number and the name of the project that the key's owner has selected, if the key can read them.
    pub selected: Option<(u64, Option<Untrusted<String>>)>,
    /// Whether the key can read its owner, if known.
    pub user: Option<bool>,
}

/// A key's access to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectAccess {
    /// The key has access.
    Member,
    /// The key has no access.
    Refused,
    /// The project does not exist.
    Missing,
    /// The access could not be determined.
    Unknown,
}

/// Inspects the key of a client, with a timeout for each request and for all of them.
pub struct KeyInspector {
    pub(crate) client: Client,
    timeout: Duration,
    pub(crate) deadline: Instant,
}

impl KeyInspector {
    /// `timeout` is for each request, `deadline` for all of them.
    #[must_use]
    pub fn new(client: Client, timeout: Duration, deadline: Instant) -> Self {
        Self {
            client,
            timeout,
            deadline,
        }
    }

    async fn in_time<T>(
        &self,
        response: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match timeout(self.timeout.min(left), response).await {
            Ok(response) => response,
            Err(_) => Err(Error::new(ErrorKind::Timeout)),
        }
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let body = self.in_time(self.client.send_once(&request)).await?;
        crate::decode::decode(&body)
    }

    /// What PostHog reports about the key.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] when PostHog does not accept the key.
    pub async fn key(&self) -> Result<KeyFacts, Error> {
        let (me, key) = tokio::join!(self.read::<Me>(me()), self.read::<KeyScope>(own_key()));
        let mut facts = KeyFacts::default();
        match me {
            Ok(me) => {
                facts.user = Some(true);
                facts.selected = me.team.map(|team| (team.id, team.name));
            }
            Err(error) => match error.kind() {
                ErrorKind::MissingScope(_) => facts.user = Some(false),
                // PostHog authenticates before it denies access.
                ErrorKind::Forbidden | ErrorKind::ScopedKeysUnsupported => {}
                _ if key.is_ok() => {}
                _ => return Err(error),
            },
        }
        if let Ok(key) = key {
            facts.teams = key.scoped_teams.unwrap_or_default();
            let scopes = key.scopes.unwrap_or_default();
            facts.grants = Some(if scopes.is_empty() {
                GrantedScopes::Everything
            } else {
                GrantedScopes::Listed(scopes)
            });
        } else if self.client.key_kind() == KeyKind::OAuth
            && let Ok(token) = self.in_time(self.client.introspect()).await
            && token.active
        {
            facts.teams = token.scoped_teams.unwrap_or_default();
            facts.grants = Some(GrantedScopes::Listed(
                token
                    .scope
                    .split_whitespace()
                    .map(|scope| scope.to_owned().into())
                    .collect(),
            ));
        }
        Ok(facts)
    }

    /// The number of the client's project.
    ///
    /// # Errors
    /// See [`Client::project`].
    pub async fn project(&self) -> Result<u64, Error> {
        self.in_time(self.client.project()).await
    }

    /// The name of a project, if the key can read it, and the key's access to the project.
    pub async fn project_access(&self, project: u64) -> (Option<Untrusted<String>>, ProjectAccess) {
        let number = project.to_string();
        let named = self.read::<Team>(Request::get(vec!["api", "projects", &number]));
        let used = self.read::<Value>(deletions(&number));
        let (named, used) = tokio::join!(named, used);
        let access = match used.as_ref().map_err(Error::kind) {
            Ok(_) => ProjectAccess::Member,
            Err(ErrorKind::Forbidden) => ProjectAccess::Refused,
            Err(_) if named.is_ok() => ProjectAccess::Member,
            Err(ErrorKind::NotFound) => ProjectAccess::Missing,
            Err(_) => ProjectAccess::Unknown,
        };
        (named.ok().and_then(|project| project.name), access)
    }

    /// The scopes of a key that cannot read them, determined by requests that need them, as far as reads allow.
    ///
    /// The requested persons do not exist: PostHog checks scopes first, so that "not found" means that a scope is granted.
    pub async fn probe_scopes(&self, may_ask_user: Option<bool>, project: u64) -> GrantedScopes {
        let number = project.to_string();
        let missing = Uuid::new_v4().to_string();
        let person = ("person_id".into(), missing.clone());
        let cohorts = Request::get(persons(&number, &["cohorts"])).query(vec![person]);
        let activity = Request::get(persons(&number, &[&missing, "activity"]));
        let timeline = Request::get(persons(&number, &[&missing, "properties_timeline"]));
        let (read, cohorts, activity, timeline, query) = tokio::join!(
            self.read::<Value>(deletions(&number)),
            self.read::<Value>(cohorts),
            self.read::<Value>(activity),
            self.read::<Value>(timeline),
            self.read::<Value>(smallest_query(&number)),
        );
        if passes(&timeline) {
            return GrantedScopes::Everything;
        }
        let (mut has, mut lacks) = (Vec::new(), Vec::new());
        let checks = [
            ("person:read", read),
            ("cohort:read", cohorts),
            ("activity_log:read", activity),
            ("query:read", query),
        ];
        for (scope, response) in checks {
            match &response {
                _ if passes(&response) => has.push(scope),
                // Where an endpoint requires two scopes, the other one may be missing.
                Err(error) if matches!(error.kind(), ErrorKind::MissingScope(missing) if *missing == *scope) =>
                {
                    lacks.push(scope);
                }
                _ => {}
            }
        }
        if let Some(may) = may_ask_user {
            if may { &mut has } else { &mut lacks }.push("user:read");
        }
        GrantedScopes::Probed { has, lacks }
    }

    /// What a key grants that PostHog lists with the scope `*`. PostHog lists a key without scopes in the same way, and only
    /// such a key reads the timeline.
    pub async fn resolve_wildcard(&self, grants: GrantedScopes, project: u64) -> GrantedScopes {
        let is_wildcard = matches!(
            &grants,
            GrantedScopes::Listed(scopes) if scopes.iter().any(|scope| *scope == *"*")
        );
        if !is_wildcard {
            return grants;
        }
        let (number, missing) = (project.to_string(), Uuid::new_v4().to_string());
        let timeline = Request::get(persons(&number, &[&missing, "properties_timeline"]));
        if passes(&self.read::<Value>(timeline).await) {
            GrantedScopes::Everything
        } else {
            grants
        }
    }

    /// Whether this is PostHog Cloud, which is always current.
    #[must_use]
    pub fn is_cloud(&self) -> bool {
        self.client.inner.connection.is_current()
    }

    /// Whether the key does not support batches: some PostHog versions do not have them, or not for keys with scopes.
    pub async fn batches_unsupported(&self, project: u64) -> bool {
        let number = project.to_string();
        let path = persons(&number, &["batch_by_distinct_ids"]);
        let missing = Request::read_by_post(path, json!({ "distinct_ids": [] }));
        let response = self.read::<Value>(missing).await;
        matches!(
            response,
            Err(error) if matches!(error.kind(), ErrorKind::ScopedKeysUnsupported | ErrorKind::Unsupported(_))
        )
    }
}

impl Client {
    pub(crate) fn key_kind(&self) -> KeyKind {
        KeyKind::of(self.inner.key.expose_secret())
    }

    /// `POST /oauth/introspect`, with the token itself.
    pub(crate) async fn introspect(&self) -> Result<Introspection, Error> {
        let body = json!({ "token": self.inner.key.expose_secret() });
        let mut request = Request::read_by_post(vec!["oauth", "introspect"], body);
        request.trailing_slash = false;
        crate::decode::decode(&self.transmit(&request).await?)
    }
}

/// A cheap read that returns nothing about persons but UUIDs.
fn deletions(project: &str) -> Request<'_> {
    Request::get(persons(project, &["deletion_status"])).query(vec![("limit".into(), "1".into())])
}

/// A query that reads nothing.
fn smallest_query(project: &str) -> Request<'_> {
    let query = HogQl::new("select 1").node();
    Request::read_by_post(
        vec!["api", "projects", project, "query"],
        json!({ "query": query }),
    )
}

/// Whether a request passed the check of its scopes.
fn passes(response: &Result<Value, Error>) -> bool {
    match response {
        Ok(_) => true,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::Invalid { .. }
        ),
    }
}
