//! What insights are calculated from: the events of each person, and where a person is in its lifecycle.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::dates::{Interval, Time};
use super::entity::Entity;
use super::event::Event;
use super::project::ProjectState;

/// The events that pass, by the person that they belong to now, oldest first.
pub(crate) fn events_by_person(
    project: &ProjectState,
    accept: impl Fn(&Event) -> bool,
) -> BTreeMap<Uuid, Vec<&Event>> {
    let mut found: BTreeMap<Uuid, Vec<&Event>> = BTreeMap::new();
    for event in project.events.iter().filter(|event| accept(event)) {
        let person = project.analytics.actor(event);
        found.entry(person).or_default().push(event);
    }
    for events in found.values_mut() {
        events.sort_by_key(|event| event.at);
    }
    found
}

/// The status of a person in the interval that starts at `start`; none if it was active neither then nor before.
pub(crate) fn lifecycle_status(
    events: &[&Event],
    created: Option<Time>,
    interval: Interval,
    start: Time,
) -> Option<&'static str> {
    let (previous, end) = (interval.before(start), interval.after(start));
    let within = |from, to| events.iter().any(|event| from <= event.at && event.at < to);
    let is_new = created.is_some_and(|created| start <= created && created < end);
    match (within(start, end), within(previous, start)) {
        (true, _) if is_new => Some("new"),
        (true, true) => Some("returning"),
        (true, false) => Some("resurrecting"),
        (false, true) => Some("dormant"),
        (false, false) => None,
    }
}

/// In how many intervals there is an event.
pub(crate) fn active_intervals(events: &[&Event], interval: Interval) -> usize {
    let starts: BTreeSet<Time> = events
        .iter()
        .map(|event| interval.start(event.at))
        .collect();
    starts.len()
}

/// The intervals after the one that starts at `start` in which a person returned, the first itself being 0; `None` for a
/// person who does not belong to that interval.
pub(crate) fn appearances(
    events: &[&Event],
    (target, returning): (&Entity, &Entity),
    first_time: bool,
    interval: Interval,
    (start, count): (Time, usize),
) -> Option<BTreeSet<usize>> {
    let end = interval.after(start);
    let mut targets = events.iter().filter(|event| target.matches(event));
    let belongs = |event: &&&Event| start <= event.at && event.at < end;
    if first_time {
        targets.next().filter(belongs)?;
    } else {
        targets.find(belongs)?;
    }
    let mut found = BTreeSet::from([0]);
    let mut from = start;
    for number in 0..count {
        let to = interval.after(from);
        let returned = |event: &&&Event| from <= event.at && event.at < to;
        if events
            .iter()
            .filter(returned)
            .any(|event| returning.matches(event))
        {
            found.insert(number);
        }
        from = to;
    }
    Some(found)
}
