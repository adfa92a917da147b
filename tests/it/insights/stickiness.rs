//! Stickiness: in how many periods of the range a person did the event.

use std::collections::BTreeSet;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::project::{EVENTS, Person, Project, Time};
use super::question::{Filters, Period, Question, Range, check, person_filters, range};

#[derive(Debug)]
struct Stickiness {
    event: &'static str,
    periods: usize,
    operator: Option<&'static str>,
    interval: Option<Period>,
    range: Range,
    filters: Filters,
}

impl Question for Stickiness {
    const TOOL: &'static str = "persons-stickiness";

    fn arguments(&self) -> Value {
        let mut arguments = json!({"event": self.event, "periods": self.periods});
        if let Some(operator) = self.operator {
            arguments["operator"] = operator.into();
        }
        if let Some(interval) = self.interval {
            arguments["interval"] = interval.name().into();
        }
        self.range.add_to(&mut arguments);
        self.filters.add_to(&mut arguments);
        arguments
    }

    fn about(&self, person: &Person, project: &Project) -> Option<Value> {
        let interval = self.interval.unwrap_or(Period::Day);
        let active = person.events.iter().filter(|event| {
            event.name == self.event
                && self.range.contains(event)
                && self.filters.accept(event, person, project)
        });
        let active: BTreeSet<Time> = active.map(|event| interval.start(event.at)).collect();
        let counts = match self.operator {
            Some("exact") => active.len() == self.periods,
            Some("lte") => !active.is_empty() && active.len() <= self.periods,
            _ => active.len() >= self.periods,
        };
        counts.then_some(Value::Null)
    }
}

#[test]
fn persons_of_stickiness() {
    let operator = option::of(select(vec!["exact", "gte", "lte"]));
    let interval = option::of(select(Period::ALL.to_vec()));
    let questions = (
        select(EVENTS.to_vec()),
        1_usize..=4,
        operator,
        interval,
        range(),
        person_filters(),
    );
    check(questions.prop_map(
        |(event, periods, operator, interval, range, filters)| Stickiness {
            event,
            periods,
            operator,
            interval,
            range,
            filters,
        },
    ));
}
