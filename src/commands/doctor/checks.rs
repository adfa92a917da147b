//! Single checks: what is looked at, what it means, and what to do about it.

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

/// A clock that is further off than this confuses waits and confirmations.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

/// Everything that a start refuses besides the key and the host, all at once.
pub(super) fn usable(config: &Config) -> Check {
    let problems: Vec<String> = [
        config.project.as_ref().err().map(ToString::to_string),
        build::audit_log(config)
            .err()
            .map(|error| error.to_string()),
        build::tools(config).err().map(|error| error.to_string()),
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
pub(super) fn kind(key: &ApiKey) -> Check {
    let source = match &key.source {
        ApiKeySource::Sandbox => "the sandbox's own: ".to_owned(),
        ApiKeySource::File(path) => format!("from {}: ", path.display()),
        ApiKeySource::Environment => String::new(),
    };
    let what = match KeyKind::of(key.secret.expose_secret()) {
        KeyKind::Personal => "a personal API key (phx_...)",
        KeyKind::OAuth => "an OAuth access token (pha_...)",
        KeyKind::Legacy => "a personal API key of the old kind, without phx_",
        KeyKind::Unrecognized => {
            return Check::warning("key", format!("{source}it looks like no key of PostHog"))
                .advice("A personal API key begins with phx_. Look for quotes, spaces or a part that was not copied.");
        }
    };
    Check::ok("key", format!("{source}{what}"))
}

/// Whether PostHog is there, and over which way.
pub(super) fn reached(
    config: &Config,
    connection: &Connection,
    visit: &Result<&Endpoint, &ConnectFailure>,
) -> Check {
    let host = connection.host();
    let proxy = connection.proxy();
    let way = proxy
        .as_ref()
        .map_or_else(String::new, |proxy| format!(", through the proxy {proxy}"));
    match visit {
        Ok(Endpoint::PostHog) if config.sandbox => Check::ok("host", format!("{host} answers: the sandbox, in this process")),
        Ok(Endpoint::PostHog) => Check::ok("host", format!("{host} answers{way}")),
        Ok(Endpoint::Redirect(Some(place))) if place != host => {
            Check::problem("host", format!("{host} points to {place}, which is not followed so that the key goes nowhere else{way}"))
                .advice(format!("If that is your PostHog, set POSTHOG_HOST={place}"))
        }
        Ok(Endpoint::Redirect(_)) => Check::problem("host", format!("{host} points to another page of its own{way}"))
            .advice("POSTHOG_HOST must be the address of PostHog itself; where it is served below a path, with that path."),
        Ok(Endpoint::NotPostHog(status)) => {
            let asks = if matches!(status, 401 | 403) { " A login or a firewall may stand before it." } else { "" };
            Check::problem("host", format!("what answers at {host} is not PostHog's API (status {status}){way}"))
                .advice(format!("Set POSTHOG_HOST to the address at which you open PostHog in the browser.{asks}"))
        }
        Ok(Endpoint::ServerError(status)) => Check::problem("host", format!("{host} fails (status {status}){way}"))
            .advice("Try again later, or ask whoever runs that PostHog."),
        Err(trouble) => Check::problem("host", format!("no connection to {host}{way}: {trouble}"))
            .advice(remediation(trouble, config, proxy.is_some())),
    }
}

/// What to do about a host that is not reached.
fn remediation(trouble: &ConnectFailure, config: &Config, proxy: bool) -> &'static str {
    match trouble {
        _ if proxy
            && !matches!(
                trouble,
                ConnectFailure::Certificate(_)
                    | ConnectFailure::CertificateTime(_)
                    | ConnectFailure::CertificateName(_)
            ) =>
        {
            "Check the proxy: HTTPS_PROXY names it, NO_PROXY lists the hosts that need none."
        }
        ConnectFailure::Dns => {
            "Check POSTHOG_HOST for a slip, and whether this machine is on the network (VPN, DNS)."
        }
        ConnectFailure::Refused => "Check POSTHOG_HOST, its port, and whether PostHog runs there.",
        ConnectFailure::Unreachable | ConnectFailure::Timeout => {
            "Check the network, the VPN, a firewall on the way; where a proxy is needed, set HTTPS_PROXY."
        }
        ConnectFailure::Certificate(_) if matches!(config.ca_certificates, Ok(Some(_))) => {
            "The file of --ca-cert does not hold the authority that signed it."
        }
        ConnectFailure::Certificate(_) => {
            "For a private certificate, name its authority's PEM file with --ca-cert."
        }
        ConnectFailure::CertificateTime(_) => {
            "Check this machine's clock; if it is right, the certificate has to be renewed."
        }
        ConnectFailure::CertificateName(_) => {
            "Set POSTHOG_HOST to the name that the certificate has."
        }
        ConnectFailure::Tls(_) => "Check whether the port of POSTHOG_HOST speaks https.",
        ConnectFailure::Proxy(_) | ConnectFailure::Other(_) => {
            "Check POSTHOG_HOST, the network and the proxy settings."
        }
    }
}

/// Whether PostHog's clock and ours agree.
pub(super) fn clock(theirs: DateTime<Utc>) -> Check {
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
pub(super) async fn project(
    asker: &KeyInspector,
    facts: &KeyFacts,
    project: posthog_client::Project,
    findings: &mut Findings,
) -> Option<u64> {
    const SET: &str =
        "Set POSTHOG_PROJECT_ID to the project's number, as in the address of its pages.";
    let number = match asker.project().await {
        Ok(number) => number,
        Err(error) => {
            let check = Check::problem(
                "project",
                format!(
                    "which one to use cannot be found out: {}",
                    describe_error(&error)
                ),
            );
            findings.checks.push(check.advice(SET));
            return None;
        }
    };
    let set = project != posthog_client::Project::Current;
    let (name, mut standing) = asker.project_access(number).await;
    if !facts.teams.is_empty() {
        match (standing, facts.teams.contains(&number)) {
            (_, false) => standing = ProjectAccess::Refused,
            (ProjectAccess::Unknown, true) => standing = ProjectAccess::Member,
            (told, true) => standing = told,
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
    let check = match standing {
        ProjectAccess::Member if !set => Check::warning(
            "project",
            format!("{title}: what the key's owner has selected in PostHog"),
        )
        .advice(format!(
            "Set POSTHOG_PROJECT_ID={number}, so that a click in PostHog does not change it."
        )),
        ProjectAccess::Member => match &facts.selected {
            // PostHog looks for the cohorts of a person in that one.
            Some((other, _)) if *other != number => Check::warning(
                "project",
                format!("{title}; but the key's owner has selected project {other} in PostHog"),
            )
            .advice("Cohorts of a person may come out empty until the owner selects this project."),
            _ => Check::ok("project", title),
        },
        ProjectAccess::Refused => {
            let teams: Vec<String> = facts.teams.iter().map(ToString::to_string).collect();
            let limited = if teams.is_empty() {
                String::new()
            } else {
                format!("; it is limited to {}", teams.join(", "))
            };
            Check::problem("project", format!("the key may not use project {number}{limited}"))
                .advice("Set POSTHOG_PROJECT_ID to a project that the key may use, or let the key use this one, where its scopes are set.")
        }
        ProjectAccess::Missing => {
            Check::problem("project", format!("there is no project {number} here")).advice(SET)
        }
        ProjectAccess::Unknown => Check::warning(
            "project",
            format!("{title}; whether the key may use it cannot be found out"),
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
