//! Derived person UUIDs, anonymous ids and display names
//! (Persons API, Person UUIDs; Persons API, Names and anonymous ids).

use std::sync::Arc;

use serde_json::Value;
use uuid::{Uuid, uuid};

use super::properties::Properties;

/// The namespace of every derived person UUID in PostHog.
const NAMESPACE: Uuid = uuid!("932979b4-65c3-4424-8467-0b66ec27bc22");

/// The UUID of a new person whose first event has this distinct id.
pub(crate) fn person_uuid(project: u64, distinct_id: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{project}:{distinct_id}").as_bytes())
}

/// The second derivation, for an id from which the UUID of the person it is split from was derived.
pub(crate) fn split_uuid(project: u64, distinct_id: &str) -> Uuid {
    Uuid::new_v5(
        &NAMESPACE,
        format!("{project}:{distinct_id}:split").as_bytes(),
    )
}

/// Five dash-joined groups of lower-case letters and digits. A human id such as
/// `my-great-user-id-1` matches too, as it does in PostHog.
pub(crate) fn is_anonymous(distinct_id: &str) -> bool {
    let mut groups = 0;
    for group in distinct_id.split('-') {
        groups += 1;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if group.is_empty() || !group.chars().all(plain) {
            return false;
        }
    }
    groups == 5
}

/// Non-anonymous ids first, otherwise in stored order, at most `cap` of them.
pub(crate) fn sorted_distinct_ids(distinct_ids: &[Arc<str>], cap: usize) -> Vec<&str> {
    let named = distinct_ids.iter().filter(|id| !is_anonymous(id));
    let anonymous = distinct_ids.iter().filter(|id| is_anonymous(id));
    named
        .chain(anonymous)
        .take(cap)
        .map(|id| id.as_ref())
        .collect()
}

/// The first non-empty display property, as it is stored; else the first distinct id; else the
/// numeric id as text.
pub(crate) fn display_name(
    display_properties: &[String],
    properties: &Properties,
    distinct_ids: &[Arc<str>],
    id: u64,
) -> Value {
    for key in display_properties {
        if let Some(value) = properties.get(key)
            && is_truthy(&value)
        {
            return value.into_owned();
        }
    }
    match sorted_distinct_ids(distinct_ids, 1).first() {
        Some(first) => Value::from(*first),
        None => Value::from(id.to_string()),
    }
}

/// Truthiness in Python, by which the API decides that a display property is empty.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_uuids_match_recorded_ones() {
        let recorded = [
            (
                280817,
                "6e9a624b-9339-4d07-8c46-8cd05dfa04e1",
                "51410cf7-1a40-508b-ba2b-68727dca2a9b",
            ),
            (
                280817,
                "fe015367-2197-4e02-b176-3b59b4be3e7a",
                "b9079019-d999-5662-9dc8-ac23a2f009ed",
            ),
            (
                280817,
                "789cb67e-646b-4d98-ba5d-7cf3369aa79d",
                "52d93905-50b7-5765-b90a-f56f7a8faa15",
            ),
            (
                281083,
                "837ca992-d8a3-45da-8265-4be9d59ac223",
                "c3eea7d9-7e7f-5c41-8e54-1928997d8a8f",
            ),
            (
                281083,
                "5def6e20-dd13-46cb-af16-792e5f0d950a",
                "b19a5ec2-d056-5379-8131-dbb8cfc032d1",
            ),
        ];
        for (project, distinct_id, expected) in recorded {
            assert_eq!(person_uuid(project, distinct_id).to_string(), expected);
        }
    }

    #[test]
    fn split_uuids_match_computed_ones() {
        let computed = [
            (
                1,
                "1",
                "e3a558b1-99c1-5119-b407-62f7e747d46b",
                "c7bb1a3d-d39e-53d5-95b6-7f7244329504",
            ),
            (
                1,
                "distinct_id",
                "90f26d77-1832-5e44-8796-eec309e68010",
                "343be193-5fd8-52bb-819d-3968f1f26a8e",
            ),
            (
                2,
                "user@example.com",
                "689656f4-631a-57af-9696-0bf9b099affd",
                "7666c304-ce56-5701-8ee2-a39cbeb79e25",
            ),
            (
                1,
                "a/b c?d",
                "c540f39d-0fab-5639-b93e-9e7ee797d9af",
                "d87d68d7-1af8-5bfd-a230-8ea8a4b26722",
            ),
            (
                1,
                "größe-ünïcode-😀",
                "273390c7-8f91-5e0c-94bd-a09ef8d3cf30",
                "fa736e7e-7d57-5fda-aaef-ac62c6bb21a4",
            ),
        ];
        for (project, distinct_id, first, second) in computed {
            assert_eq!(person_uuid(project, distinct_id).to_string(), first);
            assert_eq!(split_uuid(project, distinct_id).to_string(), second);
        }
    }

    #[test]
    fn anonymous_ids_have_five_groups_of_lower_case_letters_and_digits() {
        assert!(is_anonymous("0190f3c0-0000-4000-8000-00000000000a"));
        assert!(is_anonymous("my-great-user-id-1"));
        assert!(!is_anonymous("0190F3C0-0000-4000-8000-00000000000A"));
        assert!(!is_anonymous("ada@example.com"));
        assert!(!is_anonymous("a-b-c-d"));
        assert!(!is_anonymous("a-b-c-d-"));
    }
}
