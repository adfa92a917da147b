//! `doctor`: why it does not work, or that it does.
//!
//! Looks where the server would look, in the order in which things fail: the settings, the way to PostHog, the key, the
//! project, the scopes. Only reads, sends a key nowhere but to the host that is set and, where that is one of PostHog's
//! own clouds, to the other one; and says nothing of the key but its kind.

mod report;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use report::TOOLS;
pub use report::{Check, Project, Report, Scopes, Status, Tool, Works};

use super::Failure;
use crate::answer::clean;
use crate::config::{ConfigError, Settings};
use crate::posthog::{
    self, Access, Answerer, Asker, BATCH_SIZE, Client, Connection, Error, ErrorKind, Grants,
    KeyFacts, KeyKind, Opens, Region, Standing, Trouble,
};
use crate::sandbox::Sandbox;
use crate::tools::{Entry, catalog};

/// A clock that is further off than this confuses waits and confirmations.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

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

pub(super) async fn run(settings: &Settings, json: bool) -> Result<ExitCode, Failure> {
    let (settings, sandbox) = super::with_sandbox(settings).await?;
    let key = match &sandbox {
        Some(_) => Ok(SecretString::from(Sandbox::KEY)),
        None => settings.key(),
    };
    let report = Doctor::default().examine(&settings, key).await;
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
    /// Looks at everything that can be looked at, with the key that is set.
    pub async fn examine(
        &self,
        settings: &Settings,
        key: Result<SecretString, ConfigError>,
    ) -> Report {
        let mut findings = Findings::default();
        self.look(settings, key, &mut findings).await;
        findings.report(settings)
    }

    /// Looks until something is in the way of everything further.
    async fn look(
        &self,
        settings: &Settings,
        key: Result<SecretString, ConfigError>,
        findings: &mut Findings,
    ) {
        let until = Instant::now() + self.whole;
        findings.checks.push(usable(settings));
        let key = match key {
            Ok(key) => {
                findings.checks.push(kind(settings, key.expose_secret()));
                Some(key)
            }
            Err(error) => {
                findings
                    .checks
                    .push(Check::problem("key", error.to_string()));
                None
            }
        };
        let connection = match settings.connected() {
            Ok(connection) => connection,
            Err(error) => {
                findings
                    .checks
                    .push(Check::problem("host", error.to_string()));
                return;
            }
        };
        findings.host = Some(connection.host().to_owned());
        let visit = connection.visit(self.patience).await;
        findings.checks.push(reached(
            settings,
            &connection,
            &visit.as_ref().map(|visit| &visit.host),
        ));
        let Ok(visit) = visit else { return };
        findings.checks.extend(visit.time.map(clock));
        let (Answerer::PostHog, Some(key)) = (visit.host, key) else {
            return;
        };
        let set = settings.project().ok();
        let project = set.unwrap_or(posthog::Project::Current);
        let client = Client::new(connection, key.clone(), project);
        let asker = Asker::new(client.clone(), self.patience, until);
        let facts = match asker.key().await {
            Ok(facts) => facts,
            Err(error) => {
                let check = self.refused(settings, &client, &key, &error, until).await;
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
            Some(project) => look_at_project(&asker, &facts, project, findings).await,
            None => None,
        };
        let (grants, batches_closed) = match (facts.grants, project) {
            (Some(grants), Some(project)) if grants.open(READING) == Opens::Yes => {
                let closed = asker.batches_are_closed(project).await;
                (Some(grants), closed)
            }
            (Some(grants), _) => (Some(grants), false),
            (None, Some(project)) => {
                let (grants, closed) = tokio::join!(
                    asker.tried(facts.user, project),
                    asker.batches_are_closed(project)
                );
                (Some(grants), closed)
            }
            (None, None) => (None, false),
        };
        findings.no_project = project.is_none();
        findings.batches_closed = batches_closed;
        findings.grants = grants;
        findings.oauth = KeyKind::of(key.expose_secret()) == KeyKind::OAuth;
    }

    fn region(&self, host: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.host == host)
    }

    /// What it means that a key was not accepted. The other cloud is asked before the key is called wrong.
    async fn refused(
        &self,
        settings: &Settings,
        client: &Client,
        key: &SecretString,
        error: &Error,
        until: Instant,
    ) -> Check {
        let host = client.host();
        if *error.kind() != ErrorKind::Authentication {
            return Check::problem(
                "access",
                format!("{host} could not be asked about the key: {}", said(error)),
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
            let settings = Settings {
                host: Some(other.host.clone()),
                ..settings.clone()
            };
            let Ok(client) = settings.client_with_key(key.expose_secret()) else {
                continue;
            };
            match Asker::new(client, self.patience, until).key().await {
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
                Check::problem("access", format!("{host} does not know the key, and {} could not be asked: {}", other.host, said(&error)))
                    .advice(format!("If the key is one of PostHog Cloud {}, set POSTHOG_HOST={}; else it is wrong, revoked or expired.", other.name, other.host))
            }
            None => Check::problem("access", "PostHog Cloud knows the key neither in the US nor in the EU: it is wrong, revoked or expired")
                .advice(format!("Create one at {host}/settings/user-api-keys, and copy it whole.")),
        }
    }
}

/// What most tools cannot do without.
const READING: Access = Access::Scopes(&["person:read"]);

/// What was found so far.
#[derive(Default)]
struct Findings {
    host: Option<String>,
    checks: Vec<Check>,
    project: Option<Project>,
    no_project: bool,
    grants: Option<Grants>,
    oauth: bool,
    batches_closed: bool,
}

/// Everything that a start refuses besides the key and the host, all at once.
fn usable(settings: &Settings) -> Check {
    let problems: Vec<String> = [
        settings.project().err().map(|error| error.to_string()),
        settings.audit().err().map(|error| error.to_string()),
        super::offered(settings)
            .err()
            .map(|error| error.to_string()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if problems.is_empty() {
        Check::ok("settings", "can be used")
    } else {
        Check::problem("settings", problems.join("\n"))
    }
}

/// What kind of key it is.
fn kind(settings: &Settings, key: &str) -> Check {
    let source = match (&settings.api_key_file, settings.sandbox) {
        (_, true) => "the sandbox's own: ".to_owned(),
        (Some(path), false) => format!("from {}: ", path.display()),
        (None, false) => String::new(),
    };
    let what = match KeyKind::of(key) {
        KeyKind::Personal => "a personal API key (phx_...)",
        KeyKind::OAuth => "an OAuth access token (pha_...)",
        KeyKind::Old => "a personal API key of the old kind, without phx_",
        KeyKind::Strange => {
            return Check::warning("key", format!("{source}it looks like no key of PostHog"))
                .advice("A personal API key begins with phx_. Look for quotes, spaces or a part that was not copied.");
        }
    };
    Check::ok("key", format!("{source}{what}"))
}

/// Whether PostHog is there, and over which way.
fn reached(
    settings: &Settings,
    connection: &Connection,
    visit: &Result<&Answerer, &Trouble>,
) -> Check {
    let host = connection.host();
    let proxy = connection.proxy();
    let way = proxy
        .as_ref()
        .map_or_else(String::new, |proxy| format!(", through the proxy {proxy}"));
    match visit {
        Ok(Answerer::PostHog) if settings.sandbox => Check::ok("host", format!("{host} answers: the sandbox, in this process")),
        Ok(Answerer::PostHog) => Check::ok("host", format!("{host} answers{way}")),
        Ok(Answerer::Elsewhere(Some(place))) if place != host => {
            Check::problem("host", format!("{host} points to {place}, which is not followed so that the key goes nowhere else{way}"))
                .advice(format!("If that is your PostHog, set POSTHOG_HOST={place}"))
        }
        Ok(Answerer::Elsewhere(_)) => Check::problem("host", format!("{host} points to another page of its own{way}"))
            .advice("POSTHOG_HOST must be the address of PostHog itself; where it is served below a path, with that path."),
        Ok(Answerer::Another(status)) => {
            let asks = if matches!(status, 401 | 403) { " A login or a firewall may stand before it." } else { "" };
            Check::problem("host", format!("what answers at {host} is not PostHog's API (status {status}){way}"))
                .advice(format!("Set POSTHOG_HOST to the address at which you open PostHog in the browser.{asks}"))
        }
        Ok(Answerer::Failing(status)) => Check::problem("host", format!("{host} fails (status {status}){way}"))
            .advice("Try again later, or ask whoever runs that PostHog."),
        Err(trouble) => Check::problem("host", format!("no connection to {host}{way}: {trouble}"))
            .advice(way_out(trouble, settings, proxy.is_some())),
    }
}

/// What to do about a host that is not reached.
fn way_out(trouble: &Trouble, settings: &Settings, proxy: bool) -> &'static str {
    match trouble {
        _ if proxy
            && !matches!(
                trouble,
                Trouble::Certificate(_) | Trouble::CertificateTime(_) | Trouble::CertificateName(_)
            ) =>
        {
            "Check the proxy: HTTPS_PROXY names it, NO_PROXY lists the hosts that need none."
        }
        Trouble::Name => {
            "Check POSTHOG_HOST for a slip, and whether this machine is on the network (VPN, DNS)."
        }
        Trouble::Refused => "Check POSTHOG_HOST, its port, and whether PostHog runs there.",
        Trouble::Unreachable | Trouble::Silence => {
            "Check the network, the VPN, a firewall on the way; where a proxy is needed, set HTTPS_PROXY."
        }
        Trouble::Certificate(_) if settings.ca_cert.is_some() => {
            "The file of --ca-cert does not hold the authority that signed it."
        }
        Trouble::Certificate(_) => {
            "For a private certificate, name its authority's PEM file with --ca-cert."
        }
        Trouble::CertificateTime(_) => {
            "Check this machine's clock; if it is right, the certificate has to be renewed."
        }
        Trouble::CertificateName(_) => "Set POSTHOG_HOST to the name that the certificate has.",
        Trouble::Tls(_) => "Check whether the port of POSTHOG_HOST speaks https.",
        Trouble::Proxy(_) | Trouble::Other(_) => {
            "Check POSTHOG_HOST, the network and the proxy settings."
        }
    }
}

/// Whether PostHog's clock and ours agree.
fn clock(theirs: DateTime<Utc>) -> Check {
    let ahead = (Utc::now() - theirs).num_seconds();
    let apart = Duration::from_secs(ahead.unsigned_abs());
    if apart <= CLOCK_TOLERANCE {
        return Check::ok("clock", "agrees with PostHog's");
    }
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    let minutes = apart.as_secs() / 60;
    Check::warning(
        "clock",
        format!("this machine's clock is {minutes} minutes {which} PostHog's"),
    )
    .advice(
        "Set it right: dates in questions, the age of confirmations and certificates depend on it.",
    )
}

/// Which project it is, and whether the key may use it; its number if so.
async fn look_at_project(
    asker: &Asker,
    facts: &KeyFacts,
    project: posthog::Project,
    findings: &mut Findings,
) -> Option<u64> {
    const SET: &str =
        "Set POSTHOG_PROJECT_ID to the project's number, as in the address of its pages.";
    let number = match asker.project().await {
        Ok(number) => number,
        Err(error) => {
            let check = Check::problem(
                "project",
                format!("which one to use cannot be found out: {}", said(&error)),
            );
            findings.checks.push(check.advice(SET));
            return None;
        }
    };
    let set = project != posthog::Project::Current;
    let (name, mut standing) = asker.standing(number).await;
    if !facts.teams.is_empty() {
        match (standing, facts.teams.contains(&number)) {
            (_, false) => standing = Standing::Refused,
            (Standing::Unknown, true) => standing = Standing::Member,
            (told, true) => standing = told,
        }
    }
    let selected = facts
        .selected
        .as_ref()
        .filter(|(selected, _)| *selected == number);
    let name = name.or_else(|| selected.and_then(|(_, name)| name.clone()));
    let name = name.map(|name| clean(&name).into_owned());
    let title = match &name {
        Some(name) => format!("{number}, {name}"),
        None => number.to_string(),
    };
    findings.project = Some(Project { number, name, set });
    let check = match standing {
        Standing::Member if !set => Check::warning(
            "project",
            format!("{title}: what the key's owner has selected in PostHog"),
        )
        .advice(format!(
            "Set POSTHOG_PROJECT_ID={number}, so that a click in PostHog does not change it."
        )),
        Standing::Member => match &facts.selected {
            // See section 3.12 of the wire contract: the members of cohorts are looked up there.
            Some((other, _)) if *other != number => Check::warning(
                "project",
                format!("{title}; but the key's owner has selected project {other} in PostHog"),
            )
            .advice("Cohorts of a person may come out empty until the owner selects this project."),
            _ => Check::ok("project", title),
        },
        Standing::Refused => {
            let teams: Vec<String> = facts.teams.iter().map(ToString::to_string).collect();
            let limited = if teams.is_empty() {
                String::new()
            } else {
                format!("; it is limited to {}", teams.join(", "))
            };
            Check::problem("project", format!("the key may not use project {number}{limited}"))
                .advice("Set POSTHOG_PROJECT_ID to a project that the key may use, or let the key use this one, where its scopes are set.")
        }
        Standing::Missing => {
            Check::problem("project", format!("there is no project {number} here")).advice(SET)
        }
        Standing::Unknown => Check::warning(
            "project",
            format!("{title}; whether the key may use it cannot be found out"),
        ),
    };
    let usable = check.status != Status::Problem;
    findings.checks.push(check);
    usable.then_some(number)
}

impl Findings {
    fn report(mut self, settings: &Settings) -> Report {
        let catalog = catalog();
        let tools: Vec<Tool> = catalog
            .iter()
            .map(|tool| self.judged(tool, settings))
            .collect();
        if let Some(grants) = &self.grants {
            let scopes = self.scopes(grants, &catalog, &tools);
            self.checks.push(scopes);
            if !self.no_project {
                self.checks.push(self.counted(&tools));
            }
        }
        Report {
            ok: self
                .checks
                .iter()
                .all(|check| check.status != Status::Problem),
            version: env!("CARGO_PKG_VERSION"),
            host: self.host,
            checks: self.checks,
            project: self.project,
            scopes: self.grants.map(|grants| match grants {
                Grants::Everything => Scopes {
                    unlimited: true,
                    granted: Vec::new(),
                    complete: true,
                },
                Grants::Listed(granted) => Scopes {
                    unlimited: false,
                    granted,
                    complete: true,
                },
                Grants::Tried { has, .. } => Scopes {
                    unlimited: false,
                    granted: has,
                    complete: false,
                },
            }),
            tools,
        }
    }

    /// Whether a tool will work.
    fn judged(&self, tool: &Entry, settings: &Settings) -> Tool {
        let left_out = settings
            .policy()
            .left_out_by(tool.name, tool.toolset, tool.effect);
        let (status, reason, scope) = match (left_out, &self.grants) {
            (Some(setting), _) => (Works::LeftOut, Some(format!("by {setting}")), None),
            (None, None) => (
                Works::Unknown,
                Some("PostHog could not be asked".to_owned()),
                None,
            ),
            (None, Some(grants)) => match grants.open(tool.access) {
                Opens::Lacks(scope) => (
                    Works::Fails,
                    Some(format!("the key lacks {scope}")),
                    Some(scope),
                ),
                Opens::Closed => (
                    Works::Fails,
                    Some("PostHog closes it to keys with scopes".to_owned()),
                    None,
                ),
                _ if self.no_project => (Works::Fails, Some("no project to use".to_owned()), None),
                Opens::Yes => (Works::Works, None, None),
                Opens::Unknown(Some(scope)) => (
                    Works::Unknown,
                    Some(format!(
                        "whether the key has {scope} could not be found out"
                    )),
                    Some(scope),
                ),
                Opens::Unknown(None) => (
                    Works::Unknown,
                    Some("PostHog closes it to keys with scopes".to_owned()),
                    None,
                ),
            },
        };
        Tool {
            tool: tool.name,
            status,
            reason,
            scope,
        }
    }

    /// Which scopes the key has and lacks, of those that the tools ask for.
    fn scopes(&self, grants: &Grants, catalog: &[Entry], tools: &[Tool]) -> Check {
        let known = match grants {
            Grants::Everything => {
                "none, and so all: the key is from before there were scopes".to_owned()
            }
            Grants::Listed(scopes) if scopes.is_empty() => "none".to_owned(),
            Grants::Listed(scopes) if scopes.iter().any(|scope| scope == "*") => {
                "* (all)".to_owned()
            }
            Grants::Listed(scopes) => {
                let wanted = wanted(catalog);
                let (ours, others): (Vec<&str>, Vec<&str>) = scopes
                    .iter()
                    .map(String::as_str)
                    .partition(|scope| wanted.contains(scope));
                let others = match others.len() {
                    0 => String::new(),
                    count => format!(" and {count} that no tool asks for"),
                };
                format!("{}{others}", ours.join(", "))
            }
            Grants::Tried { has, .. } => format!(
                "PostHog does not tell; found by trying: {}",
                if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                }
            ),
        };
        let missing: BTreeSet<&str> = tools
            .iter()
            .filter(|tool| tool.status == Works::Fails)
            .filter_map(|tool| tool.scope)
            .collect();
        if missing.is_empty() {
            return Check::ok("scopes", known);
        }
        let missing = missing.into_iter().collect::<Vec<_>>().join(", ");
        let host = self.host.as_deref().unwrap_or_default();
        let place = if self.oauth {
            "when you sign in to the application that got the token".to_owned()
        } else {
            format!("at {host}/settings/user-api-keys")
        };
        Check::warning("scopes", format!("{known}; missing: {missing}")).advice(format!(
            "Add what is missing {place}, or leave the tools out (--read-only, --exclude-tools)."
        ))
    }

    fn counted(&self, tools: &[Tool]) -> Check {
        let count = |works| tools.iter().filter(|tool| tool.status == works).count();
        let offered = tools.len() - count(Works::LeftOut);
        let works = count(Works::Works);
        let found = format!("{works} of {offered} will work");
        let check = if works + count(Works::Unknown) == 0 {
            Check::problem(TOOLS, found)
        } else if tools
            .iter()
            .any(|tool| tool.status != Works::Works && tool.scope.is_some())
        {
            Check::warning(TOOLS, found)
        } else {
            Check::ok(TOOLS, found)
        };
        if self.batches_closed {
            return check.advice(format!(
                "Batches are closed to this key: several persons are looked up one by one instead, at most {BATCH_SIZE} in a call."
            ));
        }
        check
    }
}

/// The scopes that some tool asks for, and the one for finding out the project.
fn wanted(catalog: &[Entry]) -> BTreeSet<&'static str> {
    let scopes = catalog.iter().flat_map(|tool| match tool.access {
        Access::Scopes(scopes) => scopes,
        Access::ClosedToScopedKeys => &[],
    });
    scopes.copied().chain(["user:read"]).collect()
}

/// A failure in a few words, none of them anybody's data.
fn said(error: &Error) -> String {
    let what = error.kind().name().replace('_', " ");
    match error.reason() {
        Some(reason) => format!("{} ({what})", clean(reason).trim_end_matches('.')),
        None => what,
    }
}
