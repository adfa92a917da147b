//! One person, in full.

use std::collections::BTreeMap;
use std::fmt::Write;

use posthog_client::{Person, Untrusted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::budget::{OutputOptions, ToolOutput, fits};
use super::person_row::{CREATED_AT, DISTINCT_IDS, LAST_SEEN_AT, distinct_ids, timestamp};
use super::redact::Redaction;
use super::sanitize::Sanitizer;
use super::select::Select;
use super::table::{write_list, write_notes, write_text, write_value};

/// How much of a person is shown: characters of values and names, distinct ids, names of properties not selected.
#[derive(Debug, Clone, Copy)]
struct CardSize {
    value: usize,
    name: usize,
    distinct_ids: usize,
    other_property_names: usize,
}

/// From the largest to one that fits into any budget.
const CARD_SIZES: [CardSize; 7] = [
    CardSize {
        value: 2000,
        name: 400,
        distinct_ids: 100,
        other_property_names: 100,
    },
    CardSize {
        value: 500,
        name: 400,
        distinct_ids: 100,
        other_property_names: 100,
    },
    CardSize {
        value: 100,
        name: 400,
        distinct_ids: 100,
        other_property_names: 100,
    },
    CardSize {
        value: 100,
        name: 100,
        distinct_ids: 100,
        other_property_names: 30,
    },
    CardSize {
        value: 30,
        name: 100,
        distinct_ids: 30,
        other_property_names: 10,
    },
    CardSize {
        value: 0,
        name: 100,
        distinct_ids: 10,
        other_property_names: 5,
    },
    CardSize {
        value: 0,
        name: 30,
        distinct_ids: 5,
        other_property_names: 0,
    },
];

// One person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PersonCard {
    uuid: String,
    name: String,
    // The person's page in PostHog.
    url: String,
    // The selected ones.
    properties: BTreeMap<String, Value>,
    // Names of those not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_properties: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_property_count: Option<usize>,
    // At most 100.
    distinct_ids: Vec<String>,
    distinct_id_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// The output of a tool that shows one person with all of its distinct ids.
#[must_use]
pub fn person_card(
    options: &OutputOptions,
    person: &Person,
    url: &str,
    select: &Select,
    notes: &[String],
) -> ToolOutput<PersonCard> {
    let person = &*options.redaction.person(person);
    // Once is enough: a large person takes a while, and several sizes may be tried.
    let options = &OutputOptions {
        redaction: Redaction::default(),
        ..options.clone()
    };
    let [mut size, smaller @ ..] = CARD_SIZES;
    if matches!(select, Select::Keys(_)) {
        // Named properties are shown as long as possible; with "*", more properties matter more than long values.
        size.value = options.bytes;
    }
    for next in smaller {
        let output = card(options, person, url, select, notes, size);
        if fits(options, &output) {
            return output;
        }
        size = next;
    }
    card(options, person, url, select, notes, size)
}

fn card(
    options: &OutputOptions,
    person: &Person,
    url: &str,
    select: &Select,
    notes: &[String],
    size: CardSize,
) -> ToolOutput<PersonCard> {
    let sanitizer = Sanitizer::new(options.redaction.clone(), size.value, size.name);
    let properties = select.properties(person, &sanitizer);
    let entries = person.properties.entries();
    let other_property_names: Vec<Untrusted<&str>> = entries
        .map(|(key, _)| key)
        .filter(|key| sanitizer.values_omitted() || !select.shows(key))
        .collect();
    let mut notes = notes.to_vec();
    if sanitizer.values_omitted() {
        notes.push(
            "Property values are omitted: they exceed the size limit. Select fewer properties."
                .to_owned(),
        );
    } else if sanitizer.truncated() > 0 {
        let alone = matches!(select, Select::Keys(keys) if keys.len() == 1);
        notes.push(format!(
            "Long values are truncated and end with …; {}.",
            if alone {
                "a result cannot be larger (--max-result-bytes)"
            } else {
                "select one property alone to see more of it"
            }
        ));
    }
    let card = PersonCard {
        uuid: person.uuid.to_string(),
        name: sanitizer.display_name(person),
        url: url.to_owned(),
        properties,
        other_properties: other_property_names
            .iter()
            .take(size.other_property_names)
            .map(|key| sanitizer.text(key))
            .collect(),
        other_property_count: (!other_property_names.is_empty())
            .then_some(other_property_names.len()),
        distinct_ids: distinct_ids(person, size.distinct_ids, &sanitizer),
        distinct_id_count: person.distinct_ids.len(),
        created_at: timestamp(person.created_at.as_ref(), &sanitizer),
        last_seen_at: timestamp(person.last_seen_at.as_ref(), &sanitizer),
        notes,
    };
    let text = card_text(&card);
    ToolOutput {
        structured: card,
        text,
    }
}

fn card_text(card: &PersonCard) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(name);
            text.push_str(": ");
            write_text(&mut text, value);
            text.push('\n');
        }
    };
    line("uuid", Some(&card.uuid));
    line("name", Some(&card.name));
    line("url", Some(&card.url));
    line(CREATED_AT, card.created_at.as_deref());
    line(LAST_SEEN_AT, card.last_seen_at.as_deref());
    let _ = write!(text, "{DISTINCT_IDS} ({}): ", card.distinct_id_count);
    write_list(&mut text, &card.distinct_ids);
    if card.distinct_id_count > card.distinct_ids.len() {
        let _ = write!(text, ", … ({} shown)", card.distinct_ids.len());
    }
    text.push_str("\nproperties:\n");
    for (key, value) in &card.properties {
        // Indented, so that no property looks like one of the other lines.
        text.push_str("  ");
        write_text(&mut text, key);
        text.push_str(": ");
        write_value(&mut text, value);
        text.push('\n');
    }
    if let Some(count) = card.other_property_count {
        let _ = write!(text, "other properties, not shown ({count}): ");
        write_list(&mut text, &card.other_properties);
        if count > card.other_properties.len() {
            text.push_str(", …");
        }
        text.push_str("\nUse `select` to show specific properties, or [\"*\"] for all.\n");
    }
    write_notes(&mut text, &card.notes);
    text
}
