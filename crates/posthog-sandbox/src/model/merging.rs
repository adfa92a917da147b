//! Merging: the events that merge two persons, what ingestion refuses, and what becomes of the persons
//! (Persons API, Merging).

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::dates::Time;
use super::event::Capture;
use super::identity::person_uuid;
use super::project::{ProjectState, analytics_row};
use super::properties::Properties;
use super::stores::{AnalyticsRow, Person, TOMBSTONE_LEAD};

/// Ids that come from faulty code, in any letter case.
const ILLEGAL_IN_ANY_CASE: &[&str] = &[
    "anonymous",
    "guest",
    "distinctid",
    "distinct_id",
    "id",
    "not_authenticated",
    "email",
    "undefined",
    "true",
    "false",
];
/// Ids that come from faulty code, in this letter case only.
const ILLEGAL_AS_WRITTEN: &[&str] = &[
    "[object Object]",
    "NaN",
    "None",
    "none",
    "null",
    "0",
    "undefined",
];
/// The database stores no longer ones.
const MAX_DISTINCT_ID_CHARS: usize = 400;

/// Whether ingestion refuses to merge by this distinct id.
fn is_illegal(distinct_id: &str) -> bool {
    let bare = ['\'', '"'].iter().find_map(|quote| {
        let inner = distinct_id.strip_prefix(*quote)?.strip_suffix(*quote)?;
        (!inner.is_empty()).then_some(inner)
    });
    let bare = bare.unwrap_or(distinct_id);
    distinct_id.trim().is_empty()
        || distinct_id.contains('\0')
        || distinct_id.chars().count() > MAX_DISTINCT_ID_CHARS
        || ILLEGAL_AS_WRITTEN.contains(&bare)
        || ILLEGAL_IN_ANY_CASE.contains(&bare.to_lowercase().as_str())
}

/// The distinct id that an event merges into its own, and whether the event may merge an identified person away.
fn merged_away(capture: &Capture) -> Option<(String, bool)> {
    let (property, may_merge_identified) = match capture.event.as_str() {
        "$identify" => ("$anon_distinct_id", false),
        "$create_alias" => ("alias", false),
        "$merge_dangerously" => ("alias", true),
        _ => return None,
    };
    match capture.properties.get(property)? {
        Value::Null => None,
        Value::String(id) if id.is_empty() => None,
        Value::String(id) => Some((id.clone(), may_merge_identified)),
        other => Some((other.to_string(), may_merge_identified)),
    }
}

impl ProjectState {
    /// Carries out the merge that an event asks for, if it asks for one. False if the event is dropped with it.
    pub(super) fn merge_by_event(&mut self, at: Time, capture: &Capture) -> bool {
        let Some((other, may_merge_identified)) = merged_away(capture) else {
            return true;
        };
        let into = capture.distinct_id.as_str();
        if into == other {
            return true;
        }
        if is_illegal(into) || is_illegal(&other) {
            self.warnings.push("cannot_merge_with_illegal_distinct_id");
            return true;
        }
        let owner = |id: &str| self.primary.by_distinct_id(id).map(|person| person.id);
        let kept = match (owner(into), owner(&other)) {
            (None, None) => self.create_with_both(at, into, &other),
            (Some(person), None) => self.attach(person, &other),
            (None, Some(person)) => self.attach(person, into),
            (Some(one), Some(same)) if one == same => one,
            (Some(kept), Some(gone)) => {
                let gone_person = self.primary.get(gone);
                if !may_merge_identified && gone_person.is_some_and(|one| one.is_identified) {
                    self.warnings.push("cannot_merge_already_identified");
                    return true;
                }
                let moves = gone_person.map_or(0, |one| one.distinct_ids.len());
                if capture.move_limit.is_some_and(|limit| moves > limit) {
                    return false;
                }
                self.merge_persons(kept, gone);
                kept
            }
        };
        if let Some(person) = self.primary.get_mut(kept) {
            person.is_identified = true;
        }
        true
    }

    fn create_with_both(&mut self, at: Time, into: &str, other: &str) -> u64 {
        let id = self.next_person;
        self.next_person += 1;
        self.add(Person {
            id,
            uuid: person_uuid(self.id, into),
            created_at: at,
            last_seen_at: None,
            is_identified: true,
            properties: Properties::empty(),
            distinct_ids: vec![Arc::from(into), Arc::from(other)],
            version: 0,
        });
        id
    }

    fn attach(&mut self, person: u64, distinct_id: &str) -> u64 {
        let distinct_id = Arc::from(distinct_id);
        if let Some(uuid) = self.primary.attach(&distinct_id, person) {
            self.analytics.map(&distinct_id, uuid, 0);
        }
        person
    }

    /// The kept person has the properties of both, its own where both have one, and the earlier date of creation.
    fn merge_persons(&mut self, kept: u64, gone: u64) {
        let Some(gone) = self.primary.get(gone).cloned() else {
            return;
        };
        let Some(person) = self.primary.get_mut(kept) else {
            return;
        };
        let others = gone.properties.to_map();
        person.properties.edit(|own| {
            for (key, value) in others {
                own.entry(key).or_insert(value);
            }
        });
        person.created_at = person.created_at.min(gone.created_at);
        person.version = person.version.max(gone.version) + 1;
        let (uuid, row) = (person.uuid, analytics_row(person));
        self.analytics.write(uuid, row);
        for distinct_id in &gone.distinct_ids {
            let version = self.primary.version_of(distinct_id).unwrap_or(0) + 1;
            self.primary.reassign(distinct_id, kept, version);
            self.analytics.map(distinct_id, uuid, version);
        }
        self.primary.remove(gone.id);
        let tombstone = AnalyticsRow {
            version: gone.version + TOMBSTONE_LEAD,
            deleted: true,
            properties: Properties::empty(),
            ..analytics_row(&gone)
        };
        self.analytics.write(gone.uuid, tombstone);
        self.move_static_membership(gone.uuid, uuid);
    }

    fn move_static_membership(&mut self, from: Uuid, to: Uuid) {
        let members = self.cohorts.iter_mut().map(|cohort| &mut cohort.members);
        for members in members.filter(|members| members.is_static) {
            let uuids = Arc::make_mut(&mut members.uuids);
            if uuids.remove(&from) {
                uuids.insert(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_faulty_code_are_illegal() {
        let long = "x".repeat(401);
        for id in [
            "",
            " \t",
            "Anonymous",
            "GUEST",
            "uNdEfInEd",
            "'true'",
            "\"Distinct_Id\"",
            "[object Object]",
            "'NaN'",
            "\"null\"",
            "0",
            "a\0b",
            &long,
        ] {
            assert!(is_illegal(id), "{id:?}");
        }
        for id in [
            "nan",
            "NULL",
            "00",
            "'ada'",
            "''",
            "a",
            "\"",
            "user-0",
            &long[1..],
        ] {
            assert!(!is_illegal(id), "{id:?}");
        }
    }
}
