//! A person as a row of a table.

use std::collections::BTreeSet;

use posthog_client::{Person, Untrusted};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::sanitize::Sanitizer;
use super::select::{COUNTRY, Select, Selected};
use super::table::{Cells, Row};

/// Distinct ids in a row.
const MAX_DISTINCT_IDS: usize = 10;

// One person among others.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PersonRow {
    uuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    // The property that holds the e-mail, unless it is `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_property: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    // The selected ones that the person has.
    #[serde(serialize_with = "as_map", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Map<String, Value>", default)]
    properties: Selected,
    // At most [`MAX_DISTINCT_IDS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    distinct_ids: Vec<String>,
    // Where these are not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_id_count: Option<usize>,
    // PostHog did not send all distinct ids: there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    count_is_minimum: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
}

pub(super) fn as_map<S: Serializer>(selected: &Selected, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        selected
            .iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?))),
    )
}

impl PersonRow {
    /// A row with the default columns. The endpoint sends `max_sent` distinct ids at most.
    #[must_use]
    pub fn new(person: &Person, select: &Select, max_sent: usize, sanitizer: &Sanitizer) -> Self {
        let person = &*sanitizer.redaction().person(person);
        let count = person.distinct_ids.len();
        let day = |time: &Option<_>| time.as_ref().map(|time| sanitizer.day(time));
        let count_is_minimum = count >= max_sent;
        Self {
            distinct_ids: distinct_ids(&person.distinct_ids, MAX_DISTINCT_IDS, sanitizer),
            distinct_id_count: (count_is_minimum || count > MAX_DISTINCT_IDS).then_some(count),
            count_is_minimum,
            created: day(&person.created_at),
            last_seen: day(&person.last_seen_at),
            ..Self::of_redacted(person, select, sanitizer)
        }
    }

    /// A row with the name and the selected properties, and nothing else.
    #[must_use]
    pub fn summary(person: &Person, select: &Select, sanitizer: &Sanitizer) -> Self {
        Self::of_redacted(&sanitizer.redaction().person(person), select, sanitizer)
    }

    fn of_redacted(person: &Person, select: &Select, sanitizer: &Sanitizer) -> Self {
        let by_default = *select == Select::Default && !sanitizer.values_omitted();
        let email = by_default.then(|| sanitizer.email(person)).flatten();
        Self {
            name: sanitizer.name(person).filter(|_| select.adds_name(person)),
            email_property: email
                .as_ref()
                .map(|(property, _)| *property)
                .filter(|property| *property != EMAIL),
            email: email.map(|(_, email)| email),
            country: by_default
                .then(|| sanitizer.property_of(person, COUNTRY))
                .flatten(),
            properties: select.properties(person, sanitizer),
            ..Self::id_only(person)
        }
    }

    /// A row with the UUID alone.
    #[must_use]
    pub fn id_only(person: &Person) -> Self {
        Self {
            uuid: person.uuid.to_string(),
            name: None,
            email: None,
            email_property: None,
            country: None,
            properties: Vec::new(),
            distinct_ids: Vec::new(),
            distinct_id_count: None,
            count_is_minimum: false,
            created: None,
            last_seen: None,
        }
    }

    /// Whether the row shows only some of the distinct ids.
    pub(super) fn omits_distinct_ids(&self) -> bool {
        self.distinct_id_count.is_some()
    }

    /// The names of the selected properties that the person does not have.
    pub(super) fn not_set(&self) -> impl Iterator<Item = &String> {
        let not_set = self.properties.iter().filter(|(_, value)| value.is_none());
        not_set.map(|(key, _)| key)
    }

    /// The number of distinct ids, where not all of them are shown.
    fn distinct_id_total(&self) -> Option<String> {
        match self.distinct_id_count? {
            count if self.count_is_minimum => Some(format!("at least {count}")),
            count => Some(format!("{count} in all")),
        }
    }

    /// A selected property. Columns and properties mostly have the same order, so that `next` is where it is.
    fn property(&self, key: &str, next: &mut usize) -> Option<&Value> {
        let is_at =
            |place: &usize| matches!(self.properties.get(*place), Some((name, _)) if name == key);
        let place = Some(*next)
            .filter(is_at)
            .or_else(|| (0..self.properties.len()).find(is_at))?;
        *next = place + 1;
        self.properties.get(place)?.1.as_ref()
    }

    fn keys(&self) -> impl Iterator<Item = &String> {
        self.properties.iter().map(|(key, _)| key)
    }

    /// The columns that these rows need. Selected properties keep the order in which they were selected.
    pub fn columns<'a>(rows: impl Iterator<Item = &'a Self> + Clone) -> Vec<String> {
        let mut keys: Vec<&String> = rows
            .clone()
            .next()
            .map(|row| row.keys().collect())
            .unwrap_or_default();
        if !rows.clone().all(|row| row.keys().eq(keys.iter().copied())) {
            let all: BTreeSet<&String> = rows.clone().flat_map(Self::keys).collect();
            keys = all.into_iter().collect();
        }
        let mut header = vec!["uuid".to_owned()];
        let mut column = |name: &str, needed: &dyn Fn(&Self) -> bool| {
            if rows.clone().any(needed) && !header.iter().any(|column| column == name) {
                header.push(name.to_owned());
            }
        };
        column(NAME, &|row| row.name.is_some());
        column(EMAIL, &|row| row.email.is_some());
        column(COUNTRY_COLUMN, &|row| row.country.is_some());
        for key in keys {
            column(&property_column(key), &|_| true);
        }
        column(DISTINCT_IDS, &|row| !row.distinct_ids.is_empty());
        column(CREATED, &|row| row.created.is_some());
        column(LAST_SEEN, &|row| row.last_seen.is_some());
        header
    }
}

/// The first of these distinct ids of a person that is redacted already.
pub(super) fn distinct_ids(
    ids: &[Untrusted<String>],
    max: usize,
    sanitizer: &Sanitizer,
) -> Vec<String> {
    let ids = ids.iter().take(max);
    ids.map(|id| sanitizer.identifier(id)).collect()
}

pub(super) const NAME: &str = "name";
const EMAIL: &str = "email";
const COUNTRY_COLUMN: &str = "country";
pub(super) const DISTINCT_IDS: &str = "distinct_ids";
// Days, where a card has times.
const CREATED: &str = "created";
const LAST_SEEN: &str = "last_seen";
/// Columns that some tools add.
pub const REQUESTED: &str = "requested";
pub const VALUE_AT_DATA_POINT: &str = "value_at_data_point";
pub const ACTIVE_PERIODS: &str = "active_periods";

/// The column of a property; a prefix distinguishes it from the columns that are no properties.
fn property_column(key: &str) -> String {
    match key {
        "uuid" | REQUESTED | DISTINCT_IDS | CREATED | LAST_SEEN | VALUE_AT_DATA_POINT
        | ACTIVE_PERIODS => {
            format!("properties.{key}")
        }
        other => other.to_owned(),
    }
}

impl Row for PersonRow {
    fn header(rows: &[Self]) -> Vec<String> {
        Self::columns(rows.iter())
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        let mut next = 0;
        for column in header {
            match column.as_str() {
                "uuid" => cells.text(&self.uuid),
                NAME if self.name.is_some() => cells.optional(self.name.as_deref()),
                EMAIL if self.email.is_some() => match (&self.email, self.email_property) {
                    (Some(email), Some(property)) => cells.text(&format!("{email} ({property})")),
                    (email, _) => cells.optional(email.as_deref()),
                },
                COUNTRY_COLUMN if self.country.is_some() => {
                    cells.optional(self.country.as_deref());
                }
                DISTINCT_IDS => {
                    cells.list(&self.distinct_ids, self.distinct_id_total().as_deref());
                }
                CREATED => cells.optional(self.created.as_deref()),
                LAST_SEEN => cells.optional(self.last_seen.as_deref()),
                property => {
                    let key = property.strip_prefix("properties.");
                    let value = match self.property(property, &mut next) {
                        None => key.and_then(|key| self.property(key, &mut next)),
                        value => value,
                    };
                    match value {
                        Some(value) => cells.value(value),
                        None => cells.empty(),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::redact::Redaction;
    use super::*;

    fn person(json: &Value) -> Person {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn row(person: &Person, select: &Select) -> Value {
        let sanitizer = Sanitizer::new(Redaction::default(), 100, 100);
        json!(PersonRow::new(person, select, 10, &sanitizer))
    }

    const UUID: &str = "018f0000-0000-7000-8000-00000000000a";

    #[test]
    fn every_text_of_a_row_is_sanitized() {
        let hostile = "a\u{200b}b\nc";
        let person = person(&json!({
            "uuid": UUID, "name": format!("Name {hostile}"), "distinct_ids": [hostile],
            "properties": {hostile: hostile}, "created_at": hostile, "last_seen_at": hostile,
        }));
        let identifier = "\"a\\u200bb\\nc\"";
        let expected = json!({
            "uuid": UUID, "name": "Name ab c", "distinct_ids": [identifier], "properties": {identifier: "ab c"},
            "created": "ab c", "last_seen": "ab c",
        });
        assert_eq!(row(&person, &Select::All), expected);
    }

    #[test]
    fn name_and_email_are_those_of_the_properties() {
        for (name, properties, expected) in [
            (
                "ada@example.com",
                json!({"email": "ada@example.com"}),
                json!([null, "ada@example.com", null]),
            ),
            (
                "ada@example.com",
                json!({"email": "ada@example.com", "name": "Ada"}),
                json!(["Ada", "ada@example.com", null]),
            ),
            (
                "ada@example.com",
                json!({"$email": "ada@example.com"}),
                json!([null, "ada@example.com", "$email"]),
            ),
            (
                "Countess",
                json!({"Email": "ada@example.com", "email": ""}),
                json!(["Countess", "ada@example.com", "Email"]),
            ),
            ("user-1", json!({}), json!([null, null, null])),
            (
                "Countess",
                json!({"name": null}),
                json!(["Countess", null, null]),
            ),
        ] {
            let person = person(
                &json!({"uuid": UUID, "name": name, "distinct_ids": ["user-1"], "properties": properties}),
            );
            let row = row(&person, &Select::Default);
            assert_eq!(
                json!([row["name"], row["email"], row["email_property"]]),
                expected,
                "{properties}"
            );
        }
    }

    #[test]
    fn dates_are_days_in_utc() {
        for (time, day) in [
            ("2026-03-02T10:00:00Z", "2026-03-02"),
            ("2026-03-02T23:30:00.5-05:00", "2026-03-03"),
            ("soon", "soon"),
        ] {
            let person = person(&json!({"uuid": UUID, "created_at": time}));
            assert_eq!(row(&person, &Select::Default)["created"], day);
        }
    }
}
