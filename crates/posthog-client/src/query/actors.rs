//! The persons of an insight, as rows of an actors query.
//!
//! Only the object of the person is selected: with a column of the persons' table PostHog leaves out persons who are not in
//! that table.

use std::collections::HashMap;
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::insight::{
    Breakdown, FunnelActors, InsightBase, LifecycleStatus, StickinessOperator, insight_actors,
    node, set,
};
use super::journey::{PathNode, PathType, Retention};
use crate::client::Client;
use crate::error::Error;
use crate::person::{Person, null_as_default};
use crate::properties::Properties;
use crate::untrusted::Untrusted;

/// A page of the persons of an insight.
#[derive(Debug)]
pub struct ActorsQuery {
    /// The insight and the place in it.
    pub source: ActorsSource,
    /// Part of an e-mail, a name, a UUID or a distinct id.
    pub search: Option<String>,
    /// Persons per page.
    pub limit: u32,
    /// Persons to skip.
    pub offset: u32,
}

/// The persons that an insight consists of.
#[derive(Debug)]
pub enum ActorsSource {
    /// Of a step of a funnel.
    Funnel(FunnelActors),
    /// Of a trend, over its whole range.
    Trend {
        /// The series, the range and the filters.
        base: InsightBase,
        /// The breakdown, and the value whose persons are listed.
        breakdown: Option<(Breakdown, String)>,
    },
    /// In a stage of their lifecycle.
    Lifecycle {
        /// The series and the filters. The range covers the period and the one before.
        base: InsightBase,
        /// A date or, in hours and minutes, a time in the period.
        day: String,
        /// The stage.
        status: LifecycleStatus,
    },
    /// Active in a number of periods.
    Stickiness {
        /// The series, the range and the filters.
        base: InsightBase,
        /// The number of periods.
        periods: u32,
        /// How it is compared.
        operator: StickinessOperator,
    },
    /// Who came back.
    Retention(Retention),
    /// At a place on a path.
    Path {
        /// The range and the filters.
        base: InsightBase,
        /// What paths consist of.
        kind: PathType,
        /// Where paths begin.
        start: Option<String>,
        /// The place.
        place: PathNode,
    },
}

impl ActorsQuery {
    pub(super) fn node(&self) -> Value {
        let (source, column, order): (_, Option<&str>, &[&str]) = match &self.source {
            ActorsSource::Funnel(funnel) => (funnel.node(), None, &[]),
            ActorsSource::Trend { base, breakdown } => {
                let mut trend = node("TrendsQuery", base);
                // The whole range counts, not one period of it.
                set(
                    &mut trend,
                    "trendsFilter",
                    Some(json!({ "display": "BoldNumber" })),
                );
                let (by, value) = breakdown.as_ref().map(|(by, value)| (by, value)).unzip();
                set(&mut trend, "breakdownFilter", by);
                let mut actors = insight_actors(trend);
                set(&mut actors, "breakdown", value);
                (actors, Some("event_count"), &BY_COUNT)
            }
            ActorsSource::Lifecycle { base, day, status } => {
                let mut actors = insight_actors(node("LifecycleQuery", base));
                set(&mut actors, "day", Some(day));
                set(&mut actors, "status", Some(status));
                (actors, None, &[])
            }
            ActorsSource::Stickiness {
                base,
                periods,
                operator,
            } => {
                let mut actors = insight_actors(node("StickinessQuery", base));
                set(&mut actors, "day", Some(periods));
                if *operator != StickinessOperator::Exact {
                    set(&mut actors, "kind", Some("StickinessActorsQuery"));
                    set(&mut actors, "operator", Some(operator));
                }
                (actors, None, &[])
            }
            ActorsSource::Retention(retention) => (
                retention.node(),
                Some("appearances"),
                &["length(appearances) DESC", "actor_id"],
            ),
            ActorsSource::Path {
                base,
                kind,
                start,
                place,
            } => (
                place.node(base, *kind, start.as_deref()),
                Some("event_count"),
                &BY_COUNT,
            ),
        };
        let select: Vec<&str> = std::iter::once("person").chain(column).collect();
        let mut actors = json!({
            "kind": "ActorsQuery",
            "source": source,
            "select": select,
            "limit": self.limit,
            "offset": self.offset,
        });
        // Without an order PostHog sorts by the first column, the person.
        set(
            &mut actors,
            "orderBy",
            Some(order).filter(|order| !order.is_empty()),
        );
        set(&mut actors, "search", self.search.as_ref());
        actors
    }
}

const BY_COUNT: [&str; 2] = ["event_count DESC", "actor_id DESC"];

/// One page of the persons of an insight.
#[derive(Debug, Default)]
pub struct ActorPage {
    /// The persons, in the insight's order.
    pub people: Vec<Person>,
    /// Whether there is a next page.
    pub has_next: bool,
    /// Persons that the insight counts and that were deleted.
    pub missing_persons: u64,
    /// Of a retention: the periods in which each person was active, from 0.
    pub active_periods: HashMap<Uuid, Vec<u64>>,
}

/// A person as an actors query has it. One that only the analytics store has consists of its id.
#[derive(Deserialize)]
struct ActorPerson {
    id: Uuid,
    #[serde(default)]
    properties: Option<Properties>,
    #[serde(default)]
    created_at: Option<Untrusted<String>>,
    #[serde(default, deserialize_with = "null_as_default")]
    distinct_ids: Vec<Untrusted<String>>,
}

/// One row: the person, and what the second column has, if one was selected. PostHog appends columns of its own.
struct ActorRow {
    person: ActorPerson,
    detail: Value,
}

impl<'de> Deserialize<'de> for ActorRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = ActorRow;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a row that begins with a person")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<ActorRow, A::Error> {
                let person = row
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                let detail = row.next_element()?.unwrap_or_default();
                while row.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ActorRow { person, detail })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}

impl Client {
    /// The persons of an insight.
    pub async fn actors(&self, query: &ActorsQuery) -> Result<ActorPage, Error> {
        let mut response = self.query::<ActorRow>(query.node()).await?;
        let cut = response.cut_to(query.limit);
        let mut page = ActorPage {
            has_next: cut || response.has_more.unwrap_or(false),
            missing_persons: response.missing_actors.unwrap_or_default(),
            ..ActorPage::default()
        };
        for row in response.results {
            let Some(properties) = row.person.properties else {
                continue;
            };
            let mut distinct_ids = row.person.distinct_ids;
            distinct_ids.sort_by_key(looks_anonymous);
            let mut person = Person {
                uuid: row.person.id,
                name: display_name(&properties, &distinct_ids),
                distinct_ids,
                properties,
                created_at: row.person.created_at,
                last_seen_at: None,
                value_at_data_point: None,
            };
            match row.detail {
                Value::Number(count) => person.value_at_data_point = Some(count),
                Value::Array(periods) => {
                    let periods = periods.iter().filter_map(Value::as_u64);
                    page.active_periods.insert(person.uuid, periods.collect());
                }
                _ => {}
            }
            page.people.push(person);
        }
        Ok(page)
    }
}

/// Whether PostHog takes a distinct id for that of an anonymous visitor, which other endpoints send last: five groups of
/// lower-case letters and digits.
fn looks_anonymous(id: &Untrusted<String>) -> bool {
    let group = |group: &str| {
        let mut bytes = group.bytes();
        !group.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let id = id.expose_untrusted();
    id.split('-').count() == 5 && id.split('-').all(group)
}

/// The name that PostHog displays unless the project has chosen other properties: the first of these properties, else the
/// first distinct id.
fn display_name(properties: &Properties, ids: &[Untrusted<String>]) -> Untrusted<Value> {
    const DISPLAYED: [&str; 3] = ["email", "name", "username"];
    let value = |wanted: &str| {
        let mut entries = properties.entries();
        let (_, json) = entries.find(|(key, _)| *key == *wanted)?;
        let value = Properties::value(json);
        let shown = match value.expose_untrusted() {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        };
        shown.then_some(value)
    };
    DISPLAYED
        .iter()
        .find_map(|key| value(key))
        .or_else(|| Some(ids.first()?.clone().map(Value::from)))
        .unwrap_or_default()
}
