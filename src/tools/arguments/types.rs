//! The types of arguments that several tools share. Strict in meaning: each checks itself.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::output;
use crate::tools::ToolError;
use posthog_client::{EventCursor, PersonId, is_date, is_timestamp};

/// PostHog stores no distinct id that is longer.
const MAX_DISTINCT_ID_CHARS: usize = 400;

const HOW_TO_FIND: &str = "To find a person by email, name or distinct id, call persons-list with email, \
                           search or distinct_id.";

// A person's UUID or numeric id.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, transparent)]
pub(in crate::tools) struct Id(#[schemars(with = "String")] pub(in crate::tools) PersonId);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        PersonId::parse(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format!(
                "not a person UUID or numeric person id{}; a distinct id or email is not accepted here. {HOW_TO_FIND} No request was made",
                has_blanks(&text)
            ))
        })
    }
}

/// Ids are never trimmed: a distinct id can have blanks around it.
fn has_blanks(id: &str) -> &'static str {
    if id.trim() == id {
        ""
    } else {
        " (there are blanks around it)"
    }
}

/// A person, by one of two names.
#[derive(Debug)]
pub(in crate::tools) enum Subject {
    Id(PersonId),
    DistinctId(String),
}

/// Reads the pair of arguments of which exactly one must be given.
pub(in crate::tools) fn subject(
    id: Option<Id>,
    distinct_id: Option<DistinctId>,
) -> Result<Subject, ToolError> {
    match (id, distinct_id) {
        (Some(id), None) => Ok(Subject::Id(id.0)),
        (None, Some(distinct_id)) => Ok(Subject::DistinctId(distinct_id.0)),
        _ => Err(ToolError::invalid_input(format!(
            "Give exactly one of `id` (UUID or numeric id) and `distinct_id`. {HOW_TO_FIND}"
        ))),
    }
}

// A distinct id, exactly as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct DistinctId(pub(in crate::tools) String);

impl<'de> Deserialize<'de> for DistinctId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.chars().count() > MAX_DISTINCT_ID_CHARS {
            return Err(D::Error::custom(format!(
                "a distinct id must have 1 to {MAX_DISTINCT_ID_CHARS} characters"
            )));
        }
        Ok(Self(text))
    }
}

// Text with something in it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct NonEmptyString(pub(in crate::tools) String);

impl<'de> Deserialize<'de> for NonEmptyString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(D::Error::custom(
                "must not be empty; leave an optional argument out instead",
            ));
        }
        Ok(Self(text))
    }
}

// Text to search by, without the blanks around it: PostHog does not trim it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct SearchText(pub(in crate::tools) String);

impl<'de> Deserialize<'de> for SearchText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let NonEmptyString(text) = NonEmptyString::deserialize(deserializer)?;
        Ok(Self(text.trim().to_owned()))
    }
}

// A person's UUID.
#[derive(Debug, Clone, Copy, JsonSchema)]
#[schemars(inline, transparent)]
pub(in crate::tools) struct PersonUuid(#[schemars(with = "String")] pub(in crate::tools) Uuid);

impl<'de> Deserialize<'de> for PersonUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let uuid = if text.len() == 36 {
            Uuid::try_parse(&text).ok()
        } else {
            None
        };
        uuid.map(Self).ok_or_else(|| {
            let blanks = has_blanks(&text);
            D::Error::custom(format!("not a person UUID{blanks}. {HOW_TO_FIND}"))
        })
    }
}

// How many rows.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct Limit(#[schemars(range(min = 1, max = 1000))] pub(in crate::tools) u32);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 1000).map(Self)
    }
}

// How many groups.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct Groups(#[schemars(range(min = 1, max = 100))] pub(in crate::tools) u32);

impl Default for Groups {
    fn default() -> Self {
        Self(20)
    }
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 100).map(Self)
    }
}

// Rows to skip.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct Offset(pub(in crate::tools) u32);

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 0, i32::MAX.unsigned_abs()).map(Self)
    }
}

// Which page, from 1.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct PageNumber(#[schemars(range(min = 1))] pub(in crate::tools) u32);

impl Default for PageNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for PageNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, i32::MAX.unsigned_abs()).map(Self)
    }
}

// A number of periods.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct Periods(
    #[schemars(range(min = 1, max = 1000))] pub(in crate::tools) u32,
);

impl<'de> Deserialize<'de> for Periods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 1000).map(Self)
    }
}

// How long to wait for an effect, in seconds.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct WaitSeconds(#[schemars(range(max = 60))] pub(in crate::tools) u32);

impl<'de> Deserialize<'de> for WaitSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 0, 60).map(Self)
    }
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: u32,
    most: u32,
) -> Result<u32, D::Error> {
    let number = serde_json::Value::deserialize(deserializer)?
        .as_i64()
        .ok_or_else(|| D::Error::custom(format!("not a whole number from {least} to {most}")))?;
    u32::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| D::Error::custom(format!("{number} is not between {least} and {most}")))
}

// A date, absolute or relative.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct Date(pub(in crate::tools) String);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_date(&text) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(
            "not a date; use a format such as 2026-01-31, 2026-01-31T12:00:00Z or, relative to now, -7d",
        ))
    }
}

// Where a page of events begins.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, transparent)]
pub(in crate::tools) struct Cursor(#[schemars(with = "String")] pub(in crate::tools) EventCursor);

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.trim().parse().map(Self).map_err(D::Error::custom)
    }
}

// A moment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(in crate::tools) struct Timestamp(pub(in crate::tools) String);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_timestamp(&text) {
            return Ok(Self(text));
        }
        Err(D::Error::custom(
            "not an ISO 8601 timestamp such as 2026-01-31T12:00:00Z",
        ))
    }
}

/// Properties to show by their names; each is looked for in each person.
const MAX_SELECTED: usize = 200;

// Properties to show.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline, transparent)]
pub(in crate::tools) struct Select(Vec<NonEmptyString>);

impl<'de> Deserialize<'de> for Select {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = Vec::deserialize(deserializer)?;
        if keys.len() > MAX_SELECTED {
            return Err(D::Error::custom(format!(
                "at most {MAX_SELECTED} properties can be selected; [\"*\"] selects all"
            )));
        }
        Ok(Self(keys))
    }
}

/// Items of a list at most, where the tool has no limit of its own.
pub(super) const MAX_ITEMS: usize = 200;

/// Reads a list that is not longer than anybody needs: each item costs time here or in PostHog's query.
pub(in crate::tools) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct AtMost<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for AtMost<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Vec<T>, S::Error> {
            let mut read = Vec::new();
            while let Some(item) = items.next_element()? {
                if read.len() == MAX_ITEMS {
                    return Err(S::Error::custom(too_long()));
                }
                read.push(item);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_seq(AtMost(PhantomData))
}

pub(super) fn too_long() -> String {
    format!("at most {MAX_ITEMS} items can be given; call again with fewer")
}

/// What a look-up that failed says about the id given: ids are never trimmed, so blanks can be why nothing was found.
pub(in crate::tools) fn blanks_count(id: &str) -> Option<&'static str> {
    (id.trim() != id).then_some("The id was given with blanks around it, and they count.")
}

/// Each item once, in the order of its first.
pub(in crate::tools) fn distinct<T: Clone + Eq + Hash>(
    items: impl IntoIterator<Item = T>,
) -> Vec<T> {
    let mut seen = HashSet::new();
    items
        .into_iter()
        .filter(|item| seen.insert(item.clone()))
        .collect()
}

/// Reads the `select` argument.
pub(in crate::tools) fn select(keys: Option<Select>) -> output::Select {
    output::Select::from_keys(keys.map(|keys| keys.0.into_iter().map(|key| key.0).collect()))
}
