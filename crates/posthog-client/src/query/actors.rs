//! The persons of an insight, as rows of an actors query.
//!
//! `last_seen_at` is a column of the persons' table, so that PostHog leaves out visitors who are not in that table: those
//! without a person profile, who could not be shown anyway.

use std::collections::HashMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::actor::ActorRow;
use super::insight::{
    Breakdown, FunnelActors, InsightBase, LifecycleStatus, StickinessOperator, insight_actors,
    node, set,
};
use super::journey::{PathNode, PathType, Retention};
use super::last_seen::LAST_SEEN;
use crate::client::Client;
use crate::error::Error;
use crate::person::Person;

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
    /// The query. The column `last_seen_at` shows when the persons were last seen, if PostHog has it.
    pub(super) fn node(&self, has_last_seen: bool) -> Value {
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
        let last_seen = has_last_seen.then_some(LAST_SEEN);
        let select: Vec<&str> = [Some("person"), column, last_seen]
            .into_iter()
            .flatten()
            .collect();
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

impl Client {
    /// The persons of an insight.
    pub async fn actors(&self, query: &ActorsQuery) -> Result<ActorPage, Error> {
        let (mut response, _) = self
            .query_with_last_seen::<ActorRow>(|has_last_seen| query.node(has_last_seen), None)
            .await?;
        let cut = response.cut_to(query.limit);
        let mut page = ActorPage {
            has_next: cut || response.has_more.unwrap_or(false),
            missing_persons: response.missing_actors.unwrap_or_default(),
            ..ActorPage::default()
        };
        for row in response.results {
            let Some((mut person, cells)) = row.into_person() else {
                continue;
            };
            for cell in cells {
                match cell {
                    Value::Number(count) => person.value_at_data_point = Some(count),
                    Value::Array(periods) => {
                        let periods = periods.iter().filter_map(Value::as_u64);
                        page.active_periods.insert(person.uuid, periods.collect());
                    }
                    Value::String(time) => person.last_seen_at = Some(time.into()),
                    _ => {}
                }
            }
            page.people.push(person);
        }
        Ok(page)
    }
}
