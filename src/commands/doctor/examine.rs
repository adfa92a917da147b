//! Runs the checks in order, until one makes the next impossible.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::checks;
use super::findings::Findings;
use super::report::{Check, Report};
use super::version;
use crate::commands::build;
use crate::config::{Config, no_api_key};
use crate::policy::OptIn;
use posthog_client::{
    self, Client, Endpoint, Error, ErrorKind, KeyInspector, KeyKind, Permission, Region,
    RequiredScopes,
};

/// The scope that most tools need.
const READ_SCOPE: RequiredScopes = RequiredScopes(&["person:read"]);

/// The regions and the time limits of the checks.
pub struct Doctor {
    /// The regions of PostHog Cloud.
    pub regions: Vec<Region>,
    /// For one request.
    pub request_timeout: Duration,
    /// For all checks.
    pub total_timeout: Duration,
}

impl Default for Doctor {
    fn default() -> Self {
        Self {
            regions: Region::all(),
            request_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(18),
        }
    }
}

pub(crate) async fn run(config: Config, json: bool) -> anyhow::Result<ExitCode> {
    let (config, _sandbox) = build::with_sandbox(config).await?;
    let report = Doctor::default().examine(&config).await;
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    out.flush()?;
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Doctor {
    /// Runs every check that can be run.
    pub async fn examine(&self, config: &Config) -> Report {
        let mut findings = Findings::default();
        self.run_checks(config, &mut findings).await;
        // An invalid policy is reported among the settings.
        findings.report(&config.policy.clone().unwrap_or_default())
    }

    /// Stops at the first problem that makes all further checks impossible.
    async fn run_checks(&self, config: &Config, findings: &mut Findings) {
        let until = Instant::now() + self.total_timeout;
        findings.checks.push(checks::settings(config));
        let key = config.api_key.clone();
        let key = match key.and_then(|key| key.ok_or_else(no_api_key)) {
            Ok(key) => {
                findings.checks.push(checks::api_key(&key));
                Some(key.secret)
            }
            Err(error) => {
                findings
                    .checks
                    .push(Check::problem("key", error.to_string()));
                None
            }
        };
        let connection = match build::connection(config) {
            Ok(connection) => connection,
            Err(error) => {
                findings
                    .checks
                    .push(Check::problem("host", error.to_string()));
                return;
            }
        };
        findings.host = Some(connection.host().to_owned());
        let probe = connection.probe(self.request_timeout).await;
        findings.checks.push(checks::host(
            config,
            &connection,
            &probe.as_ref().map(|probe| &probe.host),
        ));
        let Ok(probe) = probe else { return };
        findings.checks.extend(probe.time.map(checks::clock));
        let policy = config.policy.as_ref();
        if policy.is_ok_and(|policy| policy.missing_opt_in(Some(OptIn::Merge)).is_none()) {
            let probe = connection.probe_capture_host(self.request_timeout).await;
            findings
                .checks
                .push(checks::capture_host(&connection, probe));
        }
        let (Endpoint::PostHog, Some(key)) = (probe.host, key) else {
            return;
        };
        let set = config.project.clone().ok();
        let project = set.unwrap_or(posthog_client::Project::Current);
        let client = Client::new(connection, key.clone(), project);
        let inspector = KeyInspector::new(client.clone(), self.request_timeout, until);
        let facts = match inspector.key().await {
            Ok(facts) => facts,
            Err(error) => {
                let check = self.rejected_key(config, &client, &error, until).await;
                findings.checks.push(check);
                return;
            }
        };
        findings.checks.push(Check::ok(
            "access",
            match self.region(client.host()) {
                Some(region) => format!("PostHog Cloud {} accepted the key", region.name),
                None => "PostHog accepted the key".to_owned(),
            },
        ));
        // An invalid project is not replaced by a guess.
        let project = match set {
            Some(project) => checks::project(&inspector, &facts, project, findings).await,
            None => None,
        };
        let (grants, batches_unsupported) = match (facts.grants, project) {
            (Some(grants), Some(project)) if grants.check(READ_SCOPE) == Permission::Granted => {
                let (grants, closed) = tokio::join!(
                    inspector.resolve_wildcard(grants, project),
                    inspector.batches_unsupported(project)
                );
                (Some(grants), closed)
            }
            (Some(grants), _) => (Some(grants), false),
            (None, Some(project)) => {
                let (grants, closed) = tokio::join!(
                    inspector.probe_scopes(facts.user, project),
                    inspector.batches_unsupported(project)
                );
                (Some(grants), closed)
            }
            (None, None) => (None, false),
        };
        if let Some(project) = project {
            version::examine(config, &inspector, project, findings).await;
        }
        findings.no_project = project.is_none();
        findings.batches_unsupported = batches_unsupported;
        findings.grants = grants;
        findings.oauth = KeyKind::of(key.expose_secret()) == KeyKind::OAuth;
    }

    fn region(&self, host: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.host == host)
    }

    /// Why a key was not accepted. The other region is tried before the key is called invalid.
    async fn rejected_key(
        &self,
        config: &Config,
        client: &Client,
        error: &Error,
        until: Instant,
    ) -> Check {
        let host = client.host();
        if *error.kind() != ErrorKind::Authentication {
            return Check::problem(
                "access",
                format!(
                    "could not verify the key with {host}: {}",
                    checks::describe_error(error)
                ),
            )
            .advice("Try again. If it keeps failing, contact the operator of that PostHog.");
        }
        if self.region(host).is_none() {
            return Check::problem("access", format!("PostHog at {host} rejected the key"))
                .advice(format!(
                    "The key is invalid, revoked or expired: create one at {host}/settings/user-api-keys. For PostHog Cloud, set \
                     POSTHOG_HOST to https://us.posthog.com or https://eu.posthog.com."
                ));
        }
        let mut unreached = None;
        for other in self.regions.iter().filter(|region| region.host != host) {
            let Ok(other_host) = other.host.parse() else {
                continue;
            };
            let config = Config {
                host: Ok(other_host),
                ..config.clone()
            };
            let Ok(client) = build::client(&config) else {
                continue;
            };
            match KeyInspector::new(client, self.request_timeout, until)
                .key()
                .await
            {
                Ok(_) => {
                    return Check::problem(
                        "access",
                        format!(
                            "the key belongs to PostHog Cloud {}, not to {host}",
                            other.name
                        ),
                    )
                    .advice(format!("Set POSTHOG_HOST={}", other.host));
                }
                Err(error) if *error.kind() == ErrorKind::Authentication => {}
                Err(error) => unreached = Some((other, error)),
            }
        }
        match unreached {
            Some((other, error)) => {
                Check::problem("access", format!("{host} rejected the key, and {} could not be reached: {}", other.host, checks::describe_error(&error)))
                    .advice(format!("If the key belongs to PostHog Cloud {}, set POSTHOG_HOST={}; otherwise it is invalid, revoked or expired.", other.name, other.host))
            }
            None => Check::problem("access", "neither PostHog Cloud US nor EU accepts the key: it is invalid, revoked or expired")
                .advice(format!("Create one at {host}/settings/user-api-keys, and copy all of it.")),
        }
    }
}
