//! What a key is, whose cloud it belongs to, and what it opens: asked as PostHog's own tools ask it.
//!
//! Only reads are sent, none of them reads a person, and each is sent once: whoever looks for a fault wants to see it.

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
use crate::request::{Request, persons};
use crate::scopes::GrantedScopes;
use crate::untrusted::Untrusted;

const MIN_LEGACY_KEY_LEN: usize = 30;

/// Which kind of key it is, by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `phx_`
    Personal,
    /// `pha_`
    OAuth,
    /// Without a prefix, as personal keys once were.
    Legacy,
    /// Nothing that PostHog ever gave out.
    Unrecognized,
}

impl KeyKind {
    /// The kind of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        match key.split_once('_') {
            Some(("phx", _)) => Self::Personal,
            Some(("pha", _)) => Self::OAuth,
            // Random bytes in base64 that is safe in addresses.
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

/// One of PostHog's own clouds. A key belongs to one of them and is as good as wrong in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// Its address, without a slash at the end.
    pub host: String,
}

impl Region {
    /// All of them.
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

/// What PostHog says about an OAuth token.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
    /// Separated by spaces.
    #[serde(default)]
    scope: String,
    #[serde(default)]
    scoped_teams: Option<Vec<u64>>,
}

/// What is known of a key that PostHog accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its scopes, if it may be asked for them.
    pub grants: Option<GrantedScopes>,
    /// The projects that it is limited to; empty means no limit.
    pub teams: Vec<u64>,
    /// The number and the name of the project that its owner has selected, if the owner may be asked for.
    pub selected: Option<(u64, Option<Untrusted<String>>)>,
    /// Whether the key may ask for its owner, if that is known.
    pub user: Option<bool>,
}

/// How a key stands to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectAccess {
    /// It may use it.
    Member,
    /// PostHog does not let it in.
    Refused,
    /// There is none of this number.
    Missing,
    /// It cannot be found out.
    Unknown,
}

/// Asks a PostHog about the key of a client, each question once and with an end to the waiting.
pub struct KeyInspector {
    client: Client,
    patience: Duration,
    until: Instant,
}

impl KeyInspector {
    /// Waits so long for each answer, and until then for all of them together.
    #[must_use]
    pub fn new(client: Client, patience: Duration, until: Instant) -> Self {
        Self {
            client,
            patience,
            until,
        }
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let left = self.until.saturating_duration_since(Instant::now());
        match timeout(self.patience.min(left), answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::Timeout)),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, Error> {
        let body = self.in_time(self.client.send_once(&request)).await?;
        crate::decode::decode(&body)
    }

    /// Whether PostHog knows the key, and what it says about it.
    ///
    /// # Errors
    /// [`ErrorKind::Authentication`] when it does not; else why it cannot be asked.
    pub async fn key(&self) -> Result<KeyFacts, Error> {
        let (me, key) = tokio::join!(self.ask::<Me>(me()), self.ask::<KeyScope>(own_key()));
        let mut facts = KeyFacts::default();
        match me {
            Ok(me) => {
                facts.user = Some(true);
                facts.selected = me.team.map(|team| (team.id, team.name));
            }
            Err(error) => match error.kind() {
                ErrorKind::MissingScope(_) => facts.user = Some(false),
                // Whoever is forbidden something was recognized before.
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
        } else if KeyKind::of(self.client.inner.key.expose_secret()) == KeyKind::OAuth
            && let Ok(token) = self.introspect().await
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

    /// `POST /oauth/introspect`: the token asks about itself.
    async fn introspect(&self) -> Result<Introspection, Error> {
        let body = json!({ "token": self.client.inner.key.expose_secret() });
        let mut request = Request::read_by_post(vec!["oauth", "introspect"], body);
        request.slash = false;
        self.ask(request).await
    }

    /// The number of the client's project.
    ///
    /// # Errors
    /// As [`Client::project`].
    pub async fn project(&self) -> Result<u64, Error> {
        self.in_time(self.client.project()).await
    }

    /// What a project is called, if the key may ask, and how the key stands to it.
    pub async fn standing(&self, project: u64) -> (Option<Untrusted<String>>, ProjectAccess) {
        let number = project.to_string();
        let named = self.ask::<Team>(Request::get(vec!["api", "projects", &number]));
        let used = self.ask::<Value>(deletions(&number));
        let (named, used) = tokio::join!(named, used);
        let standing = match used.as_ref().map_err(Error::kind) {
            Ok(_) => ProjectAccess::Member,
            Err(ErrorKind::Forbidden) => ProjectAccess::Refused,
            Err(_) if named.is_ok() => ProjectAccess::Member,
            Err(ErrorKind::NotFound) => ProjectAccess::Missing,
            Err(_) => ProjectAccess::Unknown,
        };
        (named.ok().and_then(|project| project.name), standing)
    }

    /// The scopes of a key that does not tell them: tried, as far as reading tells.
    ///
    /// The persons asked for do not exist: a refusal comes before the search, so that "not found" means "allowed".
    pub async fn tried(&self, may_ask_user: Option<bool>, project: u64) -> GrantedScopes {
        let number = project.to_string();
        let nobody = Uuid::new_v4().to_string();
        let person = ("person_id".into(), nobody.clone());
        let cohorts = Request::get(persons(&number, &["cohorts"])).query(vec![person]);
        let activity = Request::get(persons(&number, &[&nobody, "activity"]));
        let timeline = Request::get(persons(&number, &[&nobody, "properties_timeline"]));
        let (read, cohorts, activity, timeline) = tokio::join!(
            self.ask::<Value>(deletions(&number)),
            self.ask::<Value>(cohorts),
            self.ask::<Value>(activity),
            self.ask::<Value>(timeline),
        );
        if passes(&timeline) {
            return GrantedScopes::Everything;
        }
        let (mut has, mut lacks) = (Vec::new(), Vec::new());
        let tries = [
            ("person:read", read),
            ("cohort:read", cohorts),
            ("activity_log:read", activity),
        ];
        for (scope, answer) in tries {
            match &answer {
                _ if passes(&answer) => has.push(scope),
                // Where two scopes are wanted, the other one may be what is missing.
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
        let closed =
            matches!(&timeline, Err(error) if *error.kind() == ErrorKind::ScopedKeysUnsupported);
        GrantedScopes::Tried { has, lacks, closed }
    }

    /// Whether batches are closed to the key, as they were for a time.
    pub async fn batches_are_closed(&self, project: u64) -> bool {
        let number = project.to_string();
        let path = persons(&number, &["batch_by_distinct_ids"]);
        let nobody = Request::read_by_post(path, json!({ "distinct_ids": [] }));
        let answer = self.ask::<Value>(nobody).await;
        matches!(answer, Err(error) if *error.kind() == ErrorKind::ScopedKeysUnsupported)
    }
}

/// A read that costs PostHog little, and holds nothing about anybody but UUIDs.
fn deletions(project: &str) -> Request<'_> {
    Request::get(persons(project, &["deletion_status"])).query(vec![("limit".into(), "1".into())])
}

/// Whether an answer comes from behind the check of the scopes.
fn passes(answer: &Result<Value, Error>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::Invalid { .. }
        ),
    }
}
