//! `persons-properties-at-time-retrieve`: a person's properties as they were.

use schemars::JsonSchema;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use crate::output::{
    self, Card, ChangedProperty, DistinctIdPage, OutputOptions, PersonCard, ToolOutput, compare,
    person_card,
};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{DistinctId, PersonUuid, Select, Timestamp, select};
use crate::tools::support::known_person::limits_knowing;
use crate::tools::support::resolve_person::person_of;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{
    Person, PersonId, PropertiesAtTimeQuery, PropertiesAtTimeSubject, RequiredScopes,
};

pub(super) struct PersonsPropertiesAtTimeRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Exact distinct id, such as "user_123". Give this or `person_id`.
    distinct_id: Option<DistinctId>,
    /// Person UUID. Give this or `distinct_id`.
    person_id: Option<PersonUuid>,
    /// Point in time in ISO 8601, at most 2 years ago, such as 2026-01-31T12:00:00Z.
    timestamp: Timestamp,
    /// Compare with a point in time such as 2026-02-28, or with "now": show only what differs.
    compare_to: Option<Moment>,
    /// Include properties that were set with $set_once.
    #[serde(default)]
    include_set_once: bool,
    /// As in persons-list.
    select: Option<Select>,
}

#[derive(Debug, JsonSchema)]
#[schemars(inline, transparent)]
struct Moment(#[schemars(with = "String")] Option<Timestamp>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().eq_ignore_ascii_case("now") {
            return Ok(Self(None));
        }
        Timestamp::deserialize(text.into_deserializer()).map(|time| Self(Some(time)))
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    // Without `compare_to`.
    #[serde(flatten)]
    card: Option<PersonCard>,
    // With `compare_to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<Differences>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Differences {
    person_uuid: String,
    changed: Vec<ChangedProperty>,
    changed_count: usize,
    same_count: usize,
    notes: Vec<String>,
}

impl Tool for PersonsPropertiesAtTimeRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-properties-at-time-retrieve";
    const TITLE: &'static str = "Person properties at a point in time";
    const DESCRIPTION: &'static str = "Get the properties of a person as they were at a point in time (the profile in the past, such as last month), \
         rebuilt from events. With compare_to it shows only what changed between two points in time.";
    const SEARCH_HINT: &'static str = "what a user or customer profile looked like in the past, at a date, before a \
         change, last month; old value of a property";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const EXAMPLE: &'static str =
        r#"{"person_id": "ada0ada0-1815-4852-8000-000000000101", "timestamp": "2026-06-01"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let subject = match (input.distinct_id, input.person_id) {
            // As results show it: PostHog knows only the literal one.
            (Some(id), None) if output::unescape(&id.0).is_some() => {
                PropertiesAtTimeSubject::Person(person_of(context, &id.0).await?.uuid)
            }
            (Some(id), None) => PropertiesAtTimeSubject::DistinctId(id.0),
            (None, Some(uuid)) => PropertiesAtTimeSubject::Person(uuid.0),
            _ => {
                return Err(ToolError::invalid_input(
                    "Give exactly one of `distinct_id` and `person_id` (the person's UUID).",
                ));
            }
        };
        let select = select(input.select);
        let read = async |timestamp: &Timestamp| {
            let query = PropertiesAtTimeQuery {
                subject: subject.clone(),
                timestamp: timestamp.0.clone(),
                include_set_once: input.include_set_once,
            };
            context.posthog.properties_at_time(&query).await
        };
        let person = read(&input.timestamp).await?;
        let timestamp = &input.timestamp.0;
        let id = PersonId::from(person.uuid);
        let limits = limits_knowing(context, &id).await?;
        if let Some(moment) = &input.compare_to {
            let (other, time) = match moment {
                Moment(None) => (context.posthog.person(&id).await?, "now"),
                Moment(Some(other)) => (read(other).await?, other.0.as_str()),
            };
            return Ok(differences(&limits, (&person, timestamp), (&other, time), &select).into());
        }
        let url = context.posthog.person_url(person.uuid).await?;
        let mut notes = vec![format!(
            "Properties as of {timestamp}, rebuilt from events; distinct ids and dates are today's."
        )];
        if person.properties.entries().next().is_none() {
            notes.push(
                "No event until then set a property: give a later timestamp. persons-properties-timeline-retrieve shows when each was set."
                    .to_owned(),
            );
        }
        let card = Card {
            person: &person,
            url: &url,
            select: &select,
            distinct_ids: &DistinctIdPage::default(),
            notes: &notes,
        };
        let card = person_card(&limits, &card);
        Ok(ToolOutput {
            structured: Output {
                card: Some(card.structured),
                comparison: None,
            },
            text: card.text,
        }
        .into())
    }
}

fn differences(
    limits: &OutputOptions,
    (before, from): (&Person, &str),
    (after, to): (&Person, &str),
    select: &output::Select,
) -> ToolOutput<Output> {
    let comparison = compare(limits, before, after, select);
    let (changed, same) = (comparison.changed_count, comparison.same_count);
    let shown = comparison.changed.rows.len();
    let mut notes = vec![format!(
        "Properties at {from} (before) and {to} (after), as far as they can be rebuilt from events. An empty cell is not set."
    )];
    if shown < changed {
        notes.push(format!(
            "Only {shown} of {changed} properties that differ fit into the result; select some of them."
        ));
    }
    if comparison.changed.truncated_values > 0 {
        notes.push(
            "Long values are truncated and end with …; persons-retrieve with select shows more of one."
                .to_owned(),
        );
    }
    let differ = match changed {
        1 => "1 property differs".to_owned(),
        _ => format!("{changed} properties differ"),
    };
    let head = format!("person {}: {differ}, {same} the same\n", before.uuid);
    let person_uuid = before.uuid.to_string();
    comparison
        .changed
        .into_output(&head, notes, |rows, notes| Output {
            card: None,
            comparison: Some(Differences {
                person_uuid,
                changed: rows,
                changed_count: changed,
                same_count: same,
                notes,
            }),
        })
}
