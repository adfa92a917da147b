//! What PostHog shows now of the persons of the deletions. Each person is in exactly one state.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use posthog_client::{Client, ErasureFacts, MAX_DELETED, Project};
use serde::Serialize;
use uuid::Uuid;

use super::deletions::Deletion;
use crate::output::{Redaction, Sanitizer};
use crate::tools::{ErasureState, EventsState, ProfileState, ToolError};

/// How long PostHog may take to delete the profile of a queued deletion, with its own retries.
const QUEUE_TIME: TimeDelta = TimeDelta::hours(1);
const TO_THE_SECOND: usize = 19;

/// The state of a person's erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// All that can be verified is gone.
    VerifiedGone,
    /// Some of it is not gone yet.
    Pending,
    /// The person, or events of it, came after the deletion.
    CameBack,
    /// It is there, and nothing is queued that would delete it.
    StillThere,
    /// PostHog does not show it, or could not be asked.
    CannotBeKnown,
}

/// A person, and what is known of its erasure.
#[derive(Debug, Serialize)]
pub(super) struct PersonReport {
    pub(super) person: Uuid,
    pub(super) project: Option<u64>,
    pub(super) state: State,
    pub(super) profile: String,
    pub(super) events: String,
    pub(super) recordings: &'static str,
    /// Why something cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// When PostHog was asked.
    pub(super) checked_at: DateTime<Utc>,
    /// When the last deletion of the person was requested.
    pub(super) requested_at: DateTime<Utc>,
    pub(super) outcome: String,
}

/// The last deletion of a person, and what all of them delete.
struct Erasure<'a> {
    last: &'a Deletion,
    deletes: Vec<&'static str>,
    is_recorded: bool,
}

/// A place where persons are: the host and the project, where the log says them.
type Place = (Option<String>, Option<u64>);

pub(super) async fn check(
    posthog: &Client,
    allowed: Project,
    deletions: &[Deletion],
) -> Vec<PersonReport> {
    let mut places: BTreeMap<Place, BTreeMap<Uuid, Erasure<'_>>> = BTreeMap::new();
    for deletion in deletions.iter().filter(|deletion| !deletion.is_merge) {
        let place = (deletion.host.clone(), deletion.project);
        let persons = places.entry(place).or_default();
        for person in &deletion.persons {
            let erasure = persons.entry(*person).or_insert_with(|| Erasure {
                last: deletion,
                deletes: Vec::new(),
                is_recorded: true,
            });
            erasure.last = deletion;
            erasure.is_recorded &= deletion.deletes.is_some();
            erasure.deletes.extend(deletion.deletes.iter().flatten());
        }
    }
    let mut reports = Vec::new();
    for ((host, project), persons) in &places {
        let persons: Vec<_> = persons.iter().collect();
        let client = client(posthog, allowed, host.as_deref(), *project);
        for part in persons.chunks(MAX_DELETED) {
            let uuids: Vec<Uuid> = part.iter().map(|(uuid, _)| **uuid).collect();
            let facts = match &client {
                Ok(client) => client.erasure_facts(&uuids).await.map_err(|error| {
                    let sanitizer = Sanitizer::names_only(Redaction::default());
                    ToolError::from(error).text(posthog.host(), &sanitizer)
                }),
                Err(reason) => Err(reason.clone()),
            };
            let now = Utc::now();
            reports.extend(
                part.iter()
                    .map(|(uuid, erasure)| report(**uuid, *project, erasure, &facts, now)),
            );
        }
    }
    reports
}

/// The client for a place, or why it cannot be asked: elsewhere, every person would seem to be gone.
fn client(
    posthog: &Client,
    allowed: Project,
    host: Option<&str>,
    project: Option<u64>,
) -> Result<Client, String> {
    match (host, project, allowed) {
        (Some(host), Some(project), _) if host != posthog.host() => Err(format!(
            "the deletion was sent to {host}, project {project}; run the report with that host"
        )),
        (Some(_), Some(project), Project::Number(only)) if project != only => Err(format!(
            "the deletion was sent to project {project}; run the report with --project {project}"
        )),
        (Some(_), Some(project), _) => Ok(posthog.in_project(project)),
        _ => Err("the log does not say to which PostHog the deletion was sent".to_owned()),
    }
}

fn report(
    person: Uuid,
    project: Option<u64>,
    erasure: &Erasure<'_>,
    facts: &Result<ErasureFacts, String>,
    now: DateTime<Utc>,
) -> PersonReport {
    let last = erasure.last;
    let asks = |data: &str| !erasure.is_recorded || erasure.deletes.contains(&data);
    let left = |data: &str, text: String| match asks(data) {
        true => text,
        false => format!("not deleted ({text})"),
    };
    let mut report = PersonReport {
        person,
        project,
        state: State::CannotBeKnown,
        profile: "cannot be known".to_owned(),
        events: "cannot be known".to_owned(),
        recordings: if asks("recordings") {
            "cannot be verified"
        } else {
            "not deleted"
        },
        reason: None,
        checked_at: now,
        requested_at: last.time,
        outcome: last.outcome.clone(),
    };
    match facts {
        Err(reason) => report.reason = Some(reason.clone()),
        Ok(facts) => {
            let state = ErasureState::of(facts, person, Some(last.time));
            let is_recent = now - last.time < QUEUE_TIME && last.outcome != "not done";
            report.state = overall(state, asks("profile"), asks("events"), is_recent);
            report.profile = left("profile", state.profile.text(TO_THE_SECOND));
            report.events = left("events", state.events.text(TO_THE_SECOND));
            let unknown = asks("events") && state.events == EventsState::Unknown;
            let sanitizer = Sanitizer::names_only(Redaction::default());
            let error = facts
                .events
                .as_ref()
                .err()
                .or(facts.deletions.as_ref().err());
            report.reason = error
                .filter(|_| unknown)
                .map(|error| ToolError::from(error.clone()).text("PostHog", &sanitizer));
        }
    }
    report
}

/// The worst of the parts that were to be deleted.
fn overall(state: ErasureState, profile: bool, events: bool, is_recent: bool) -> State {
    let profile = profile.then_some(match state.profile {
        ProfileState::Gone => State::VerifiedGone,
        ProfileState::CameBack(_) => State::CameBack,
        ProfileState::There if is_recent => State::Pending,
        ProfileState::There => State::StillThere,
    });
    let events = events.then_some(match state.events {
        EventsState::None | EventsState::VerifiedGone(_) => State::VerifiedGone,
        EventsState::Pending(_) => State::Pending,
        EventsState::SentSince(..) => State::CameBack,
        EventsState::There(_) => State::StillThere,
        EventsState::Unknown => State::CannotBeKnown,
    });
    // Of recordings alone nothing can be known.
    profile.max(events).unwrap_or(State::CannotBeKnown)
}
