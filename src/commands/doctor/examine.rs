//! What is looked at, in which order, and when that ends.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::checks;
use super::findings::Findings;
use super::report::{Check, Report};
use crate::commands::build;
use crate::config::{Config, no_api_key};
use posthog_client::{
    self, Client, Endpoint, Error, ErrorKind, KeyInspector, KeyKind, Permission, Region,
    RequiredScopes,
};

/// What most tools cannot do without.
const READING: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);

/// Who is asked, and how long.
pub struct Doctor {
    /// PostHog's own clouds.
    pub regions: Vec<Region>,
    /// For one answer.
    pub patience: Duration,
    /// For everything.
    pub whole: Duration,
}

impl Default for Doctor {
    fn default() -> Self {
        Self {
            regions: Region::all(),
            patience: Duration::from_secs(5),
            whole: Duration::from_secs(18),
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
    /// Looks at everything that can be looked at.
    pub async fn examine(&self, config: &Config) -> Report {
        let mut findings = Findings::default();
        self.look(config, &mut findings).await;
        findings.report(&config.policy)
    }

    /// Looks until something is in the way of everything further.
    async fn look(&self, config: &Config, findings: &mut Findings) {
        let until = Instant::now() + self.whole;
        findings.checks.push(checks::usable(config));
        let key = config.api_key.clone();
        let key = match key.and_then(|key| key.ok_or_else(no_api_key)) {
            Ok(key) => {
                findings.checks.push(checks::kind(&key));
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
        let visit = connection.probe(self.patience).await;
        findings.checks.push(checks::reached(
            config,
            &connection,
            &visit.as_ref().map(|visit| &visit.host),
        ));
        let Ok(visit) = visit else { return };
        findings.checks.extend(visit.time.map(checks::clock));
        let (Endpoint::PostHog, Some(key)) = (visit.host, key) else {
            return;
        };
        let set = config.project.clone().ok();
        let project = set.unwrap_or(posthog_client::Project::Current);
        let client = Client::new(connection, key.clone(), project);
        let asker = KeyInspector::new(client.clone(), self.patience, until);
        let facts = match asker.key().await {
            Ok(facts) => facts,
            Err(error) => {
                let check = self.refused(config, &client, &error, until).await;
                findings.checks.push(check);
                return;
            }
        };
        findings.checks.push(Check::ok(
            "access",
            match self.region(client.host()) {
                Some(region) => format!("PostHog Cloud {} knows the key", region.name),
                None => "PostHog knows the key".to_owned(),
            },
        ));
        // A setting that cannot be used is not replaced by a guess.
        let project = match set {
            Some(project) => checks::project(&asker, &facts, project, findings).await,
            None => None,
        };
        let (grants, batches_unsupported) = match (facts.grants, project) {
            (Some(grants), Some(project)) if grants.check(READING) == Permission::Granted => {
                let closed = asker.batches_unsupported(project).await;
                (Some(grants), closed)
            }
            (Some(grants), _) => (Some(grants), false),
            (None, Some(project)) => {
                let (grants, closed) = tokio::join!(
                    asker.probe_scopes(facts.user, project),
                    asker.batches_unsupported(project)
                );
                (Some(grants), closed)
            }
            (None, None) => (None, false),
        };
        findings.no_project = project.is_none();
        findings.batches_unsupported = batches_unsupported;
        findings.grants = grants;
        findings.oauth = KeyKind::of(key.expose_secret()) == KeyKind::OAuth;
    }

    fn region(&self, host: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.host == host)
    }

    /// What it means that a key was not accepted. The other cloud is asked before the key is called wrong.
    async fn refused(
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
                    "{host} could not be asked about the key: {}",
                    checks::describe_error(error)
                ),
            )
            .advice("Try again. If it stays so, ask whoever runs that PostHog.");
        }
        if self.region(host).is_none() {
            return Check::problem("access", format!("PostHog at {host} does not know the key"))
                .advice(format!(
                    "The key is wrong, revoked or expired: create one at {host}/settings/user-api-keys. For PostHog Cloud, set \
                     POSTHOG_HOST to https://us.posthog.com or https://eu.posthog.com."
                ));
        }
        let mut unasked = None;
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
            match KeyInspector::new(client, self.patience, until).key().await {
                Ok(_) => {
                    return Check::problem(
                        "access",
                        format!(
                            "the key is one of PostHog Cloud {}, not of {host}",
                            other.name
                        ),
                    )
                    .advice(format!("Set POSTHOG_HOST={}", other.host));
                }
                Err(error) if *error.kind() == ErrorKind::Authentication => {}
                Err(error) => unasked = Some((other, error)),
            }
        }
        match unasked {
            Some((other, error)) => {
                Check::problem("access", format!("{host} does not know the key, and {} could not be asked: {}", other.host, checks::describe_error(&error)))
                    .advice(format!("If the key is one of PostHog Cloud {}, set POSTHOG_HOST={}; else it is wrong, revoked or expired.", other.name, other.host))
            }
            None => Check::problem("access", "PostHog Cloud knows the key neither in the US nor in the EU: it is wrong, revoked or expired")
                .advice(format!("Create one at {host}/settings/user-api-keys, and copy it whole.")),
        }
    }
}
