//! The state of an erasure, person by person, as PostHog shows it: what is gone, what is pending, what cannot be known.
//!
//! Invariant: nothing counts as gone that was not seen to be gone.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use posthog_client::{ErasureFacts, EventDeletion, RemainingEvents};
use uuid::Uuid;

/// How far the clocks of this machine and of PostHog may differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// The state of a person's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileState {
    /// PostHog has no person with this UUID.
    Gone,
    /// The person exists, and was not seen to be deleted.
    There,
    /// The person exists, and was created at this moment, after the deletion.
    CameBack(DateTime<Utc>),
}

/// The state of a person's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsState {
    /// A query finds none, and no deletion is queued.
    None,
    /// Their deletion is queued since this moment.
    Pending(DateTime<Utc>),
    /// PostHog verified their deletion at this moment, and no query finds any.
    VerifiedGone(DateTime<Utc>),
    /// PostHog verified their deletion at this moment, and a query finds this number of newer ones.
    SentSince(DateTime<Utc>, u64),
    /// A query finds this number, and no deletion of them is queued.
    There(u64),
    /// No deletion is known, and no query is possible.
    Unknown,
}

/// What is known of a person's erasure. No API shows whether recordings are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasureState {
    /// The person itself.
    pub profile: ProfileState,
    /// Its events.
    pub events: EventsState,
}

impl ErasureState {
    /// The state of a person. `requested` is when its deletion was requested, by the clock of this machine, where that is known.
    #[must_use]
    pub fn of(facts: &ErasureFacts, person: Uuid, requested: Option<DateTime<Utc>>) -> Self {
        let deletions = facts.deletions.as_ref().ok();
        let deletion = deletions
            .and_then(|deletions| deletions.rows.get(&person))
            .copied();
        let is_read = deletions.is_some_and(|deletions| !deletions.unread.contains(&person));
        let seen = facts.events.as_ref().ok();
        Self {
            profile: profile(
                facts.profiles.get(&person),
                requested.or(deletion.map(|row| row.queued_at)),
            ),
            events: events(deletion, is_read, seen, person, requested),
        }
    }
}

fn profile(
    created: Option<&Option<DateTime<Utc>>>,
    deleted: Option<DateTime<Utc>>,
) -> ProfileState {
    match (created, deleted) {
        (None, _) => ProfileState::Gone,
        (Some(Some(created)), Some(deleted)) if *created > deleted => {
            ProfileState::CameBack(*created)
        }
        _ => ProfileState::There,
    }
}

fn events(
    deletion: Option<EventDeletion>,
    is_read: bool,
    seen: Option<&HashMap<Uuid, RemainingEvents>>,
    person: Uuid,
    requested: Option<DateTime<Utc>>,
) -> EventsState {
    // PostHog keeps the row of an earlier deletion, and deletes nothing more for the later one.
    let covers = |row: &EventDeletion| {
        requested.is_none_or(|requested| row.queued_at >= requested - CLOCK_SKEW)
    };
    let found = seen.map(|seen| seen.get(&person));
    match (deletion, found) {
        (Some(row), _) if row.verified_at.is_none() => EventsState::Pending(row.queued_at),
        (Some(row), Some(Some(found))) if covers(&row) && found.first > row.queued_at => {
            EventsState::SentSince(row.verified_at.unwrap_or(row.queued_at), found.count)
        }
        (_, Some(Some(found))) => EventsState::There(found.count),
        (Some(row), None | Some(None)) if covers(&row) => {
            EventsState::VerifiedGone(row.verified_at.unwrap_or(row.queued_at))
        }
        // What a query does not find may be queued all the same.
        (Some(_), Some(None)) => EventsState::None,
        (None, Some(None)) if is_read => EventsState::None,
        (_, Some(None) | None) => EventsState::Unknown,
    }
}

impl ProfileState {
    /// In words, with times of this number of characters: 19 to the second, 16 to the minute, 10 to the day, 0 without.
    #[must_use]
    pub fn text(self, precision: usize) -> String {
        match self {
            Self::Gone => "gone".to_owned(),
            Self::There => "there".to_owned(),
            Self::CameBack(at) => format!("came back{}", when(" at ", at, precision)),
        }
    }
}

impl EventsState {
    /// In words, as [`ProfileState::text`].
    #[must_use]
    pub fn text(self, precision: usize) -> String {
        let number = |count: u64| match precision {
            0 => "some".to_owned(),
            _ => count.to_string(),
        };
        match self {
            Self::None => "none".to_owned(),
            Self::Pending(at) => format!("pending{}", when(" since ", at, precision)),
            Self::VerifiedGone(at) => format!("verified gone{}", when(" at ", at, precision)),
            Self::SentSince(at, count) => format!(
                "verified gone{}, {} sent since the deletion",
                when(" at ", at, precision),
                number(count)
            ),
            Self::There(count) => {
                format!("there ({}), no deletion of them is queued", number(count))
            }
            Self::Unknown => "cannot be known".to_owned(),
        }
    }
}

fn when(preposition: &str, at: DateTime<Utc>, precision: usize) -> String {
    if precision == 0 {
        return String::new();
    }
    let text = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let shown = text.get(..precision).unwrap_or(&text);
    let utc = if precision > 10 { "Z" } else { "" };
    format!("{preposition}{shown}{utc}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: Uuid = Uuid::from_u128(1);

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    #[test]
    fn events_are_gone_only_where_that_was_seen() {
        // The deletion: queued and verified. What a query finds, if it is possible: how many, and when the first was. When
        // the deletion was requested.
        for (deletion, found, requested, expected) in [
            (None, Some(None), None, EventsState::None),
            (None, None, None, EventsState::Unknown),
            (None, Some(Some((3, 1))), None, EventsState::There(3)),
            (
                Some((2, None)),
                Some(None),
                None,
                EventsState::Pending(at(2)),
            ),
            (Some((2, None)), None, None, EventsState::Pending(at(2))),
            (
                Some((2, Some(9))),
                None,
                None,
                EventsState::VerifiedGone(at(9)),
            ),
            (
                Some((2, Some(9))),
                Some(None),
                None,
                EventsState::VerifiedGone(at(9)),
            ),
            (
                Some((2, Some(9))),
                Some(Some((4, 3))),
                None,
                EventsState::SentSince(at(9), 4),
            ),
            // PostHog says that they are gone, and they are not.
            (
                Some((2, Some(9))),
                Some(Some((4, 1))),
                None,
                EventsState::There(4),
            ),
            // The row of an earlier deletion proves nothing about a later one.
            (Some((2, Some(9))), None, Some(20), EventsState::Unknown),
            (
                Some((2, Some(9))),
                Some(Some((4, 15))),
                Some(20),
                EventsState::There(4),
            ),
            (Some((2, Some(9))), Some(None), Some(20), EventsState::None),
        ] {
            let row = deletion.map(|(queued, verified): (i64, Option<i64>)| EventDeletion {
                queued_at: at(queued),
                verified_at: verified.map(at),
            });
            let seen = found.map(|found| {
                let events = found.map(|(count, first)| {
                    (
                        PERSON,
                        RemainingEvents {
                            count,
                            first: at(first),
                        },
                    )
                });
                events.into_iter().collect::<HashMap<_, _>>()
            });
            let state = events(row, true, seen.as_ref(), PERSON, requested.map(at));
            assert_eq!(state, expected, "{deletion:?} {found:?} {requested:?}");
        }
        let nothing_read = events(None, false, Some(&HashMap::new()), PERSON, None);
        assert_eq!(nothing_read, EventsState::Unknown);
    }

    #[test]
    fn person_created_after_its_deletion_came_back() {
        for (created, deleted, expected) in [
            (None, None, ProfileState::Gone),
            (Some(5), None, ProfileState::There),
            (Some(1), Some(2), ProfileState::There),
            (Some(5), Some(2), ProfileState::CameBack(at(5))),
        ] {
            let created = created.map(|hour| Some(at(hour)));
            assert_eq!(profile(created.as_ref(), deleted.map(at)), expected);
        }
        assert_eq!(profile(Some(&None), Some(at(2))), ProfileState::There);
    }
}
