//! The lifecycle: who was active in a period, in the one before, and created when.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::project::{ACTIONS, EVENTS, Person, Project, Time, now};
use super::question::{Filters, Period, Question, check, filters};

#[derive(Debug)]
struct Lifecycle {
    moment: Time,
    stage: &'static str,
    activity: Option<Activity>,
    interval: Option<Period>,
    filters: Filters,
}

#[derive(Debug, Clone)]
enum Activity {
    Event(&'static str, Option<&'static str>),
    Action(u32, &'static str),
}

impl Question for Lifecycle {
    const TOOL: &'static str = "persons-lifecycle";

    fn arguments(&self) -> Value {
        // The time of day counts only in hours.
        let format = match self.interval {
            Some(Period::Hour) => "%Y-%m-%dT%H:%M:%SZ",
            _ => "%Y-%m-%d",
        };
        let date = self.moment.format(format).to_string();
        let mut arguments = json!({"target_date": date, "lifecycle_type": self.stage});
        match &self.activity {
            None => {}
            Some(Activity::Event(name, None)) => arguments["events"] = json!([{"id": name}]),
            Some(Activity::Event(name, Some(browser))) => {
                let filter = json!({"key": "$browser", "operator": "exact", "value": browser});
                arguments["events"] = json!([{"id": name, "properties": [filter]}]);
            }
            Some(Activity::Action(number, _)) => arguments["actions"] = json!([{"id": number}]),
        }
        if let Some(interval) = self.interval {
            arguments["interval"] = interval.name().into();
        }
        self.filters.add_to(&mut arguments);
        arguments
    }

    fn about(&self, person: &Person, project: &Project) -> Option<Value> {
        let (name, browser) = match self.activity {
            None => ("$pageview", None),
            Some(Activity::Event(name, browser)) => (name, browser),
            Some(Activity::Action(_, name)) => (name, None),
        };
        let interval = self.interval.unwrap_or(Period::Day);
        let start = interval.start(self.moment);
        let (before, end) = (interval.before(start), interval.later(start, 1));
        let active = |from: Time, until: Time| {
            person.events.iter().any(|event| {
                event.name == name
                    && (browser.is_none() || event.browser == browser)
                    && from <= event.at
                    && event.at < until
                    && self.filters.accept(event, person, project)
            })
        };
        let (now, then) = (active(start, end), active(before, start));
        let is_new = start <= person.created && person.created < end;
        let matches = match self.stage {
            "new" => now && is_new,
            "returning" => now && then && !is_new,
            "resurrecting" => now && !then && person.created < start,
            _ => then && !now,
        };
        matches.then_some(Value::Null)
    }
}

#[test]
fn persons_of_a_lifecycle() {
    let moment = (0_i64..=27 * 24).prop_map(|hours| now() - chrono::TimeDelta::hours(hours));
    let stage = select(vec!["new", "returning", "resurrecting", "dormant"]);
    let browser = option::weighted(0.3, select(vec!["Chrome", "Safari"]));
    let activity = prop_oneof![
        1 => Just(None),
        3 => (select(EVENTS.to_vec()), browser)
            .prop_map(|(name, browser)| Some(Activity::Event(name, browser))),
        1 => select(ACTIONS.to_vec()).prop_map(|(number, name)| Some(Activity::Action(number, name))),
    ];
    let interval = option::weighted(
        0.7,
        prop_oneof![
            1 => select(vec![Period::Hour, Period::Day]),
            4 => select(vec![Period::Week, Period::Month]),
        ],
    );
    let questions = (moment, stage, activity, interval, filters());
    check(
        questions.prop_map(|(moment, stage, activity, interval, filters)| Lifecycle {
            moment,
            stage,
            activity,
            interval,
            filters,
        }),
    );
}
