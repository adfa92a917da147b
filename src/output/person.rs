//! Persons as a model reads them: a row among others, or a card of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use posthog_client::{LISTED_DISTINCT_IDS, Person, Properties};

use super::budget::{OutputOptions, ToolOutput, fits, truncate_rows};
use super::sanitize::Sanitizer;
use super::table::{Cells, Row, write_list, write_text, write_value};

/// Distinct ids shown of a person among others.
const DISTINCT_IDS_IN_A_ROW: usize = 10;
/// How much of one person is shown: characters of values and names, distinct ids, names of properties that are not
/// shown.
#[derive(Debug, Clone, Copy)]
struct CardSize {
    value: usize,
    name: usize,
    distinct_ids: usize,
    other_property_names: usize,
}

/// From what is shown at best to what fits into any budget.
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
/// Shown where nothing is selected.
const DEFAULT_PROPERTIES: [&str; 2] = ["email", "$geoip_country_code"];

/// Which properties are shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Select {
    /// The e-mail and the country.
    #[default]
    Default,
    /// These.
    Keys(Vec<String>),
    /// Every one.
    All,
}

impl Select {
    /// Reads the argument of the same name.
    #[must_use]
    pub fn from_keys(keys: Option<Vec<String>>) -> Self {
        match keys {
            None => Self::Default,
            Some(keys) if keys.iter().any(|key| key == "*") => Self::All,
            Some(keys) => Self::Keys(keys),
        }
    }

    fn shows(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Default => DEFAULT_PROPERTIES.contains(&key),
            Self::Keys(keys) => keys.iter().any(|selected| selected == key),
        }
    }

    /// The selected ones of a person who is redacted already.
    fn properties(&self, person: &Person, sanitizer: &Sanitizer) -> BTreeMap<String, Value> {
        if sanitizer.values_omitted() {
            return BTreeMap::new();
        }
        let entries = person.properties.entries();
        entries
            .filter(|(key, _)| self.shows(key))
            .map(|(key, json)| {
                (
                    sanitizer.name(key),
                    sanitizer.value(&Properties::value(json)),
                )
            })
            .collect()
    }
}

// One person among others.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PersonRow {
    uuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    // The selected ones.
    properties: BTreeMap<String, Value>,
    // At most [`DISTINCT_IDS_IN_A_ROW`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    distinct_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_id_count: Option<usize>,
    // PostHog did not send all distinct ids: there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    count_is_minimum: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_at: Option<String>,
}

impl PersonRow {
    /// A row with the default columns. `most_sent` is how many distinct ids the endpoint sends at most.
    #[must_use]
    pub fn new(person: &Person, select: &Select, most_sent: usize, sanitizer: &Sanitizer) -> Self {
        let person = &*sanitizer.redaction().person(person);
        let ids = &person.distinct_ids;
        Self {
            distinct_ids: names(ids, DISTINCT_IDS_IN_A_ROW, sanitizer),
            distinct_id_count: Some(ids.len()),
            count_is_minimum: ids.len() >= most_sent,
            created_at: person.created_at.clone(),
            last_seen_at: person.last_seen_at.clone(),
            ..Self::of_redacted(person, select, sanitizer)
        }
    }

    /// A row that says who it is and shows the selected properties, nothing more.
    #[must_use]
    pub fn summary(person: &Person, select: &Select, sanitizer: &Sanitizer) -> Self {
        Self::of_redacted(&sanitizer.redaction().person(person), select, sanitizer)
    }

    fn of_redacted(person: &Person, select: &Select, sanitizer: &Sanitizer) -> Self {
        Self {
            name: Some(sanitizer.display(&person.name)),
            properties: select.properties(person, sanitizer),
            ..Self::id_only(person)
        }
    }

    /// A row that says which person it is, nothing more.
    #[must_use]
    pub fn id_only(person: &Person) -> Self {
        Self {
            uuid: person.uuid.clone(),
            name: None,
            properties: BTreeMap::new(),
            distinct_ids: Vec::new(),
            distinct_id_count: None,
            count_is_minimum: false,
            created_at: None,
            last_seen_at: None,
        }
    }

    /// Leaves out the name where a property that is shown says the same.
    #[must_use]
    pub fn dedup_name(mut self) -> Self {
        if self.name_is_double() {
            self.name = None;
        }
        self
    }

    /// Whether a property that is shown says the same as the name.
    fn name_is_double(&self) -> bool {
        let mut texts = self.properties.values().filter_map(Value::as_str);
        texts.any(|text| self.name.as_deref() == Some(text))
    }

    /// How many distinct ids there are, where those that are shown are not all.
    fn distinct_ids_in_all(&self) -> Option<String> {
        match self.distinct_id_count? {
            count if self.count_is_minimum => Some(format!("at least {count}")),
            count => (count > self.distinct_ids.len()).then(|| format!("{count} in all")),
        }
    }

    /// The columns that these rows need.
    pub fn columns<'a>(rows: impl Iterator<Item = &'a Self> + Clone) -> Vec<String> {
        let mut header = vec!["uuid".to_owned()];
        let mut column = |name: &str, needed: &dyn Fn(&Self) -> bool| {
            if rows.clone().any(needed) {
                header.push(name.to_owned());
            }
        };
        let double = rows.clone().any(Self::name_is_double);
        let name = if double { NAME_UNLESS_SHOWN } else { NAME };
        column(name, &|row| row.name.is_some());
        let keys: BTreeSet<&String> = rows.clone().flat_map(|row| row.properties.keys()).collect();
        for key in keys {
            column(&property_column(key), &|_| true);
        }
        column(DISTINCT_IDS, &|row| row.distinct_id_count.is_some());
        column(CREATED_AT, &|row| row.created_at.is_some());
        column(LAST_SEEN_AT, &|row| row.last_seen_at.is_some());
        header
    }
}

fn names(ids: &[String], most: usize, sanitizer: &Sanitizer) -> Vec<String> {
    ids.iter().take(most).map(|id| sanitizer.name(id)).collect()
}

const NAME: &str = "name";
/// Where a property that is shown says the same in some row, which then has none: mostly the e-mail.
const NAME_UNLESS_SHOWN: &str = "name (unless shown)";
const DISTINCT_IDS: &str = "distinct_ids";
const CREATED_AT: &str = "created_at";
const LAST_SEEN_AT: &str = "last_seen_at";
/// Columns that some tools add.
pub const REQUESTED: &str = "requested";
pub const VALUE_AT_DATA_POINT: &str = "value_at_data_point";

/// Property columns stand behind a prefix where a name of ours could be meant.
fn property_column(key: &str) -> String {
    match key {
        "uuid" | NAME | NAME_UNLESS_SHOWN | REQUESTED | DISTINCT_IDS | CREATED_AT
        | LAST_SEEN_AT | VALUE_AT_DATA_POINT => format!("properties.{key}"),
        other => other.to_owned(),
    }
}

impl Row for PersonRow {
    fn header(rows: &[Self]) -> Vec<String> {
        Self::columns(rows.iter())
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        for column in header {
            match column.as_str() {
                "uuid" => cells.text(&self.uuid),
                NAME_UNLESS_SHOWN if self.name_is_double() => cells.empty(),
                NAME | NAME_UNLESS_SHOWN => cells.optional(self.name.as_deref()),
                DISTINCT_IDS => {
                    cells.list(&self.distinct_ids, self.distinct_ids_in_all().as_deref());
                }
                CREATED_AT => cells.optional(self.created_at.as_deref()),
                LAST_SEEN_AT => cells.optional(self.last_seen_at.as_deref()),
                property => {
                    let key = property.strip_prefix("properties.");
                    let value = self
                        .properties
                        .get(property)
                        .or_else(|| key.and_then(|key| self.properties.get(key)));
                    match value {
                        Some(value) => cells.value(value),
                        None => cells.empty(),
                    }
                }
            }
        }
    }
}

// A page of persons.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PersonsPage<R = PersonRow> {
    results: Vec<R>,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl<R> PersonsPage<R> {
    /// How many persons it shows.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.results.len()
    }
}

impl PersonsPage {
    /// A page without rows.
    #[must_use]
    pub fn empty(notes: Vec<String>) -> Self {
        Self {
            results: Vec::new(),
            next_offset: None,
            notes,
        }
    }
}

/// What is known of a page besides its persons.
#[derive(Debug)]
pub struct Page<'a> {
    /// The tool that gets the next one.
    pub tool: &'static str,
    /// Persons skipped before it.
    pub offset: u32,
    /// Persons asked for.
    pub limit: u32,
    /// Whether PostHog has more.
    pub has_next: bool,
    /// All matches, where counted.
    pub count: Option<u64>,
    /// The persons that PostHog sent.
    pub persons: &'a [Person],
    /// The properties to show.
    pub select: &'a Select,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// Makes the answer of a tool that lists persons. `row` adds what only its rows have.
#[must_use]
pub fn page_of_persons<R: Row>(
    limits: &OutputOptions,
    page: Page<'_>,
    row: impl Fn(PersonRow, &Person) -> R,
) -> ToolOutput<PersonsPage<R>> {
    let people = page.persons;
    let truncated = truncate_rows(limits, people, |person, sanitizer| {
        let shown = PersonRow::new(person, page.select, LISTED_DISTINCT_IDS, sanitizer);
        row(shown, person)
    });
    let shown = truncated.rows.len();
    let mut notes = page.notes;
    if truncated.bare && shown > 0 {
        notes.push(
            "Property values are left out: even one person's were over the budget. Select fewer."
                .to_owned(),
        );
    } else if truncated.shortened > 0 {
        notes.push("Long values are shortened, marked with …; persons-retrieve with select shows one at length.".to_owned());
    }
    let cut = shown < people.len();
    let next_offset = if cut {
        notes.push(format!(
            "Only {shown} of {} persons fit into the answer; select fewer properties or ask for fewer persons.",
            people.len()
        ));
        Some(
            page.offset
                .saturating_add(u32::try_from(shown).unwrap_or(u32::MAX)),
        )
    } else {
        page.has_next
            .then(|| page.offset.saturating_add(page.limit))
    };
    let gone = (page.limit as usize).saturating_sub(people.len());
    if page.has_next && gone > 0 {
        notes.push(format!(
            "PostHog left out {gone} of this page, gone since; the offset counts them."
        ));
    }
    if let Some(next) = next_offset {
        notes.push(format!(
            "There may be more: call {} with the same arguments and offset {next}.",
            page.tool
        ));
    }
    let head = match (shown, page.count) {
        (0, _) if page.has_next => "No person on this page any more\n".to_owned(),
        (0, _) if page.offset == 0 => "No person matches\n".to_owned(),
        (0, _) => "No more persons\n".to_owned(),
        (1, None) => "1 person\n".to_owned(),
        (_, None) => format!("{shown} persons\n"),
        (_, Some(count)) => format!("{shown} of {count} persons\n"),
    };
    truncated.into_output(&head, notes, |results, notes| PersonsPage {
        results,
        next_offset,
        notes,
    })
}

/// Appends the notes, a line each.
pub fn write_notes(text: &mut String, notes: &[String]) {
    for note in notes {
        text.push_str(note);
        text.push('\n');
    }
}

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

/// Makes the answer of a tool that shows one person, all of whose distinct ids are known.
#[must_use]
pub fn person_card(
    limits: &OutputOptions,
    person: &Person,
    url: &str,
    select: &Select,
    notes: &[String],
) -> ToolOutput<PersonCard> {
    let person = &*limits.redaction.person(person);
    let [mut size, smaller @ ..] = CARD_SIZES;
    if matches!(select, Select::Keys(_)) {
        // Whoever names a property wants it whole; who asks for all wants to know what there is.
        size.value = limits.bytes;
    }
    for next in smaller {
        let answer = card(limits, person, url, select, notes, size);
        if fits(limits, &answer) {
            return answer;
        }
        size = next;
    }
    card(limits, person, url, select, notes, size)
}

fn card(
    limits: &OutputOptions,
    person: &Person,
    url: &str,
    select: &Select,
    notes: &[String],
    size: CardSize,
) -> ToolOutput<PersonCard> {
    let sanitizer = Sanitizer::new(limits.redaction.clone(), size.value, size.name);
    let ids = &person.distinct_ids;
    let properties = select.properties(person, &sanitizer);
    let entries = person.properties.entries();
    let other_property_names: Vec<&str> = entries
        .map(|(key, _)| key)
        .filter(|key| sanitizer.values_omitted() || !select.shows(key))
        .collect();
    let mut notes = notes.to_vec();
    if sanitizer.values_omitted() {
        notes.push(
            "Property values are left out: they are over the budget. Select fewer.".to_owned(),
        );
    } else if sanitizer.shortened() > 0 {
        let alone = matches!(select, Select::Keys(keys) if keys.len() == 1);
        notes.push(format!(
            "Long values are shortened, marked with …; {}.",
            if alone {
                "an answer cannot be longer (--max-result-bytes)"
            } else {
                "select one alone to see more of it"
            }
        ));
    }
    let card = PersonCard {
        uuid: person.uuid.clone(),
        name: sanitizer.display(&person.name),
        url: url.to_owned(),
        properties,
        other_properties: other_property_names
            .iter()
            .take(size.other_property_names)
            .map(|key| sanitizer.name(key))
            .collect(),
        other_property_count: (!other_property_names.is_empty())
            .then_some(other_property_names.len()),
        distinct_ids: names(ids, size.distinct_ids, &sanitizer),
        distinct_id_count: ids.len(),
        created_at: person.created_at.clone(),
        last_seen_at: person.last_seen_at.clone(),
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
        // Indented, so that no property can pass for a line of ours.
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
        text.push_str("\nselect names those to show, select [\"*\"] shows all\n");
    }
    write_notes(&mut text, &card.notes);
    text
}
