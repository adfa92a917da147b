//! The nodes and texts, compared with those that a PostHog of August 2025 evaluated.

use serde_json::{Value, json};

use super::actors::{ActorsQuery, ActorsSource};
use super::insight::{
    Breakdown, BreakdownType, FirstTime, FunnelActors, FunnelOrder, FunnelWindow, FunnelWindowUnit,
    InsightBase, Interval, LifecycleStatus, Series, StickinessOperator,
};
use super::journey::{PathNode, PathPosition, PathType, Retention};
use crate::filter::{EventFilter, Filter};

fn event(name: &str) -> Series {
    Series::event(name.to_owned(), &[], None)
}

fn base(series: &[&str], from: &str) -> InsightBase {
    InsightBase::new(series.iter().map(|name| event(name)).collect())
        .between(Some(from.to_owned()), Some("2026-11-20".to_owned()))
}

fn funnel() -> FunnelActors {
    FunnelActors {
        base: base(&["sign up", "view cart", "purchase"], "2026-11-10"),
        step: None,
        furthest: Vec::new(),
        entered: None,
        window: FunnelWindow::default(),
        order: None,
        breakdown: None,
        breakdown_value: None,
    }
}

fn node(source: ActorsSource) -> Value {
    let query = ActorsQuery {
        source,
        search: None,
        limit: 100,
        offset: 0,
    };
    query.node(false)
}

fn source(source: ActorsSource) -> Value {
    node(source)["source"].clone()
}

fn filters(filters: Value) -> Vec<Filter> {
    serde_json::from_value(filters).unwrap()
}

#[test]
fn smallest_actors_query() {
    let step = FunnelActors {
        step: Some(-2),
        ..funnel()
    };
    assert_eq!(
        node(ActorsSource::Funnel(step)),
        json!({
            "kind": "ActorsQuery", "select": ["person"], "limit": 100, "offset": 0,
            "source": {"kind": "FunnelsActorsQuery", "funnelStep": -2, "source": {"kind": "FunnelsQuery",
                "series": [
                    {"kind": "EventsNode", "event": "sign up"}, {"kind": "EventsNode", "event": "view cart"},
                    {"kind": "EventsNode", "event": "purchase"},
                ],
                "dateRange": {"date_from": "2026-11-10", "date_to": "2026-11-20"}}},
        })
    );
}

#[test]
fn funnel_with_everything() {
    let math = Some(FirstTime::FirstTimeForUser);
    let properties: Vec<EventFilter> =
        serde_json::from_value(json!([{"key": "$browser", "value": "Chrome"}])).unwrap();
    let plans = filters(json!([
        {"key": "plan", "operator": "in", "value": ["pro", "free"]}, {"key": "id", "type": "cohort", "operator": "exact", "value": 1},
    ]));
    let series = vec![
        Series::event("sign up".to_owned(), &properties, math),
        Series::ActionsNode { id: 7, math: None },
    ];
    let funnel = FunnelActors {
        base: InsightBase::new(series)
            .in_periods_of(Some(Interval::Day))
            .matching(&plans)
            .without_test_accounts(Some(true)),
        furthest: vec![1, 2],
        window: FunnelWindow {
            interval: Some(7),
            unit: Some(FunnelWindowUnit::Minute),
        },
        order: Some(FunnelOrder::Strict),
        breakdown: Some(Breakdown {
            breakdown: "$browser".into(),
            breakdown_type: BreakdownType::Event,
        }),
        breakdown_value: Some("Chrome".to_owned()),
        ..funnel()
    };
    assert_eq!(
        source(ActorsSource::Funnel(funnel)),
        json!({
            "kind": "FunnelsActorsQuery", "funnelCustomSteps": [1, 2], "funnelStepBreakdown": ["Chrome"],
            "source": {"kind": "FunnelsQuery", "interval": "day", "filterTestAccounts": true,
                "series": [
                    {"kind": "EventsNode", "event": "sign up", "math": "first_time_for_user",
                        "properties": [{"key": "$browser", "operator": "exact", "type": "event", "value": "Chrome"}]},
                    {"kind": "ActionsNode", "id": 7},
                ],
                "dateRange": {"date_from": "-7d"},
                "properties": [
                    {"type": "person", "key": "plan", "operator": "exact", "value": ["pro", "free"]},
                    {"type": "cohort", "key": "id", "operator": "in", "value": 1},
                ],
                "breakdownFilter": {"breakdown": "$browser", "breakdown_type": "event"},
                "funnelsFilter": {"funnelOrderType": "strict", "funnelWindowInterval": 7, "funnelWindowIntervalUnit": "minute"}},
        })
    );
}

#[test]
fn funnel_over_time() {
    let funnel = FunnelActors {
        base: funnel().base.in_periods_of(Some(Interval::Day)),
        entered: Some(("2026-11-15 00:00:00".to_owned(), false)),
        ..funnel()
    };
    let actors = source(ActorsSource::Funnel(funnel));
    assert_eq!(
        actors["funnelTrendsEntrancePeriodStart"],
        "2026-11-15 00:00:00"
    );
    assert_eq!(actors["funnelTrendsDropOff"], false);
    assert_eq!(actors.get("funnelStep"), None);
    assert_eq!(
        actors["source"]["funnelsFilter"],
        json!({"funnelVizType": "trends"})
    );
}

#[test]
fn trend_over_its_whole_range() {
    let breakdown = Breakdown {
        breakdown: "$browser".into(),
        breakdown_type: BreakdownType::Event,
    };
    let trend = |breakdown| {
        node(ActorsSource::Trend {
            base: base(&["$pageview"], "2026-11-14"),
            breakdown,
        })
    };
    let mut expected = json!({
        "kind": "ActorsQuery", "select": ["person", "event_count"], "limit": 100, "offset": 0,
        "orderBy": ["event_count DESC", "actor_id DESC"],
        "source": {"kind": "InsightActorsQuery", "source": {"kind": "TrendsQuery",
            "series": [{"kind": "EventsNode", "event": "$pageview"}], "trendsFilter": {"display": "BoldNumber"},
            "dateRange": {"date_from": "2026-11-14", "date_to": "2026-11-20"}}},
    });
    assert_eq!(trend(None), expected);
    expected["source"]["breakdown"] = json!("Firefox");
    expected["source"]["source"]["breakdownFilter"] =
        json!({"breakdown": "$browser", "breakdown_type": "event"});
    assert_eq!(trend(Some((breakdown, "Firefox".to_owned()))), expected);
}

#[test]
fn lifecycle_and_stickiness() {
    let base = || base(&["$pageview"], "2026-11-14").in_periods_of(Some(Interval::Day));
    let insight = |kind: &str| {
        json!({
            "kind": kind, "series": [{"kind": "EventsNode", "event": "$pageview"}], "interval": "day",
            "dateRange": {"date_from": "2026-11-14", "date_to": "2026-11-20"},
        })
    };
    assert_eq!(
        source(ActorsSource::Lifecycle {
            base: base(),
            day: "2026-11-17".to_owned(),
            status: LifecycleStatus::Returning,
        }),
        json!({"kind": "InsightActorsQuery", "source": insight("LifecycleQuery"), "day": "2026-11-17", "status": "returning"})
    );
    let sticky = |periods, operator| {
        source(ActorsSource::Stickiness {
            base: base(),
            periods,
            operator,
        })
    };
    assert_eq!(
        sticky(3, StickinessOperator::Exact),
        json!({"kind": "InsightActorsQuery", "source": insight("StickinessQuery"), "day": 3})
    );
    assert_eq!(
        sticky(2, StickinessOperator::Gte),
        json!({"kind": "StickinessActorsQuery", "source": insight("StickinessQuery"), "day": 2, "operator": "gte"})
    );
}

#[test]
fn retention() {
    let retention = Retention {
        base: base(&[], "2026-11-14"),
        period: Interval::Day,
        periods: 4,
        start_event: "sign up".to_owned(),
        return_event: "$pageview".to_owned(),
        first_time: true,
        start_period: Some(0),
    };
    assert_eq!(
        node(ActorsSource::Retention(retention)),
        json!({
            "kind": "ActorsQuery", "select": ["person", "appearances"], "limit": 100, "offset": 0,
            "orderBy": ["length(appearances) DESC", "actor_id"],
            "source": {"kind": "InsightActorsQuery", "interval": 0, "source": {"kind": "RetentionQuery",
                "dateRange": {"date_from": "2026-11-14", "date_to": "2026-11-20"},
                "retentionFilter": {"period": "Day", "totalIntervals": 4, "retentionType": "retention_first_time",
                    "targetEntity": {"id": "sign up", "type": "events"}, "returningEntity": {"id": "$pageview", "type": "events"}}}},
        })
    );
}

#[test]
fn paths() {
    let path = |step, position| {
        let place = PathNode {
            step,
            item: "https://x.example/b".to_owned(),
            position,
        };
        let source = source(ActorsSource::Path {
            base: base(&[], "2026-11-14"),
            kind: PathType::Pageview,
            start: None,
            place,
        });
        assert_eq!(source["source"]["kind"], "PathsQuery");
        source["source"]["pathsFilter"].clone()
    };
    assert_eq!(
        path(2, PathPosition::Arrived),
        json!({"includeEventTypes": ["$pageview"], "pathEndKey": "2_https://x.example/b"})
    );
    assert_eq!(
        path(5, PathPosition::DroppedOff),
        json!({"includeEventTypes": ["$pageview"], "stepLimit": 6, "pathDropoffKey": "5_https://x.example/b"})
    );
}
