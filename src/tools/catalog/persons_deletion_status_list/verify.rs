//! The state of an erasure, for up to a thousand persons: those in the same state together, so that all fit into a result.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use posthog_client::{ErasureFacts, Error};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::Output;
use crate::output::{ToolOutput, fits, write_notes};
use crate::tools::support::confirmation_text;
use crate::tools::support::erasure::{ErasureState, EventsState, ProfileState};
use crate::tools::{Context, ToolError};

// Persons in the same state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Group {
    profile: String,
    events: String,
    person_count: usize,
    // Without those of the largest group, where not all fit: it has the other persons of the call.
    person_uuids: Vec<String>,
}

/// How precise the times in states are: to the second, to the minute, to the day, or left out.
const PRECISIONS: [usize; 4] = [19, 16, 10, 0];

pub(super) async fn verify(
    context: &Context,
    uuids: &[Uuid],
) -> Result<ToolOutput<Output>, ToolError> {
    let facts = context.posthog.erasure_facts(uuids).await?;
    let states: Vec<(Uuid, ErasureState)> = uuids
        .iter()
        .map(|uuid| (*uuid, ErasureState::of(&facts, *uuid, None)))
        .collect();
    let notes = notes(context, &facts, &states);
    let summary = summary(&states);
    let made = |precision: usize, listed: usize| {
        output(&summary, groups(&states, precision, listed), &notes)
    };
    let whole = made(19, usize::MAX);
    if fits(&context.limits, &whole) {
        return Ok(whole);
    }
    for precision in PRECISIONS {
        let grouped = made(precision, usize::MAX - 1);
        if fits(&context.limits, &grouped) {
            return Ok(grouped);
        }
    }
    // Half of them, until they fit.
    let mut listed = uuids.len() / 2;
    loop {
        let part = made(0, listed);
        if listed == 0 || fits(&context.limits, &part) {
            return Ok(part);
        }
        listed /= 2;
    }
}

/// The persons of each state, the most first. At most `listed` of each are named; with `usize::MAX - 1`, all but those of
/// the largest.
fn groups(states: &[(Uuid, ErasureState)], precision: usize, listed: usize) -> Vec<Group> {
    let mut by_state: BTreeMap<(String, String), Vec<Uuid>> = BTreeMap::new();
    for (uuid, state) in states {
        let key = (state.profile.text(precision), state.events.text(precision));
        by_state.entry(key).or_default().push(*uuid);
    }
    let mut groups: Vec<_> = by_state.into_iter().collect();
    groups.sort_by_key(|(_, persons)| std::cmp::Reverse(persons.len()));
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|((profile, events), persons)| Group {
            profile,
            events,
            person_count: persons.len(),
            person_uuids: persons.iter().take(listed).map(Uuid::to_string).collect(),
        })
        .collect();
    if listed != usize::MAX
        && let Some(largest) = groups.first_mut()
    {
        largest.person_uuids.clear();
    }
    groups
}

fn output(summary: &str, groups: Vec<Group>, notes: &[String]) -> ToolOutput<Output> {
    let mut text = format!("{summary}\n");
    let mut notes = notes.to_vec();
    let mut missing = 0;
    for (index, group) in groups.iter().enumerate() {
        let persons = confirmation_text::persons(group.person_count as u64);
        let _ = writeln!(
            text,
            "{persons}: profile {}; events {}",
            group.profile, group.events
        );
        if group.person_uuids.is_empty() {
            text.push_str("  the other persons of the call\n");
        } else {
            let _ = writeln!(text, "  {}", group.person_uuids.join(", "));
        }
        if index > 0 {
            missing += group.person_count - group.person_uuids.len();
        }
    }
    if missing > 0 {
        notes.push(format!(
            "{missing} persons did not fit and are counted only; call again with fewer."
        ));
    }
    write_notes(&mut text, &notes);
    ToolOutput {
        structured: Output {
            summary: Some(summary.to_owned()),
            groups,
            notes,
            ..Output::default()
        },
        text,
    }
}

/// One line for all persons.
fn summary(states: &[(Uuid, ErasureState)]) -> String {
    let profiles = counts(states, |state| match state.profile {
        ProfileState::Gone => "gone",
        ProfileState::There => "there",
        ProfileState::CameBack(_) => "came back",
    });
    let events = counts(states, |state| match state.events {
        EventsState::None => "none",
        EventsState::Pending(_) => "pending",
        EventsState::VerifiedGone(_) => "verified gone",
        EventsState::SentSince(..) => "verified gone but for newer ones",
        EventsState::There(_) => "there",
        EventsState::Unknown => "cannot be known",
    });
    let persons = confirmation_text::persons(states.len() as u64);
    format!("{persons}: profile {profiles}; events {events}; recordings cannot be verified.")
}

fn counts(states: &[(Uuid, ErasureState)], name: impl Fn(&ErasureState) -> &'static str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, state) in states {
        *counts.entry(name(state)).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join(", ")
}

fn notes(context: &Context, facts: &ErasureFacts, states: &[(Uuid, ErasureState)]) -> Vec<String> {
    let reason = |error: &Error| {
        let sanitizer = context.limits.sanitizer();
        ToolError::from(error.clone()).text(context.posthog.host(), &sanitizer)
    };
    let mut notes = Vec::new();
    if let Err(error) = &facts.events {
        notes.push(format!(
            "Whether events remain could not be queried, so that without a verified deletion it cannot be known. {}",
            reason(error)
        ));
    }
    match &facts.deletions {
        Err(error) => notes.push(format!(
            "The queued event deletions could not be read. {}",
            reason(error)
        )),
        Ok(deletions) if !deletions.unread.is_empty() => notes.push(format!(
            "PostHog lists too many event deletions to look up those of {} persons; call again with fewer.",
            deletions.unread.len()
        )),
        Ok(_) => {}
    }
    let any = |is: fn(&ErasureState) -> bool| states.iter().any(|(_, state)| is(state));
    if any(|state| matches!(state.events, EventsState::Pending(_))) {
        notes.push(
            "PostHog deletes events in a weekly batch, at weekends; call again afterwards."
                .to_owned(),
        );
    }
    if any(|state| matches!(state.profile, ProfileState::CameBack(_))) {
        notes.push(
            "A person comes back when one of its distinct ids sends events again; erase it again only if that is wanted."
                .to_owned(),
        );
    }
    notes.push("PostHog does not report whether recordings are deleted.".to_owned());
    notes
}
