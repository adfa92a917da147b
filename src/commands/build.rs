//! Builds clients, servers and logs from the settings.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use tokio::net::TcpListener;

use crate::approval::Approvals;
use crate::audit::{AuditLog, ChainKey};
use crate::config::{
    AUTH_TOKEN, ApiKey, ApiKeySource, Config, ConfigError, HttpConfig, no_api_key,
};
use crate::coordination::Store;
use crate::export::Exports;
use crate::http::{
    AuthMode, Credentials, HostPolicy, HttpLimits, HttpOptions, KeyRegistry, Metrics,
};
use crate::server::confirmation::Confirmer;
use crate::server::{Server, WriteGuards};
use crate::setting_files;
use crate::tools::{self, Context, ToolDefinition, catalog};
use posthog_client::{Client, Connection, ConnectionError, ConnectionOptions};
use posthog_sandbox::{Sandbox, Seed};
use url::Url;

/// A connection to PostHog, without a key. No request is made.
///
/// # Errors
/// With every problem.
pub(super) fn connection(config: &Config) -> Result<Arc<Connection>, ConfigError> {
    let mut problems = ConfigError::default();
    let host = problems.collect(config.host.clone());
    let ca_certificates = problems.collect(config.ca_certificates.clone());
    let capture_host = config.capture_host.as_deref().map(|url| {
        // It is not quoted: it may hold a password.
        Url::parse(url.trim()).map_err(|_| {
            ConfigError::new(
                "--capture-host is not a URL. It should look like https://eu.i.posthog.com.",
            )
        })
    });
    let capture_host = problems.collect(capture_host.transpose());
    let connection = host.and_then(|host| {
        let options = ConnectionOptions {
            capture_host: capture_host.flatten(),
            allow_insecure_http: config.allow_insecure_http,
            assume_current: config.assume_current_posthog,
            ca_certificates: ca_certificates.flatten(),
            max_response_bytes: config.max_response_bytes,
            ..ConnectionOptions::new(host)
        };
        let connection = Connection::new(&options).map_err(|error| {
            ConfigError::new(match error {
                ConnectionError::Certificate(_) => format!("POSTHOG_MCP_CA_CERT: {error}"),
                ConnectionError::Client(_) => error.to_string(),
                ConnectionError::Capture(_) => format!("--capture-host: {error}"),
                _ => format!("POSTHOG_HOST: {error}"),
            })
        });
        problems.collect(connection)
    });
    connection
        .filter(|_| problems.is_empty())
        .map(Arc::new)
        .ok_or(problems)
}

/// A client for PostHog. No request is made.
///
/// # Errors
/// With every problem.
pub(super) fn client(config: &Config) -> Result<Client, ConfigError> {
    let mut problems = ConfigError::default();
    let key = config.api_key.clone();
    let key = problems.collect(key.and_then(|key| key.ok_or_else(no_api_key)));
    let project = problems.collect(config.project.clone());
    let connection = problems.collect(connection(config));
    match (key, project, connection) {
        (Some(key), Some(project), Some(connection)) => {
            Ok(Client::new(connection, key.secret, project))
        }
        _ => Err(problems),
    }
}

/// The tools that the policy offers.
///
/// # Errors
/// With every unknown name in the policy.
pub(super) fn tools(config: &Config) -> Result<Vec<ToolDefinition>, ConfigError> {
    let policy = config.policy.as_ref().map_err(Clone::clone)?;
    let tools = catalog();
    let unknown = policy.unknown_names(tools.iter().map(|tool| tool.name));
    if !unknown.is_empty() {
        return Err(unknown.iter().map(ToString::to_string).collect());
    }
    let missing = |tool: &ToolDefinition| policy.missing_opt_in(tool.opt_in);
    let named = |tool: &&ToolDefinition| policy.tools.iter().any(|name| name == tool.name);
    let unusable: Vec<String> = tools
        .iter()
        .filter(named)
        .filter_map(|tool| {
            Some(format!(
                "--tools: {} is only offered with {}",
                tool.name,
                missing(tool)?
            ))
        })
        .collect();
    if !unusable.is_empty() {
        return Err(unusable.into_iter().collect());
    }
    let offers = |tool: &ToolDefinition| {
        missing(tool).is_none() && policy.offers(tool.name, tool.toolset, tool.effect)
    };
    Ok(tools.into_iter().filter(offers).collect())
}

/// The audit log, if one is set.
///
/// # Errors
/// When it cannot be written, so that the start fails and not the first change.
pub(super) fn audit_log(config: &Config) -> Result<Option<AuditLog>, ConfigError> {
    let Some(path) = &config.audit_log else {
        if config.audit_reads {
            return Err(ConfigError::new(
                "--audit-reads records reads in the audit log, and there is none: set --audit-log"
                    .to_owned(),
            ));
        }
        return Ok(None);
    };
    let key = ChainKey::new(config.audit_key.clone()?);
    let log = AuditLog::open(path, key).map_err(|error| {
        ConfigError::new(format!(
            "the audit log {} cannot be written: {error}",
            setting_files::display(path)
        ))
    })?;
    Ok(Some(if config.audit_reads {
        log.with_reads()
    } else {
        log
    }))
}

/// Where exports are written, if they are enabled; with an address, from where they are downloaded.
///
/// # Errors
/// When the directory cannot be used, so that the start fails and not the first export.
pub(super) fn exports(config: &Config, url: Option<&str>) -> Result<Option<Exports>, ConfigError> {
    let Some(directory) = &config.export_dir else {
        return Ok(None);
    };
    let exports = match url {
        Some(url) => Exports::served_at(directory, url),
        None => Exports::in_directory(directory),
    };
    exports.map(Some).map_err(|error| {
        ConfigError::new(format!(
            "--export-dir: {} cannot be used: {error}",
            setting_files::display(directory)
        ))
    })
}

/// The approval page, where it can be needed.
fn approvals(config: &Config, serves_page: bool) -> Result<Option<Approvals>, ConfigError> {
    let read_only = config.policy.as_ref().is_ok_and(|policy| policy.read_only);
    if !serves_page || read_only {
        return Ok(None);
    }
    Ok(Some(Approvals::new(config.approval.clone()?)))
}

/// A server for one user, and its sandbox if it has one.
///
/// `serves_page` says whether the user may confirm on the approval page where the client cannot ask.
pub(super) async fn server(
    config: Config,
    serves_page: bool,
    exports: Option<Exports>,
) -> anyhow::Result<(Server, Option<Sandbox>)> {
    let (config, sandbox) = with_sandbox(config).await?;
    let context = Context {
        posthog: client(&config)?,
        limits: config.output.clone()?,
        exports,
    };
    let safety = WriteGuards {
        confirmer: Confirmer::new(config.confirm, approvals(&config, serves_page)?),
        audit: audit_log(&config)?,
    };
    Ok((Server::new(tools(&config)?, context, safety), sandbox))
}

/// A server for a team, and how it is served on this listener.
pub(super) async fn http_server(
    config: &Config,
    http: HttpConfig,
) -> anyhow::Result<(TcpListener, Server, HttpOptions)> {
    let auth_mode = auth_mode(config, &http)?;
    let connection = match &auth_mode {
        AuthMode::ServerKey { posthog, .. } => posthog.connection(),
        AuthMode::PerRequestKey => connection(config)?,
    };
    // Before anything that is measured.
    let metrics = Metrics::install()?;
    let store = match &http.redis {
        Some(url) => Store::connect(url, http.state_key.as_ref())
            .await
            .context("--redis")?,
        None => Store::default(),
    };
    let mut confirmer = Confirmer::new(config.confirm, None).with_store(store.clone());
    if let Some(key) = &http.state_key {
        confirmer = confirmer.with_key(key);
    }
    let safety = WriteGuards {
        confirmer,
        audit: audit_log(config)?,
    };
    let offered = tools(config)?;
    let scopes = tools::scopes(&offered).into_iter().collect();
    let listener = TcpListener::bind(http.bind)
        .await
        .with_context(|| format!("could not listen on {}", http.bind))?;
    let address = listener.local_addr()?;
    let public_url = http.public_url.as_deref().map_or_else(
        || format!("http://{address}"),
        |url| url.trim_end_matches('/').to_owned(),
    );
    let exports = exports(config, Some(&public_url))?;
    let server = Server::shared(
        offered,
        config.output.clone()?,
        safety,
        store.clone(),
        exports.clone(),
    );
    // Only a name that the operator chose is one that a token can be meant for.
    let resource = http
        .public_url
        .as_ref()
        .map(|_| format!("{public_url}/mcp"));
    let public_host = url::Url::parse(&public_url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    let mut hosts = http.allowed_hosts;
    hosts.extend(public_host);
    let options = HttpOptions {
        credentials: Credentials {
            public_url,
            connection,
            project: config.project.clone()?,
            tool_names: catalog().iter().map(|tool| tool.name).collect(),
            scopes,
            auth_mode,
            keys: Arc::new(KeyRegistry::new(resource.as_deref())),
        },
        host_policy: HostPolicy {
            hosts,
            origins: http.allowed_origins,
        },
        limits: HttpLimits {
            max_sessions: http.max_sessions,
            max_requests_per_minute: http.max_requests_per_minute,
            ..HttpLimits::default()
        },
        legacy_sse: http.legacy_sse,
        metrics,
        store,
        exports,
    };
    Ok((listener, server, options))
}

/// Whose API key is used, and how requests authenticate.
fn auth_mode(config: &Config, http: &HttpConfig) -> anyhow::Result<AuthMode> {
    let token = http.auth_token.clone();
    if let Ok(None) = config.api_key {
        if token.is_some() {
            bail!(
                "{AUTH_TOKEN} is set, but the server has no PostHog API key. Without one every request carries its own key, and there is nothing for the token to protect."
            );
        }
        return Ok(AuthMode::PerRequestKey);
    }
    let posthog = client(config)?;
    if token.is_none() && !http.bind.ip().is_loopback() {
        bail!(
            "{} is reachable from other machines, and the server's PostHog API key is not protected. Set {AUTH_TOKEN}, \
             bind to 127.0.0.1, or remove the key so that every request carries its own.",
            http.bind
        );
    }
    Ok(AuthMode::ServerKey { posthog, token })
}

/// Starts a sandbox in this process if the settings ask for one, and returns settings that point to it.
pub(super) async fn with_sandbox(config: Config) -> anyhow::Result<(Config, Option<Sandbox>)> {
    if !config.sandbox {
        return Ok((config, None));
    }
    let sandbox = sandbox(&config, 0).await?;
    let config = Config {
        host: Ok(sandbox.url().parse()?),
        // The sandbox captures events itself.
        capture_host: None,
        project: Ok(posthog_client::Project::Number(Sandbox::PROJECT)),
        api_key: Ok(Some(ApiKey {
            secret: Sandbox::KEY.into(),
            source: ApiKeySource::Sandbox,
        })),
        ..config
    };
    Ok((config, Some(sandbox)))
}

/// Starts a sandbox on a port of this machine.
pub(super) async fn sandbox(config: &Config, port: u16) -> anyhow::Result<Sandbox> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("could not start the sandbox on 127.0.0.1:{port}"))?;
    let seed = config.sandbox_seed.as_deref().map(read_seed).transpose()?;
    let options = posthog_sandbox::SandboxOptions {
        persons: config.sandbox_persons,
        events: config.sandbox_events,
        era: config.sandbox_era,
        seed,
        ..posthog_sandbox::SandboxOptions::default()
    };
    Ok(Sandbox::start(listener, options).await?)
}

fn read_seed(path: &Path) -> anyhow::Result<Seed> {
    let name = format!("--sandbox-seed: {}", setting_files::display(path));
    let json = setting_files::read(path).with_context(|| format!("{name} cannot be read"))?;
    let json = String::from_utf8_lossy(&json);
    Seed::parse(&json).map_err(|error| anyhow!("{name} is not a seed file: {error}"))
}
