//! The insights, as nodes of a query.
//!
//! PostHog refuses a node with a field that it does not know, and versions differ in those that they know: only what was
//! asked for is sent.

use chrono::{NaiveDateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::filter::{EventFilter, Filter, FilterType, Operator};
use crate::filter_form;

/// What all insights have in common.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InsightBase {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    series: Vec<Series>,
    date_range: DateRange,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Interval>,
    #[serde(skip_serializing_if = "Value::is_null")]
    properties: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_test_accounts: Option<bool>,
}

// PostHog's default is a week, in the project's time zone.
#[derive(Debug, Clone, Serialize)]
struct DateRange {
    date_from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_to: Option<String>,
}

impl Default for DateRange {
    fn default() -> Self {
        Self {
            date_from: "-7d".to_owned(),
            date_to: None,
        }
    }
}

impl InsightBase {
    /// An insight of these events and actions, in the last seven days.
    #[must_use]
    pub fn new(series: Vec<Series>) -> Self {
        Self {
            series,
            ..Self::default()
        }
    }

    /// Between these dates, as far as they are given: ISO 8601, or relative to now.
    #[must_use]
    pub fn between(mut self, from: Option<String>, to: Option<String>) -> Self {
        if let Some(from) = from {
            self.date_range.date_from = with_seconds(from);
        }
        self.date_range.date_to = to.map(with_seconds);
        self
    }

    /// In periods of this length.
    #[must_use]
    pub fn in_periods_of(mut self, interval: Option<Interval>) -> Self {
        self.interval = interval;
        self
    }

    /// Of events and persons that match these filters.
    #[must_use]
    pub fn matching(mut self, filters: &[Filter]) -> Self {
        self.properties = conditions(filters);
        self
    }

    /// Without the project's internal and test users, if true.
    #[must_use]
    pub fn without_test_accounts(mut self, without: Option<bool>) -> Self {
        self.filter_test_accounts = without.filter(|without| *without);
        self
    }
}

/// A time of the project with its seconds, without which not every version reads it.
fn with_seconds(text: String) -> String {
    match NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M") {
        Ok(time) => time.format("%Y-%m-%dT%H:%M:%S").to_string(),
        Err(_) => text,
    }
}

/// Filters with the operators that the query API requires.
pub(super) fn conditions(filters: &[Filter]) -> Value {
    if filters.is_empty() {
        return Value::Null;
    }
    let filters: Vec<Filter> = filters
        .iter()
        .cloned()
        .map(|mut filter| {
            if filter.kind == FilterType::Cohort && filter.operator == Operator::Exact {
                filter.operator = Operator::In;
            }
            filter
        })
        .collect();
    filter_form::portable(&filters, Utc::now())
}

/// One step of a funnel, or one line of another insight.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind")]
pub enum Series {
    /// An event.
    EventsNode {
        /// The event's name.
        event: String,
        /// Whether it is only the first one.
        #[serde(skip_serializing_if = "Option::is_none")]
        math: Option<FirstTime>,
        /// Filters on it.
        #[serde(skip_serializing_if = "Value::is_null")]
        properties: Value,
    },
    /// An action.
    ActionsNode {
        /// The action's number.
        id: u32,
        /// Whether it is only the first one.
        #[serde(skip_serializing_if = "Option::is_none")]
        math: Option<FirstTime>,
    },
}

impl Series {
    /// An event, counted whenever it occurs.
    #[must_use]
    pub fn event(event: String, filters: &[EventFilter], math: Option<FirstTime>) -> Self {
        let filters: Vec<Filter> = filters.iter().map(|filter| filter.0.clone()).collect();
        Self::EventsNode {
            event,
            math,
            properties: conditions(&filters),
        }
    }
}

// Only a person's first event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FirstTime {
    FirstTimeForUser,
    FirstTimeForUserWithFilters,
}

// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Interval {
    /// The longest that a period can be, in days.
    #[must_use]
    pub fn max_days(self) -> u64 {
        match self {
            Self::Minute | Self::Hour | Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
        }
    }
}

// What a breakdown looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum BreakdownType {
    Event,
    Person,
    Cohort,
    Group,
}

/// A property that an insight is broken down by.
#[derive(Debug, Clone, Serialize)]
pub struct Breakdown {
    /// Its name, or a list of names.
    pub breakdown: Value,
    /// What it is a property of.
    pub breakdown_type: BreakdownType,
}

/// The persons of a funnel.
#[derive(Debug, Clone)]
pub struct FunnelActors {
    /// The steps, the range and the filters.
    pub base: InsightBase,
    /// The step reached, from 1; `-n` for those who reached step n-1 and no further.
    pub step: Option<i32>,
    /// Exactly these steps as the furthest one.
    pub furthest: Vec<i32>,
    /// The beginning of the period of entry, and whether those who did not complete the funnel are listed.
    pub entered: Option<(String, bool)>,
    /// How long a person may take.
    pub window: FunnelWindow,
    /// Whether the order of the steps counts.
    pub order: Option<FunnelOrder>,
    /// The breakdown.
    pub breakdown: Option<Breakdown>,
    /// The value of the breakdown whose persons are listed.
    pub breakdown_value: Option<String>,
}

/// How long a person may take for a funnel.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunnelWindow {
    /// 14 by default.
    pub interval: Option<u32>,
    /// Days by default.
    pub unit: Option<FunnelWindowUnit>,
}

// The unit of a funnel's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum FunnelWindowUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

// Whether the order of the steps counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum FunnelOrder {
    Ordered,
    Strict,
    Unordered,
}

impl FunnelActors {
    pub(super) fn node(&self) -> Value {
        let mut query = node("FunnelsQuery", &self.base);
        let mut settings = json!({});
        let over_time = self.entered.as_ref().map(|_| "trends");
        set(&mut settings, "funnelVizType", over_time);
        set(&mut settings, "funnelOrderType", self.order);
        set(&mut settings, "funnelWindowInterval", self.window.interval);
        set(&mut settings, "funnelWindowIntervalUnit", self.window.unit);
        set(&mut query, "funnelsFilter", not_empty(settings));
        set(&mut query, "breakdownFilter", self.breakdown.as_ref());
        let mut actors = json!({ "kind": "FunnelsActorsQuery", "source": query });
        match &self.entered {
            Some((start, drop_off)) => {
                set(&mut actors, "funnelTrendsEntrancePeriodStart", Some(start));
                set(&mut actors, "funnelTrendsDropOff", Some(drop_off));
            }
            None if self.furthest.is_empty() => set(&mut actors, "funnelStep", self.step),
            None => set(&mut actors, "funnelCustomSteps", Some(&self.furthest)),
        }
        let value = self.breakdown_value.as_ref().map(|value| [value]);
        set(&mut actors, "funnelStepBreakdown", value);
        actors
    }
}

// A stage of a person's lifecycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LifecycleStatus {
    New,
    Returning,
    Resurrecting,
    Dormant,
}

// How the number of active periods is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum StickinessOperator {
    Exact,
    #[default]
    Gte,
    Lte,
}

/// An insight without its own settings.
pub(super) fn node(kind: &'static str, base: &InsightBase) -> Value {
    let mut query = json!(base);
    set(&mut query, "kind", Some(kind));
    query
}

/// The persons of an insight.
pub(super) fn insight_actors(insight: Value) -> Value {
    json!({ "kind": "InsightActorsQuery", "source": insight })
}

/// Sets a field, if it has a value.
pub(super) fn set(node: &mut Value, name: &'static str, value: Option<impl Serialize>) {
    if let (Value::Object(fields), Some(value)) = (node, value) {
        fields.insert(name.to_owned(), json!(value));
    }
}

fn not_empty(fields: Value) -> Option<Value> {
    Some(fields).filter(|fields| fields.as_object().is_some_and(|fields| !fields.is_empty()))
}
