//! The single checks: the finding, and the advice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::findings::Findings;
use super::report::{Check, Project, Status};
use crate::commands::build;
use crate::config::{ApiKey, ApiKeySource, Config};
use crate::output::{Redaction, Sanitizer};
use posthog_client::{
    self, ConnectFailure, Connection, Endpoint, Error, KeyFacts, KeyInspector, KeyKind,
    ProjectAccess,
};

/// A larger clock skew breaks retry delays and confirmation expiry.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

/// The settings besides the key and the host, with every problem.
pub(super) fn settings(config: &Config) -> Check {
    let problems: Vec<String> = [
        config.project.as_ref().err().map(ToString::to_string),
        build::audit_log(config)
            .err()
            .map(|error| error.to_string()),
        build::exports(config, None)
            .err()
            .map(|error| error.to_string()),
        build::tools(config).err().map(|error| error.to_string()),
        config.output.as_ref().err().map(ToString::to_string),
        config.approval.as_ref().err().map(ToString::to_string),
    ]
    .into_iter()
    .flatten()
    .collect();
    if problems.is_empty() {
        Check::ok("settings", "valid")
    } else {
        Check::problem("settings", problems.join("\n"))
    }
}

/// The kind of the API key.
pub(super) fn api_key(key: &ApiKey) -> Check {
    let source = match &key.source {
        ApiKeySource::Sandbox => "from the sandbox: ".to_owned(),
        ApiKeySource::File(path) => format!("from {}: ", path.display()),
        ApiKeySource::Environment => String::new(),
    };
    let what = match KeyKind::of(key.secret.expose_secret()) {
        KeyKind::Personal => "a personal API key (phx_...)",
        KeyKind::OAuth => "an OAuth access token (pha_...)",
        KeyKind::Legacy => "a legacy personal API key, without the phx_ prefix",
        KeyKind::Unrecognized => {
            return Check::warning("key", format!("{source}not a recognized PostHog API key"))
                .advice("A personal API key starts with phx_. Check for quotes, spaces or missing characters.");
        }
    };
    Check::ok("key", format!("{source}{what}"))
}

/// Whether PostHog can be reached, and through which proxy.
pub(super) fn host(
    config: &Config,
    connection: &Connection,
    probe: &Result<&Endpoint, &ConnectFailure>,
) -> Check {
    let host = connection.host();
    let proxy = connection.proxy();
    let via = proxy
        .as_ref()
        .map_or_else(String::new, |proxy| format!(", through the proxy {proxy}"));
    match probe {
        Ok(Endpoint::PostHog) if config.sandbox => Check::ok("host", format!("{host} responds: the sandbox, in this process")),
        Ok(Endpoint::PostHog) => Check::ok("host", format!("{host} responds{via}")),
        Ok(Endpoint::Redirect(Some(place))) if place != host => {
            Check::problem("host", format!("{host} redirects to {place}, which is not followed so that the key is sent nowhere else{via}"))
                .advice(format!("If that is your PostHog, set POSTHOG_HOST={place}"))
        }
        Ok(Endpoint::Redirect(_)) => Check::problem("host", format!("{host} redirects to another page of the same host{via}"))
            .advice("POSTHOG_HOST must be the URL of PostHog itself, with the path if it is served under one."),
        Ok(Endpoint::NotPostHog(status)) => {
            let login = if matches!(status, 401 | 403) { " A login page or a firewall may be in front of it." } else { "" };
            Check::problem("host", format!("the server at {host} is not PostHog's API (status {status}){via}"))
                .advice(format!("Set POSTHOG_HOST to the URL at which you open PostHog in the browser.{login}"))
        }
        Ok(Endpoint::ServerError(status)) => Check::problem("host", format!("{host} failed (status {status}){via}"))
            .advice("Try again later, or contact the operator of that PostHog."),
        Err(failure) => Check::problem("host", format!("no connection to {host}{via}: {failure}"))
            .advice(remediation(failure, config, proxy.is_some())),
    }
}

/// Whether the host that captures merges can be reached.
pub(super) fn capture_host(connection: &Connection, probe: Result<(), ConnectFailure>) -> Check {
    let host = connection.capture_host();
    match probe {
        Ok(()) => Check::ok("capture", format!("{host} responds")),
        Err(failure) => Check::warning("capture", format!("no connection to {host}: {failure}"))
            .advice(
                "persons-merge fails without it. Check --capture-host, the network and firewalls.",
            ),
    }
}

/// What to do about a connection failure.
fn remediation(failure: &ConnectFailure, config: &Config, proxy: bool) -> &'static str {
    match failure {
        _ if proxy
            && !matches!(
                failure,
                ConnectFailure::Certificate(_)
                    | ConnectFailure::CertificateTime(_)
                    | ConnectFailure::CertificateName(_)
            ) =>
        {
            "Check the proxy: HTTPS_PROXY sets it, NO_PROXY lists the hosts that bypass it."
        }
        ConnectFailure::Dns => {
            "Check the spelling of POSTHOG_HOST and this machine's network (VPN, DNS)."
        }
        ConnectFailure::Refused => {
            "Check POSTHOG_HOST, its port, and that PostHog is running there."
        }
        ConnectFailure::Unreachable | ConnectFailure::Timeout => {
            "Check the network, the VPN and firewalls. If a proxy is required, set HTTPS_PROXY."
        }
        ConnectFailure::Certificate(_) if matches!(config.ca_certificates, Ok(Some(_))) => {
            "The file in --ca-cert does not contain the CA that signed the certificate."
        }
        ConnectFailure::Certificate(_) => {
            "If a private CA signed the certificate, set --ca-cert to that CA's PEM file."
        }
        ConnectFailure::CertificateTime(_) => {
            "Check this machine's clock. If it is correct, the certificate must be renewed."
        }
        ConnectFailure::CertificateName(_) => "Set POSTHOG_HOST to a name in the certificate.",
        ConnectFailure::Tls(_) => "Check that the port in POSTHOG_HOST serves https.",
        ConnectFailure::Proxy(_) | ConnectFailure::Other(_) => {
            "Check POSTHOG_HOST, the network and the proxy settings."
        }
    }
}

/// The difference between PostHog's clock and this machine's.
pub(super) fn clock(theirs: DateTime<Utc>) -> Check {
    let ahead = (Utc::now() - theirs).num_seconds();
    let apart = Duration::from_secs(ahead.unsigned_abs());
    if apart <= CLOCK_TOLERANCE {
        return Check::ok("clock", "in sync with PostHog's");
    }
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    let minutes = apart.as_secs() / 60;
    Check::warning(
        "clock",
        format!("this machine's clock is {minutes} minutes {which} PostHog's"),
    )
    .advice("Correct it: date filters, confirmation expiry and certificate checks depend on it.")
}

/// The project, and whether the key has access to it; its ID if so.
pub(super) async fn project(
    inspector: &KeyInspector,
    facts: &KeyFacts,
    project: posthog_client::Project,
    findings: &mut Findings,
) -> Option<u64> {
    const SET: &str =
        "Set POSTHOG_PROJECT_ID to the project's ID, the number in the URL of its pages.";
    let number = match inspector.project().await {
        Ok(number) => number,
        Err(error) => {
            let check = Check::problem(
                "project",
                format!(
                    "could not determine which project to use: {}",
                    describe_error(&error)
                ),
            );
            findings.checks.push(check.advice(SET));
            return None;
        }
    };
    let set = project != posthog_client::Project::Current;
    let (name, mut access) = inspector.project_access(number).await;
    if !facts.teams.is_empty() {
        match (access, facts.teams.contains(&number)) {
            (_, false) => access = ProjectAccess::Refused,
            (ProjectAccess::Unknown, true) => access = ProjectAccess::Member,
            (known, true) => access = known,
        }
    }
    let selected = facts
        .selected
        .as_ref()
        .filter(|(selected, _)| *selected == number);
    let name = name.or_else(|| selected.and_then(|(_, name)| name.clone()));
    let name = name.map(|name| Sanitizer::names_only(Redaction::default()).text(&name));
    let title = match &name {
        Some(name) => format!("{number}, {name}"),
        None => number.to_string(),
    };
    findings.project = Some(Project { number, name, set });
    let check = match access {
        ProjectAccess::Member if !set => Check::warning(
            "project",
            format!("{title}: selected by the key's owner in PostHog"),
        )
        .advice(format!(
            "Set POSTHOG_PROJECT_ID={number}, so that selecting another project in PostHog does not change it."
        )),
        ProjectAccess::Member => match &facts.selected {
            // PostHog looks up the cohorts of a person in the selected project.
            Some((other, _)) if *other != number => Check::warning(
                "project",
                format!("{title}; the key's owner has selected project {other} in PostHog"),
            )
            .advice("The cohorts of a person may be empty until the owner selects this project."),
            _ => Check::ok("project", title),
        },
        ProjectAccess::Refused => {
            let teams: Vec<String> = facts.teams.iter().map(ToString::to_string).collect();
            let limited = if teams.is_empty() {
                String::new()
            } else {
                format!("; it is limited to {}", teams.join(", "))
            };
            Check::problem("project", format!("the key has no access to project {number}{limited}"))
                .advice("Set POSTHOG_PROJECT_ID to a project that the key can access, or grant the key access to this one in its settings.")
        }
        ProjectAccess::Missing => {
            Check::problem("project", format!("project {number} does not exist at this host")).advice(SET)
        }
        ProjectAccess::Unknown => Check::warning(
            "project",
            format!("{title}; could not determine whether the key has access"),
        ),
    };
    let usable = check.status != Status::Problem;
    findings.checks.push(check);
    usable.then_some(number)
}

/// A failure in a few words, without e-mail addresses.
pub(super) fn describe_error(error: &Error) -> String {
    let kind = error.kind().name().replace('_', " ");
    match error.reason() {
        Some(reason) => {
            let reason = Sanitizer::names_only(Redaction::new(&[], true)).text(reason);
            format!("{} ({kind})", reason.trim_end_matches('.'))
        }
        None => kind,
    }
}
