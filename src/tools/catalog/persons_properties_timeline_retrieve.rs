//! `persons-properties-timeline-retrieve`: how the properties that an insight depends on changed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::output::{Cells, Row, truncate_rows, write_list};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{
    Action, AnyFilter, BreakdownType, Date, Event, Id, Interval, NonEmptyString,
};
use crate::tools::support::insight_page::arguments_of;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Filter, Properties, RequiredScopes};

pub(super) struct PersonsPropertiesTimelineRetrieve;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text.
    #[serde(skip_serializing)]
    id: Id,
    /// Start: 2026-01-31, 2026-01-31T12:00:00Z, or relative such as -30d. Default: -7d.
    date_from: Option<Date>,
    /// End, in the same formats; a date includes its whole day. Default: now.
    date_to: Option<Date>,
    /// Length of a period. Default: day.
    interval: Option<Interval>,
    /// Events whose filters name person properties to follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    /// Actions to count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    /// Property filters, as in persons-list, such as [{"key": "plan", "value": "pro"}]; the person properties in them are followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<AnyFilter>")]
    properties: Vec<Filter>,
    /// Person property to follow, such as "plan".
    breakdown: Option<NonEmptyString>,
    /// Kind of the breakdown. Default: event.
    breakdown_type: Option<BreakdownType>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    points: Vec<PointRow>,
    // The properties followed.
    crucial_property_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_date_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_date_to: Option<String>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PointRow {
    timestamp: String,
    relevant_event_count: u64,
    properties: BTreeMap<String, Value>,
}

impl Row for PointRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let keys: std::collections::BTreeSet<_> = rows
            .iter()
            .flat_map(|row| row.properties.keys().cloned())
            .collect();
        let mut header = vec!["timestamp".to_owned(), "relevant_event_count".to_owned()];
        header.extend(keys);
        header
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.timestamp);
        cells.number(self.relevant_event_count);
        for key in header.iter().skip(2) {
            match self.properties.get(key) {
                Some(value) => cells.value(value),
                None => cells.empty(),
            }
        }
    }
}

impl Tool for PersonsPropertiesTimelineRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-properties-timeline-retrieve";
    const TITLE: &'static str = "Person property timeline";
    const DESCRIPTION: &'static str = "Show when properties of a person changed: those named in `breakdown` or in \
         filters. Works only with an API key without scopes; otherwise compare two results of \
         persons-properties-at-time-retrieve.";
    const SEARCH_HINT: &'static str = "when did a property of a user or customer change, such as plan or email; \
         history of an attribute";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = RequiredScopes::ClosedToScopedKeys;
    const EXAMPLE: &'static str = r#"{"id": "ada0ada0-1815-4852-8000-000000000101"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let timeline = context
            .posthog
            .properties_timeline(&input.id.0, &arguments_of(&input)?)
            .await
            .map_err(|error| {
                ToolError::from(error).with_alternative(
                    "Use persons-properties-at-time-retrieve for two or more moments and compare, and \
                     persons-activity-retrieve for who changed what.",
                )
            })?;
        let truncated = truncate_rows(&context.limits, &timeline.points, |point, sanitizer| {
            PointRow {
                timestamp: sanitizer.timestamp(&point.timestamp),
                relevant_event_count: point.relevant_event_count,
                properties: point
                    .properties
                    .entries()
                    .map(|(key, json)| {
                        let value = sanitizer.property(&key, &Properties::value(json));
                        (sanitizer.text(&key), value)
                    })
                    .collect(),
            }
        });
        let sanitizer = context.limits.sanitizer();
        let keys: Vec<String> = timeline
            .crucial_property_keys
            .iter()
            .map(|key| sanitizer.text(key))
            .collect();
        let mut notes = Vec::new();
        if keys.is_empty() {
            notes.push("No property was followed; name one in properties or breakdown.".to_owned());
        }
        if truncated.rows.len() < timeline.points.len() {
            notes.push(format!(
                "Only {} of {} points fit into the result; request a shorter period, from the last point's timestamp on.",
                truncated.rows.len(),
                timeline.points.len()
            ));
        }
        let date = |date: &Option<_>| date.as_ref().map(|date| sanitizer.timestamp(date));
        let effective_date_from = date(&timeline.effective_date_from);
        let effective_date_to = date(&timeline.effective_date_to);
        let mut head = format!(
            "{} points from {} to {}\nproperties followed: ",
            truncated.rows.len(),
            effective_date_from.as_deref().unwrap_or("?"),
            effective_date_to.as_deref().unwrap_or("?"),
        );
        write_list(&mut head, &keys);
        head.push('\n');
        let output = truncated.into_output(&head, notes, |points, notes| Output {
            points,
            crucial_property_keys: keys,
            effective_date_from,
            effective_date_to,
            notes,
        });
        Ok(output.into())
    }
}
