//! `persons-properties-timeline-retrieve`: when properties of a person changed.

use std::collections::HashSet;

use chrono::Utc;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::{Cells, Row, Sanitizer, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, AnyFilter, Date, DistinctId, Event, Id, NonEmptyString, distinct, list, subject,
};
use crate::tools::support::insight_page::{ACCESS, arguments_of};
use crate::tools::support::known_person::KnownPerson;
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    BreakdownType, ChangeSource, EventSource, Filter, Interval, PropertyChange,
    PropertyChangesQuery, RequiredScopes, TimeRange, Untrusted,
};

/// The range, where no start is given.
const DEFAULT_DAYS: u32 = 365;
/// Changes that PostHog computes at most.
const MAX_CHANGES: u32 = 1000;

pub(super) struct PersonsPropertiesTimelineRetrieve;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text.
    #[serde(skip_serializing)]
    id: Option<Id>,
    /// Any distinct id of the person, such as "ada@example.com"; in place of `id`.
    #[serde(skip_serializing)]
    distinct_id: Option<DistinctId>,
    /// Property names, such as ["plan"]. Default: all properties that changed, which is slower.
    #[serde(default, skip_serializing, deserialize_with = "list")]
    keys: Vec<NonEmptyString>,
    /// Start in UTC: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -90d. Default: a year before the end.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    // Arguments of the earlier endpoint, which follows the person properties that they name. Still accepted.
    interval: Option<Interval>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    events: Vec<Event>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    actions: Vec<Action>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list"
    )]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
    breakdown: Option<NonEmptyString>,
    breakdown_type: Option<BreakdownType>,
}

impl Input {
    /// The properties that any of the arguments name.
    fn named(&self) -> Vec<String> {
        let keys = self.keys.iter().map(|key| key.0.as_str());
        let filters = self.properties.iter().filter_map(Filter::person_property);
        let events = self.events.iter().flat_map(Event::person_properties);
        let of_person = matches!(self.breakdown_type, None | Some(BreakdownType::Person));
        let breakdown = self.breakdown.as_ref().filter(|_| of_person);
        let breakdown = breakdown.map(|key| key.0.as_str());
        let named = keys.chain(filters).chain(events).chain(breakdown);
        distinct(named.map(str::to_owned))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    person_uuid: String,
    // Oldest first.
    changes: Vec<ChangeRow>,
    date_from: String,
    // The first moment after the range.
    date_until: String,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangeRow {
    // The event that shows the change.
    timestamp: String,
    property: String,
    // Absent if the property was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    // Absent if the property was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    known_from: String,
}

impl Row for ChangeRow {
    fn header(_: &[Self]) -> Vec<String> {
        [
            "timestamp",
            "property",
            "before",
            "after",
            "event",
            "known_from",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.timestamp);
        cells.text(&self.property);
        for value in [&self.before, &self.after] {
            match value {
                Some(value) => cells.value(value),
                None => cells.empty(),
            }
        }
        cells.optional(self.event.as_deref());
        cells.text(&self.known_from);
    }
}

impl Tool for PersonsPropertiesTimelineRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-properties-timeline-retrieve";
    const TITLE: &'static str = "Person property timeline";
    const DESCRIPTION: &'static str = "Show when properties of a person changed, with the old and the new value of each change: those in \
         `keys`, or all that changed. For all properties at one moment use persons-properties-at-time-retrieve.";
    const SEARCH_HINT: &'static str = "when did a property of a user or customer change, such as plan or email; \
         history of an attribute";
    const UNLISTED: &'static [&'static str] = &[
        "actions",
        "breakdown",
        "breakdown_type",
        "events",
        "interval",
        "properties",
    ];
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = ACCESS;
    const EXAMPLE: &'static str = r#"{"id": "ada0ada0-1815-4852-8000-000000000101", "keys": ["plan"], "date_from": "2026-03-01", "date_to": "2026-11-02"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let date = |date: &Option<Date>| date.as_ref().map(|date| date.0.clone());
        let (from, to) = (date(&input.date_from), date(&input.date_to));
        let range = TimeRange::resolve(from.as_deref(), to.as_deref(), DEFAULT_DAYS, Utc::now());
        let range = range.ok_or_else(|| {
            ToolError::invalid_input("`date_from` must be a moment before `date_to`.")
        })?;
        let keys = input.named();
        let arguments = arguments_of(&Input {
            properties: keys.iter().cloned().map(Filter::is_set).collect(),
            id: None,
            distinct_id: None,
            keys: Vec::new(),
            date_from: input.date_from,
            date_to: input.date_to,
            breakdown: None,
            breakdown_type: None,
            ..input
        })?;
        let person = uuid_of(context, &subject(input.id, input.distinct_id)?).await?;
        let known = KnownPerson::read(context, &EventSource::Person(person)).await?;
        let query = PropertyChangesQuery {
            person,
            keys,
            range,
            limit: MAX_CHANGES,
        };
        let found = context.posthog.property_history(&query, &arguments);
        let found = found.await.map_err(|error| {
            ToolError::from(error).with_alternative(
                "Use persons-properties-at-time-retrieve for two or more moments and compare, and \
                 persons-activity-retrieve for who changed what.",
            )
        })?;
        let changes = if query.keys.is_empty() {
            only_changed(found.changes)
        } else {
            found.changes
        };
        let values = changes.iter().flat_map(|change| {
            let values = change.before.iter().chain(&change.after);
            values.map(|value| (&change.key, value))
        });
        let known = known.and_at_other_times(context.limits.redaction.terms_of_values(values));
        let truncated = truncate_rows(&context.limits, &changes, |change, sanitizer| {
            row(change, &known, sanitizer)
        });
        let shown = truncated.rows.len();
        let mut notes = Vec::new();
        if shown < changes.len() || found.is_truncated {
            notes.push(
                "There are more changes; name properties in `keys`, or request a shorter range from the last timestamp on."
                    .to_owned(),
            );
        }
        if shown == 0 && !query.keys.is_empty() {
            notes.push(
                "No event in the range carries any of the properties in `keys`, whose names are case-sensitive: give an earlier date_from, \
                 or leave `keys` out. persons-retrieve shows whether the person exists, and the names of its properties."
                    .to_owned(),
            );
        } else if shown == 0 {
            notes.push(
                "Without events in the range nothing is known of it: give an earlier date_from. persons-retrieve shows whether the \
                 person exists, and the current values."
                    .to_owned(),
            );
        } else {
            notes.push(
                "Read from the person's events: a change is seen at the first event that carries it, changes between two events are \
                 seen as one, and merged or imported values have no event of their own."
                    .to_owned(),
            );
        }
        let head = format!(
            "{shown} changes from {} until {}\n",
            range.from(),
            range.until()
        );
        let output = truncated.into_output(&head, notes, |changes, notes| Output {
            person_uuid: person.to_string(),
            changes,
            date_from: range.from(),
            date_until: range.until(),
            notes,
        });
        Ok(output.into())
    }
}

/// Without the properties of which only the first value is known.
fn only_changed(changes: Vec<PropertyChange>) -> Vec<PropertyChange> {
    let is_change = |change: &&PropertyChange| change.source != ChangeSource::First;
    let changes_of = changes.iter().filter(is_change);
    let changed: HashSet<Untrusted<String>> = changes_of.map(|change| change.key.clone()).collect();
    changes
        .into_iter()
        .filter(|change| changed.contains(&change.key))
        .collect()
}

fn row(change: &PropertyChange, known: &KnownPerson, sanitizer: &Sanitizer) -> ChangeRow {
    let value = |value: &Option<_>| {
        let value = value.as_ref()?;
        Some(known.value(&change.key, value, sanitizer))
    };
    ChangeRow {
        timestamp: sanitizer.timestamp(&change.timestamp),
        property: known.text(&change.key, sanitizer),
        before: value(&change.before),
        after: value(&change.after),
        event: change
            .event
            .as_ref()
            .map(|event| known.text(event, sanitizer)),
        known_from: match &change.source {
            ChangeSource::First => "first event in the range; may be older".to_owned(),
            ChangeSource::Event => "set by this event".to_owned(),
            ChangeSource::Between(Some(since)) => {
                format!("changed after {}", sanitizer.timestamp(since))
            }
            ChangeSource::Between(None) => "first event with this value".to_owned(),
            ChangeSource::Requested => "asked for by this event, not seen on it".to_owned(),
        },
    }
}
