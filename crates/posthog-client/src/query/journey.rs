//! The insights about what persons do later: retention and paths, as nodes of a query.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::insight::{InsightBase, Interval, insight_actors, node, set};

/// Who came back after an event.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The range and the filters.
    pub base: InsightBase,
    /// The length of a period.
    pub period: Interval,
    /// The number of periods.
    pub periods: u32,
    /// The event that a person begins with.
    pub start_event: String,
    /// The event that counts as coming back.
    pub return_event: String,
    /// Only persons whose very first start event it is.
    pub first_time: bool,
    /// The period in which a person begins, from 0; all of them if absent.
    pub start_period: Option<u32>,
}

impl Retention {
    pub(super) fn node(&self) -> Value {
        let period = match self.period {
            Interval::Minute | Interval::Hour => "Hour",
            Interval::Day => "Day",
            Interval::Week => "Week",
            Interval::Month => "Month",
        };
        let kind = if self.first_time {
            "retention_first_time"
        } else {
            "retention_recurring"
        };
        let event = |name: &str| json!({ "id": name, "type": "events" });
        let mut query = node("RetentionQuery", &self.base);
        let settings = json!({
            "period": period,
            "totalIntervals": self.periods,
            "retentionType": kind,
            "targetEntity": event(&self.start_event),
            "returningEntity": event(&self.return_event),
        });
        set(&mut query, "retentionFilter", Some(settings));
        let mut actors = insight_actors(query);
        set(&mut actors, "interval", self.start_period);
        actors
    }
}

/// A place on a path.
#[derive(Debug, Clone)]
pub struct PathNode {
    /// The position on the path, from 1.
    pub step: u32,
    /// An URL, a screen or an event, as PostHog names it.
    pub item: String,
    /// Which persons of this place are listed.
    pub position: PathPosition,
}

// Which persons of a place on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PathPosition {
    #[default]
    Arrived,
    Continued,
    DroppedOff,
}

// What paths consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum PathType {
    #[default]
    #[serde(rename = "pageview")]
    Pageview,
    #[serde(rename = "screen")]
    Screen,
    #[serde(rename = "custom_event")]
    CustomEvent,
}

impl PathNode {
    pub(super) fn node(&self, base: &InsightBase, kind: PathType, start: Option<&str>) -> Value {
        let included = match kind {
            PathType::Pageview => "$pageview",
            PathType::Screen => "$screen",
            PathType::CustomEvent => "custom_event",
        };
        let place = match self.position {
            PathPosition::Arrived => "pathEndKey",
            PathPosition::Continued => "pathStartKey",
            PathPosition::DroppedOff => "pathDropoffKey",
        };
        // PostHog's places have no slash at the end, and it takes one only from the start of paths.
        let without_slash = match kind {
            PathType::Pageview => self.item.strip_suffix('/').filter(|item| !item.is_empty()),
            PathType::Screen | PathType::CustomEvent => None,
        };
        let item = without_slash.unwrap_or(&self.item);
        let mut settings = json!({ "includeEventTypes": [included] });
        // PostHog looks at five steps unless told otherwise, and a place beyond them has no persons.
        set(
            &mut settings,
            "stepLimit",
            Some(self.step + 1).filter(|steps| *steps > 5),
        );
        set(&mut settings, "startPoint", start);
        set(&mut settings, place, Some(format!("{}_{item}", self.step)));
        let mut query = node("PathsQuery", base);
        set(&mut query, "pathsFilter", Some(settings));
        insight_actors(query)
    }
}
