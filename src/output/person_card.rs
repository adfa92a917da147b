//! One person, in full.

use std::fmt::Write;

use posthog_client::{Person, Untrusted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::budget::{OutputOptions, ToolOutput, fits};
use super::identifier::{quoted, write_identifier};
use super::person_row::{DISTINCT_IDS, NAME, as_map, distinct_ids};
use super::redact::Redaction;
use super::sanitize::Sanitizer;
use super::select::{COUNTRY, Select, Selected};
use super::table::{write_list, write_notes, write_text, write_value};

/// How much larger a page of distinct ids is that was asked for.
const PAGE_FACTOR: usize = 10;

/// How much of a person is shown: characters of values and names, distinct ids, names of properties not selected.
#[derive(Debug, Clone, Copy)]
struct CardSize {
    value: usize,
    name: usize,
    distinct_ids: usize,
    other_property_names: usize,
}

/// From the largest to one that fits into any budget.
const CARD_SIZES: [CardSize; 6] = [
    CardSize {
        value: 300,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    // The person's page in PostHog.
    url: String,
    // The selected ones that the person has.
    #[serde(serialize_with = "as_map")]
    #[schemars(with = "Map<String, Value>")]
    properties: Selected,
    // The selected ones that the person does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_set: Vec<String>,
    // Names of those not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_properties: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_property_count: Option<usize>,
    // A page of them.
    distinct_ids: Vec<String>,
    distinct_id_count: usize,
    // Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_ids_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Which of a person's distinct ids are shown.
#[derive(Debug, Clone, Default)]
pub struct DistinctIdPage {
    /// Those that follow this one.
    pub after: Option<String>,
    /// Those that begin with this text.
    pub prefix: Option<String>,
}

impl DistinctIdPage {
    fn is_requested(&self) -> bool {
        self.after.is_some() || self.prefix.is_some()
    }

    /// Whether a person has the distinct id that the page follows.
    #[must_use]
    pub fn begins_in(&self, options: &OutputOptions, person: &Person) -> bool {
        let person = &*options.redaction.person(person);
        self.after.as_deref().is_none_or(|after| {
            position(&person.distinct_ids, after, &options.sanitizer()).is_some()
        })
    }

    fn of(&self, ids: &[Untrusted<String>], sanitizer: &Sanitizer) -> Vec<Untrusted<String>> {
        let start = self
            .after
            .as_deref()
            .and_then(|after| position(ids, after, sanitizer))
            .map_or(0, |last| last + 1);
        let matches = |id: &&Untrusted<String>| {
            self.prefix
                .as_deref()
                .is_none_or(|prefix| Sanitizer::has_prefix(id, prefix))
        };
        ids.iter().skip(start).filter(matches).cloned().collect()
    }
}

fn position(ids: &[Untrusted<String>], given: &str, sanitizer: &Sanitizer) -> Option<usize> {
    ids.iter().position(|id| sanitizer.is_identifier(id, given))
}

/// A person to show, and how.
#[derive(Debug, Clone, Copy)]
pub struct Card<'a> {
    /// The person.
    pub person: &'a Person,
    /// The person's page in PostHog.
    pub url: &'a str,
    /// The properties to show.
    pub select: &'a Select,
    /// The distinct ids to show.
    pub distinct_ids: &'a DistinctIdPage,
    /// Further notes.
    pub notes: &'a [String],
}

/// The output of a tool that shows one person.
#[must_use]
pub fn person_card(options: &OutputOptions, card: &Card<'_>) -> ToolOutput<PersonCard> {
    let person = &*options.redaction.person(card.person);
    let card = &Card { person, ..*card };
    // Once is enough: a large person takes a while, and several sizes may be tried.
    let options = &OutputOptions {
        redaction: Redaction::default(),
        ..options.clone()
    };
    let [mut size, smaller @ ..] = CARD_SIZES;
    if matches!(card.select, Select::Keys(_)) {
        // Named properties are shown as long as possible; with "*", more properties matter more than long values.
        size.value = options.bytes;
    }
    for next in smaller {
        let output = render(options, card, size);
        if fits(options, &output) {
            return output;
        }
        size = next;
    }
    render(options, card, size)
}

/// Renders a card of a person that is redacted already.
fn render(options: &OutputOptions, card: &Card<'_>, size: CardSize) -> ToolOutput<PersonCard> {
    let Card { person, select, .. } = *card;
    let sanitizer = Sanitizer::new(options.redaction.clone(), size.value, size.name);
    let mut notes = card.notes.to_vec();
    let selected = properties(person, select, &sanitizer);
    let entries = person.properties.entries();
    let other_property_names: Vec<Untrusted<&str>> = entries
        .map(|(key, _)| key)
        .filter(|key| sanitizer.values_omitted() || !select.shows(key, &sanitizer))
        .collect();
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
    if !other_property_names.is_empty() {
        notes.push("Use `select` to show specific properties, or [\"*\"] for all.".to_owned());
    }
    let page = card.distinct_ids.of(&person.distinct_ids, &sanitizer);
    if let DistinctIdPage {
        after: None,
        prefix: Some(prefix),
    } = card.distinct_ids
    {
        let prefix = quoted(&sanitizer.given_identifier(prefix));
        notes.push(match page.len() {
            0 => format!("No distinct id of the person begins with {prefix}; letter case counts."),
            1 => format!("1 distinct id begins with {prefix}."),
            count => format!("{count} distinct ids begin with {prefix}."),
        });
    }
    let max = if card.distinct_ids.is_requested() {
        size.distinct_ids * PAGE_FACTOR
    } else {
        size.distinct_ids
    };
    let shown = distinct_ids(&page, max, &sanitizer);
    let more = page.len() - shown.len();
    // A redacted distinct id cannot be given back.
    let next = shown
        .last()
        .filter(|last| more > 0 && position(&page, last, &sanitizer) == Some(shown.len() - 1))
        .cloned();
    match &next {
        Some(last) => notes.push(format!(
            "{more} more distinct ids: call persons-retrieve with the same person and distinct_ids_after {}, or with \
             distinct_ids_prefix.",
            quoted(last)
        )),
        None if more > 0 => notes.push(format!(
            "{more} more distinct ids: call persons-retrieve with distinct_ids_prefix."
        )),
        None => {}
    }
    let (selected, not_set): (Selected, Selected) =
        selected.into_iter().partition(|(_, value)| value.is_some());
    let timestamp = |time: &Option<_>| time.as_ref().map(|time| sanitizer.timestamp(time));
    let card = PersonCard {
        uuid: person.uuid.to_string(),
        name: sanitizer.name(person),
        url: card.url.to_owned(),
        properties: selected,
        not_set: not_set.into_iter().map(|(key, _)| key).collect(),
        other_properties: other_property_names
            .iter()
            .take(size.other_property_names)
            .map(|key| sanitizer.identifier(key))
            .collect(),
        other_property_count: (!other_property_names.is_empty())
            .then_some(other_property_names.len()),
        distinct_ids: shown,
        distinct_id_count: person.distinct_ids.len(),
        distinct_ids_after: next,
        created_at: timestamp(&person.created_at),
        last_seen_at: timestamp(&person.last_seen_at),
        notes,
    };
    let text = card_text(&card);
    ToolOutput {
        structured: card,
        text,
    }
}

/// The selected properties; by default the e-mail, under the name of the property that holds it, and the country.
fn properties(redacted: &Person, select: &Select, sanitizer: &Sanitizer) -> Selected {
    if *select != Select::Default || sanitizer.values_omitted() {
        return select.properties(redacted, sanitizer);
    }
    let country = sanitizer.property_of(redacted, COUNTRY);
    [
        sanitizer.email(redacted),
        country.map(|country| (COUNTRY, country)),
    ]
    .into_iter()
    .flatten()
    .map(|(key, value)| (key.to_owned(), Some(Value::from(value))))
    .collect()
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
    line(NAME, card.name.as_deref());
    line("url", Some(&card.url));
    line("created_at", card.created_at.as_deref());
    line("last_seen_at", card.last_seen_at.as_deref());
    let _ = write!(text, "{DISTINCT_IDS} ({}): ", card.distinct_id_count);
    write_list(&mut text, &card.distinct_ids);
    match card.distinct_ids.len() {
        0 if card.distinct_id_count > 0 => text.push_str("none shown"),
        shown if shown < card.distinct_id_count => {
            let _ = write!(text, ", … ({shown} shown)");
        }
        _ => {}
    }
    text.push_str("\nproperties:\n");
    for (key, value) in &card.properties {
        // Indented, so that no property looks like one of the other lines.
        text.push_str("  ");
        write_identifier(&mut text, key);
        text.push_str(": ");
        if let Some(value) = value {
            write_value(&mut text, value);
        }
        text.push('\n');
    }
    if !card.not_set.is_empty() {
        text.push_str("not set: ");
        write_list(&mut text, &card.not_set);
        text.push('\n');
    }
    if let Some(count) = card.other_property_count {
        let _ = write!(text, "other properties, not shown ({count}): ");
        write_list(&mut text, &card.other_properties);
        if count > card.other_properties.len() {
            text.push_str(", …");
        }
        text.push('\n');
    }
    write_notes(&mut text, &card.notes);
    text
}
