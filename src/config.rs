//! Every setting, validated, as data. Invariant: builds no client, server or log; that is the commands layer.

mod approval;
mod http;

pub use http::HttpConfig;

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tracing::level_filters::LevelFilter;
use url::Url;

use crate::approval::ApprovalOptions;
use crate::cli::{SettingsArgs, Switch, ToolArgs};
use crate::output::{OutputOptions, Redaction};
use crate::policy::{Confirm, OptIn, Policy};
use crate::setting_files;
use crate::setting_values::{is_bearer_token, list, secret};
use posthog_client::{Project, parse_host};
use posthog_sandbox::Era;

/// The variable of the personal API key.
pub const API_KEY: &str = "POSTHOG_PERSONAL_API_KEY";
/// The variable of the token that guards the server's own PostHog key.
pub const AUTH_TOKEN: &str = "POSTHOG_MCP_AUTH_TOKEN";
/// The variable of the key that processes share for their confirmations.
pub const STATE_KEY: &str = "POSTHOG_MCP_STATE_KEY";

/// Invalid settings: every problem, one per line.
#[derive(Debug, Clone, Default, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// One problem.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }

    /// The value of a setting; its problems join these.
    pub fn collect<T>(&mut self, setting: Result<T, Self>) -> Option<T> {
        setting.map_err(|error| self.0.extend(error.0)).ok()
    }

    /// Whether there is no problem.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for ConfigError {
    fn from_iter<I: IntoIterator<Item = String>>(problems: I) -> Self {
        Self(problems.into_iter().collect())
    }
}

/// The settings of every command.
///
/// An invalid setting holds its error: a command fails only for the settings it needs, and the doctor reports all.
#[derive(Debug, Clone)]
pub struct Config {
    /// PostHog's address.
    pub host: Result<Url, ConfigError>,
    /// Where events are captured, if that does not follow from the host.
    pub capture_host: Option<String>,
    /// The project of the calls.
    pub project: Result<Project, ConfigError>,
    /// The personal API key, if one is set.
    pub api_key: Result<Option<ApiKey>, ConfigError>,
    /// Additional CA certificates, in PEM.
    pub ca_certificates: Result<Option<Vec<u8>>, ConfigError>,
    /// Whether the key may be sent over plain HTTP to another machine.
    pub allow_insecure_http: bool,
    /// Take PostHog for current, whatever its schema says.
    pub assume_current_posthog: bool,
    /// The maximum size of a response of PostHog.
    pub max_response_bytes: usize,
    /// Which tools are offered.
    pub policy: Result<Policy, ConfigError>,
    /// Where exports are written, if they are enabled.
    pub export_dir: Option<PathBuf>,
    /// How deletions are confirmed.
    pub confirm: Confirm,
    /// Where and how the approval page is served.
    pub approval: Result<ApprovalOptions, ConfigError>,
    /// Where changes and deletions are logged.
    pub audit_log: Option<PathBuf>,
    /// Whether reads are logged there as well.
    pub audit_reads: bool,
    /// The key with which its lines are chained, if there is one.
    pub audit_key: Result<Option<SecretString>, ConfigError>,
    /// The form of tool results.
    pub output: Result<OutputOptions, ConfigError>,
    /// Whether to work on a sandbox in this process.
    pub sandbox: bool,
    /// Generated persons in a sandbox.
    pub sandbox_persons: usize,
    /// Events of one more person in a sandbox.
    pub sandbox_events: usize,
    /// The version of PostHog that a sandbox simulates.
    pub sandbox_era: Era,
    /// The file with a sandbox's persons and events, where they are not the built-in story.
    pub sandbox_seed: Option<PathBuf>,
    /// The log level, where it is not the command's own.
    pub log: Option<LevelFilter>,
    /// What the operator should know about the settings.
    pub warnings: Vec<String>,
}

/// A personal API key, and where it came from.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// The key.
    pub secret: SecretString,
    /// Where it came from.
    pub source: ApiKeySource,
}

/// Where an API key came from.
#[derive(Debug, Clone)]
pub enum ApiKeySource {
    /// The variable.
    Environment,
    /// A file.
    File(PathBuf),
    /// The sandbox in this process.
    Sandbox,
}

impl Config {
    /// Reads the settings: the arguments, the API key, and the files that they name.
    #[must_use]
    pub fn new(settings: SettingsArgs) -> Self {
        let SettingsArgs {
            connection,
            tools,
            writes,
            results,
            sandbox,
            global,
        } = settings;
        Self {
            host: parse_host(&connection.host)
                .map_err(|error| ConfigError::new(format!("POSTHOG_HOST {error}"))),
            capture_host: connection.capture_host,
            project: connection
                .project
                .parse()
                .map_err(|error| ConfigError::new(format!("POSTHOG_PROJECT_ID: {error}"))),
            api_key: read_api_key(connection.api_key_file.as_deref()),
            ca_certificates: connection
                .ca_cert
                .as_deref()
                .map(read_ca_certificates)
                .transpose(),
            allow_insecure_http: connection.allow_insecure_http,
            assume_current_posthog: connection.assume_current_posthog,
            max_response_bytes: connection.max_response_bytes as usize,
            policy: policy(&tools),
            export_dir: tools.export_dir,
            confirm: writes.confirm.into(),
            approval: approval::options(&writes),
            audit_log: writes.audit_log,
            audit_reads: writes.audit_reads,
            audit_key: writes
                .audit_key_file
                .as_deref()
                .map(read_audit_key)
                .transpose(),
            output: names("--redact", &results.redact).map(|redact| OutputOptions {
                bytes: results.max_result_bytes as usize,
                structured: results.structured == Switch::On,
                redaction: Redaction::new(&redact, results.mask_emails),
            }),
            sandbox: sandbox.sandbox,
            sandbox_persons: sandbox.sandbox_persons,
            sandbox_events: sandbox.sandbox_events,
            sandbox_era: sandbox.sandbox_era,
            sandbox_seed: sandbox.sandbox_seed,
            log: global.log,
            warnings: key_file_warning(connection.api_key_file.as_deref())
                .into_iter()
                .collect(),
        }
    }
}

/// The names of a list setting; none if it is not set.
fn names(setting: &str, given: &[String]) -> Result<Vec<String>, ConfigError> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    list(&given.join(",")).map_err(|error| ConfigError::new(format!("{setting}: {error}")))
}

fn policy(tools: &ToolArgs) -> Result<Policy, ConfigError> {
    let mut problems = ConfigError::default();
    let policy = Policy {
        read_only: tools.read_only,
        toolsets: problems
            .collect(names("--toolsets", &tools.toolsets))
            .unwrap_or_default(),
        tools: problems
            .collect(names("--tools", &tools.tools))
            .unwrap_or_default(),
        exclude: problems
            .collect(names("--exclude-tools", &tools.exclude_tools))
            .unwrap_or_default(),
        opt_ins: [
            tools.allow_merge.then_some(OptIn::Merge),
            tools.export_dir.is_some().then_some(OptIn::Export),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    if problems.is_empty() {
        Ok(policy)
    } else {
        Err(problems)
    }
}

fn read_ca_certificates(path: &Path) -> Result<Vec<u8>, ConfigError> {
    setting_files::read(path).map_err(|error| {
        ConfigError::new(format!(
            "POSTHOG_MCP_CA_CERT: {} cannot be read: {error}",
            setting_files::display(path)
        ))
    })
}

fn read_audit_key(path: &Path) -> Result<SecretString, ConfigError> {
    let name = format!("--audit-key-file: {}", setting_files::display(path));
    let key = setting_files::read(path)
        .map_err(|error| ConfigError::new(format!("{name} cannot be read: {error}")))?;
    let key = String::from_utf8(key).unwrap_or_default();
    let key = secret(&key).map_err(|error| ConfigError::new(format!("{name} {error}")))?;
    key.ok_or_else(|| {
        ConfigError::new(format!(
            "{name} contains no text. Generate a key with `openssl rand -hex 32`."
        ))
    })
}

/// A key that every user of the machine can read is no secret. Containers mount secrets so, which is why it is no error.
fn key_file_warning(file: Option<&Path>) -> Option<String> {
    let file = file?;
    let mode = setting_files::readable_by_all(file)?;
    Some(format!(
        "the key file {} can be read by every user of this machine (mode {mode:04o}); run chmod 600 on it",
        setting_files::display(file)
    ))
}

/// The API key from the file, or else from the variable. An empty variable counts as unset.
fn read_api_key(file: Option<&Path>) -> Result<Option<ApiKey>, ConfigError> {
    let (key, name, source) = match file {
        Some(path) => {
            let name = format!("the key file {}", setting_files::display(path));
            let key = setting_files::read(path)
                .map_err(|error| ConfigError::new(format!("{name} cannot be read: {error}")))?;
            let key = String::from_utf8_lossy(&key).into_owned();
            (key, name, ApiKeySource::File(path.to_owned()))
        }
        None => match std::env::var_os(API_KEY) {
            Some(key) if !key.is_empty() => {
                let key = key.to_string_lossy().into_owned();
                (key, API_KEY.to_owned(), ApiKeySource::Environment)
            }
            _ => return Ok(None),
        },
    };
    let key = key.trim();
    if key.is_empty() {
        return Err(no_api_key());
    }
    if key.starts_with("phc_") || key.starts_with("phs_") {
        return Err(ConfigError::new(format!(
            "{name} contains a project API key, which this API does not accept; use a personal API key (phx_...)."
        )));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::new(format!(
            "{name} contains characters that are not allowed in an API key."
        )));
    }
    Ok(Some(ApiKey {
        secret: SecretString::from(key),
        source,
    }))
}

/// The error for a missing API key.
#[must_use]
pub fn no_api_key() -> ConfigError {
    ConfigError::new(format!(
        "No API key is set. Set {API_KEY} to a PostHog personal API key (create one at https://us.posthog.com/settings/user-api-keys or \
         https://eu.posthog.com/settings/user-api-keys, with the scope person:read), or name its file with --api-key-file. \
         To try the server without a key, use --sandbox."
    ))
}

/// The token that requests must carry, if it is one that they can carry.
fn read_auth_token() -> Result<Option<SecretString>, ConfigError> {
    let token = read_secret(AUTH_TOKEN)?;
    match &token {
        Some(token) if !is_bearer_token(token.expose_secret()) => Err(ConfigError::new(format!(
            "{AUTH_TOKEN} cannot be sent as a bearer token, so no request could match it: use at most 1024 ASCII characters \
             without blanks. Generate one with `openssl rand -hex 32`."
        ))),
        _ => Ok(token),
    }
}

/// A secret that has a variable and no flag. A short one is rejected, because it can be guessed.
fn read_secret(name: &str) -> Result<Option<SecretString>, ConfigError> {
    let value = std::env::var_os(name).unwrap_or_default();
    let Some(value) = value.to_str() else {
        return Err(ConfigError::new(format!("{name} is not UTF-8 text.")));
    };
    secret(value).map_err(|error| ConfigError::new(format!("{name} {error}")))
}
