//! `persons-events-list`: what a person did, event by event or counted.

use std::collections::BTreeMap;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::{Cells, Row, ToolOutput, quoted, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Cursor, Date, DistinctId, Id, Limit, NonEmptyString, Subject, blanks_count, distinct, list,
    subject,
};
use crate::tools::support::insight_page::ACCESS;
use crate::tools::support::known_person::KnownPerson;
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    Event, EventCounts, EventCursor, EventPage, EventSource, EventsQuery, RequiredScopes,
    TimeRange, Untrusted,
};

/// The range, where no start is given.
const DEFAULT_DAYS: u32 = 30;
/// Names of events in a summary.
const MAX_NAMES: u32 = 200;
/// Selected properties at most: each is a column of the query.
const MAX_SELECTED: usize = 20;
const NOTHING_FOUND: &str =
    "Give an earlier date_from; persons-retrieve shows whether the person exists.";
const NOTHING_NAMED: &str = "Names of events are case-sensitive: without `events`, `summary` lists those of the person. Or give an earlier \
     date_from; persons-retrieve shows whether the person exists.";
const DEFAULT_SELECTED: &str = "$current_url";

pub(super) struct PersonsEventsList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text.
    id: Option<Id>,
    /// Any distinct id of the person, such as "ada@example.com"; in place of `id`.
    distinct_id: Option<DistinctId>,
    /// Event names, such as ["sign up", "$pageview"]. Default: all events.
    #[serde(default, deserialize_with = "list")]
    events: Vec<NonEmptyString>,
    /// Start in UTC: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -90d. Default: 30 days before the end.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// Event properties to show, up to 20, such as ["$current_url", "amount"]. Default: $current_url.
    select: Option<Vec<NonEmptyString>>,
    /// Show the number of events of each name, the first and the last, in place of the events.
    #[serde(default)]
    summary: bool,
    /// Number of events per page.
    #[serde(default)]
    limit: Limit,
    /// Where the page begins, such as "2026-01-31T12:00:00Z_0190…": `next_cursor` of the previous page.
    cursor: Option<Cursor>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    // Absent where no person has the distinct id.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_uuid: Option<String>,
    // Newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<EventRow>,
    // With `summary`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    counts: Vec<CountRow>,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    date_from: String,
    // The first moment after the range.
    date_until: String,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EventRow {
    timestamp: String,
    event: String,
    distinct_id: String,
    properties: BTreeMap<String, Value>,
    #[serde(skip)]
    #[schemars(skip)]
    columns: Vec<String>,
}

impl Row for EventRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let mut header = ["timestamp", "event", "distinct_id"]
            .map(str::to_owned)
            .to_vec();
        let columns = rows
            .first()
            .map(|row| row.columns.clone())
            .unwrap_or_default();
        header.extend(
            columns
                .into_iter()
                .filter(|column| rows.iter().any(|row| row.properties.contains_key(column))),
        );
        header
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.timestamp);
        cells.text(&self.event);
        cells.text(&self.distinct_id);
        for column in header.iter().skip(3) {
            match self.properties.get(column) {
                Some(value) => cells.value(value),
                None => cells.empty(),
            }
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct CountRow {
    event: String,
    count: u64,
    first: String,
    last: String,
}

impl Row for CountRow {
    fn header(_: &[Self]) -> Vec<String> {
        ["event", "count", "first", "last"]
            .map(str::to_owned)
            .to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.event);
        cells.number(self.count);
        cells.text(&self.first);
        cells.text(&self.last);
    }
}

impl Tool for PersonsEventsList {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-events-list";
    const TITLE: &'static str = "List a person's events";
    const DESCRIPTION: &'static str = "List what a user did: the events of a person, newest first, with chosen properties, or with `summary` \
         how often each happened, first and last. Always within a range, 30 days by default.";
    const SEARCH_HINT: &'static str = "what did a user or customer do; activity, visits, purchases, events of a person; \
         last seen, how often";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "date_from": "2026-10-01", "date_to": "2026-11-02"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let is_selected = input.select.is_some();
        let select = match input.select {
            None => vec![DEFAULT_SELECTED.to_owned()],
            Some(keys) => distinct(keys.into_iter().map(|key| key.0)),
        };
        if select.len() > MAX_SELECTED {
            return Err(ToolError::invalid_input(format!(
                "`select` has {} names; at most {MAX_SELECTED} properties can be shown.",
                select.len()
            )));
        }
        if select.iter().any(|key| key == "*") {
            return Err(ToolError::invalid_input(format!(
                "`select` has \"*\", which only properties of persons can be selected by: name up to {MAX_SELECTED} event properties."
            )));
        }
        let date = |date: &Option<Date>| date.as_ref().map(|date| date.0.clone());
        let (from, to) = (date(&input.date_from), date(&input.date_to));
        let range = TimeRange::resolve(from.as_deref(), to.as_deref(), DEFAULT_DAYS, Utc::now());
        let range = range.ok_or_else(|| {
            ToolError::invalid_input("`date_from` must be a moment before `date_to`.")
        })?;
        let subject = subject(input.id, input.distinct_id)?;
        let (source, mut notes) = source(context, subject).await?;
        let known = KnownPerson::read(context, &source).await?;
        let person = match &source {
            EventSource::Person(uuid) => Some(uuid.to_string()),
            EventSource::DistinctId(_) => None,
        };
        let query = EventsQuery {
            source,
            names: distinct(input.events.into_iter().map(|name| name.0)),
            range,
        };
        if from.is_none() {
            notes.push(format!(
                "Only events since {}; give date_from for older ones.",
                range.from()
            ));
        }
        let nothing = if query.names.is_empty() {
            NOTHING_FOUND
        } else {
            NOTHING_NAMED
        };
        let posthog = &context.posthog;
        if input.summary {
            let counts = posthog.event_counts(&query, MAX_NAMES).await?;
            if counts.counts.is_empty() {
                notes.push(nothing.to_owned());
            }
            let summary = summary(context, &counts, &known, range, notes);
            return Ok(Output::of(person, summary).into());
        }
        let after = input.cursor.map(|cursor| cursor.0);
        let page = posthog.events(&query, &select, input.limit.0, after.as_ref());
        let page = page.await?;
        if page.events.is_empty() {
            notes.push(nothing.to_owned());
        } else if is_selected {
            notes.extend(never_set(context, &page, &select));
        }
        let events = events(context, &page, &select, &known, range, notes);
        Ok(Output::of(person, events).into())
    }
}

impl Output {
    fn of(person_uuid: Option<String>, mut output: ToolOutput<Self>) -> ToolOutput<Self> {
        output.structured.person_uuid = person_uuid;
        output
    }
}

/// Whose events, with a note where a distinct id has no person.
async fn source(
    context: &Context,
    subject: Subject,
) -> Result<(EventSource, Vec<String>), ToolError> {
    match (uuid_of(context, &subject).await, subject) {
        (Ok(uuid), _) => Ok((EventSource::Person(uuid), Vec::new())),
        (Err(error), Subject::DistinctId(id)) if error.is_not_found() => {
            let mut notes = vec![
                "No person has this distinct id: these are the events that were sent with it, without a profile or before a deletion."
                    .to_owned(),
            ];
            notes.extend(blanks_count(&id).map(str::to_owned));
            Ok((EventSource::DistinctId(id), notes))
        }
        (Err(error), _) => Err(error),
    }
}

/// The selected properties that no event of the page has.
fn never_set(context: &Context, page: &EventPage, select: &[String]) -> Option<String> {
    let sanitizer = context.limits.sanitizer();
    let is_set = |column: usize| {
        let mut values = page.events.iter().map(|event| event.properties.get(column));
        values.any(|value| value.is_some_and(Option::is_some))
    };
    let absent = select
        .iter()
        .enumerate()
        .filter(|(column, _)| !is_set(*column));
    let absent: Vec<String> = absent
        .map(|(_, key)| quoted(&sanitizer.given_identifier(key)))
        .collect();
    (!absent.is_empty()).then(|| {
        format!(
            "No event here has {}. Property names are case-sensitive.",
            absent.join(", ")
        )
    })
}

fn events(
    context: &Context,
    page: &EventPage,
    select: &[String],
    known: &KnownPerson,
    range: TimeRange,
    mut notes: Vec<String>,
) -> ToolOutput<Output> {
    let truncated = truncate_rows(&context.limits, &page.events, |event: &Event, sanitizer| {
        let columns: Vec<String> = select.iter().map(|key| sanitizer.argument(key)).collect();
        let properties = columns.iter().zip(select).zip(&event.properties);
        EventRow {
            timestamp: sanitizer.timestamp(&event.timestamp),
            event: known.text(&event.name, sanitizer),
            distinct_id: known.distinct_id(&event.distinct_id, sanitizer),
            properties: properties
                .filter_map(|((column, key), value)| {
                    let value = known.value(&Untrusted::from(key), value.as_ref()?, sanitizer);
                    Some((column.clone(), value))
                })
                .collect(),
            columns,
        }
    });
    let shown = truncated.rows.len();
    let cut = shown < page.events.len();
    let sanitizer = context.limits.sanitizer();
    let next = if cut {
        let last = shown.checked_sub(1).and_then(|last| page.events.get(last));
        last.and_then(EventCursor::after)
    } else {
        page.next.clone()
    };
    let next_cursor = next.map(|cursor| sanitizer.argument(&cursor.to_string()));
    if truncated.truncated_values > 0 {
        notes.push(
            "Long values are truncated and end with …; select fewer properties to see more of one."
                .to_owned(),
        );
    }
    if let Some(cursor) = &next_cursor {
        notes.push(format!(
            "There are more: call {} with the same arguments and cursor {cursor}.",
            PersonsEventsList::NAME
        ));
    }
    let head = match shown {
        0 => "No event in this range\n".to_owned(),
        1 => "1 event\n".to_owned(),
        _ => format!("{shown} events, newest first\n"),
    };
    truncated.into_output(&head, notes, |results, notes| Output {
        person_uuid: None,
        results,
        counts: Vec::new(),
        next_cursor,
        date_from: range.from(),
        date_until: range.until(),
        notes,
    })
}

fn summary(
    context: &Context,
    counts: &EventCounts,
    known: &KnownPerson,
    range: TimeRange,
    mut notes: Vec<String>,
) -> ToolOutput<Output> {
    let truncated = truncate_rows(&context.limits, &counts.counts, |count, sanitizer| {
        CountRow {
            event: known.text(&count.name, sanitizer),
            count: count.count,
            first: sanitizer.timestamp(&count.first),
            last: sanitizer.timestamp(&count.last),
        }
    });
    if counts.has_more || truncated.rows.len() < counts.counts.len() {
        notes.push(
            "There are more names of events; the most frequent are shown. Name others in `events`."
                .to_owned(),
        );
    }
    let head = match truncated.rows.len() {
        0 => "No event in this range\n".to_owned(),
        _ => {
            let all: u64 = counts.counts.iter().map(|count| count.count).sum();
            format!("{all} events since {}\n", range.from())
        }
    };
    truncated.into_output(&head, notes, |counts, notes| Output {
        person_uuid: None,
        results: Vec::new(),
        counts,
        next_cursor: None,
        date_from: range.from(),
        date_until: range.until(),
        notes,
    })
}
