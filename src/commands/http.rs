//! `http`: one server for a team.

use std::process::ExitCode;

use secrecy::SecretString;
use tokio::net::TcpListener;

use super::Failure;
use crate::config::{HttpSettings, Settings};
use crate::coordination::Store;
use crate::http::{AuthMode, Credentials, Guard, Limits, Metrics, Options, ProjectCache, serve};
use crate::server::confirmation::Confirmer;
use crate::server::{Server, WriteGuards};
use crate::tools;
use posthog_sandbox::Sandbox;

const AUTH_TOKEN: &str = "POSTHOG_MCP_AUTH_TOKEN";
const STATE_KEY: &str = "POSTHOG_MCP_STATE_KEY";

pub(super) async fn run(settings: &Settings, http: &HttpSettings) -> Result<ExitCode, Failure> {
    let (settings, sandbox) = super::with_sandbox(settings).await?;
    let token = secret(AUTH_TOKEN)?;
    let kind = match &sandbox {
        Some(_) => AuthMode::ServerKey {
            posthog: settings.client_with_key(Sandbox::KEY)?,
            token,
        },
        None if settings.has_key() => AuthMode::ServerKey {
            posthog: settings.client()?,
            token,
        },
        None if token.is_some() => {
            return Err(format!(
                "{AUTH_TOKEN} is set but no PostHog key: without a key of the server every request brings its own, and a token has nothing to guard."
            )
            .into());
        }
        None => AuthMode::PerRequestKey,
    };
    let open = matches!(kind, AuthMode::ServerKey { token: None, .. });
    if open && !http.bind.ip().is_loopback() {
        return Err(format!(
            "{} can be reached from other machines, and anybody there could use this server's PostHog key. Set {AUTH_TOKEN}, \
             or bind to 127.0.0.1, or leave out the key so that every request brings its own.",
            http.bind
        )
        .into());
    }
    let connection = match &kind {
        AuthMode::ServerKey { posthog, .. } => posthog.connection(),
        AuthMode::PerRequestKey => settings.connection()?,
    };
    let shared = shared(http).await?;
    let mut confirmer = Confirmer::new(settings.confirm.into(), false).with_store(shared.clone());
    if let Some(key) = secret(STATE_KEY)? {
        confirmer = confirmer.with_key(&key);
    }
    let safety = WriteGuards {
        confirmer,
        audit: settings.audit()?,
    };
    let offered = super::offered(&settings)?;
    let scopes = tools::scopes(&offered).into_iter().collect();
    let server = Server::shared(offered, settings.limits(), safety);
    let listener = TcpListener::bind(http.bind)
        .await
        .map_err(|error| format!("{} cannot be listened on: {error}", http.bind))?;
    let address = listener.local_addr()?;
    let public_url = http.public_url.as_deref().map_or_else(
        || format!("http://{address}"),
        |url| url.trim_end_matches('/').to_owned(),
    );
    let mut hosts = http.allowed_hosts.clone();
    hosts.extend(
        url::Url::parse(&public_url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned)),
    );
    let options = Options {
        credentials: Credentials {
            public_url,
            connection,
            project: settings.project()?,
            tools: tools::catalog().iter().map(|tool| tool.name).collect(),
            scopes,
            kind,
            projects: ProjectCache::default(),
        },
        guard: Guard {
            hosts,
            origins: http.allowed_origins.clone(),
        },
        limits: Limits {
            sessions: http.max_sessions,
            requests_a_minute: http.max_requests_per_minute,
            ..Limits::default()
        },
        sse: !http.no_sse,
        metrics: Metrics::start()?,
        shared,
    };
    let stop = super::stop_signal()?;
    tracing::info!(%address, "serving over HTTP");
    serve(listener, server, options, stop).await?;
    tracing::info!("stopped");
    drop(sandbox);
    Ok(ExitCode::SUCCESS)
}

/// What this process has in common with others, if it is to have anything.
async fn shared(http: &HttpSettings) -> Result<Store, Failure> {
    let Some(url) = &http.redis else {
        return Ok(Store::default());
    };
    #[cfg(feature = "redis")]
    {
        let redis = crate::coordination::Redis::connect(url).await;
        // The address may hold a password, and the library's words may hold the address.
        let redis =
            redis.map_err(|error| format!("--redis: no connection ({:?})", error.kind()))?;
        Ok(Store::through(redis))
    }
    #[cfg(not(feature = "redis"))]
    {
        let _ = url;
        Err("--redis: this binary was built without it; build with `--features redis`.".into())
    }
}

/// A secret that stands in a variable and nowhere else. One that is easily guessed is refused.
fn secret(name: &str) -> Result<Option<SecretString>, Failure> {
    const SHORTEST: usize = 32;
    let secret = std::env::var(name).unwrap_or_default();
    match secret.trim() {
        "" => Ok(None),
        secret if secret.len() < SHORTEST => Err(format!(
            "{name} has {} characters; it needs at least {SHORTEST}, such as `openssl rand -hex 32` gives.",
            secret.len()
        )
        .into()),
        secret => Ok(Some(SecretString::from(secret))),
    }
}
