//! Retention: who began with one event in a period of the range, and in which later periods of it did another.

use std::collections::BTreeSet;

use chrono::{Days, Months, TimeDelta};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::project::{EVENTS, Person, Project, Time, now};
use super::question::{Filters, Period, Question, Range, check, midnight, person_filters, range};

const DEFAULT_PERIODS: u32 = 8;

#[derive(Debug)]
struct Retention {
    events: (&'static str, &'static str),
    period: Option<Period>,
    periods: Option<u32>,
    start_period: Option<u32>,
    first_time: bool,
    range: Range,
    filters: Filters,
}

impl Retention {
    /// Without a start, as many periods before now.
    fn from(&self, period: Period, periods: u32) -> Time {
        if self.range.is_written() {
            return self.range.from();
        }
        match period {
            Period::Hour => now() - TimeDelta::hours(periods.into()),
            Period::Day => midnight(now()) - Days::new(periods.into()),
            Period::Week => midnight(now()) - Days::new(7 * u64::from(periods)),
            Period::Month => midnight(now()) - Months::new(periods),
        }
    }
}

impl Question for Retention {
    const TOOL: &'static str = "persons-retention";
    const FIELD: &'static str = "active_periods";

    fn arguments(&self) -> Value {
        let (start, back) = self.events;
        let mut arguments = json!({"start_event": start, "return_event": back});
        if let Some(period) = self.period {
            arguments["period"] = period.name().into();
        }
        for (name, number) in [
            ("periods", self.periods),
            ("start_period", self.start_period),
        ] {
            if let Some(number) = number {
                arguments[name] = number.into();
            }
        }
        if self.first_time {
            arguments["first_time"] = json!(true);
        }
        self.range.add_to(&mut arguments);
        self.filters.add_to(&mut arguments);
        arguments
    }

    fn about(&self, person: &Person, project: &Project) -> Option<Value> {
        let period = self.period.unwrap_or(Period::Day);
        let periods = self.periods.unwrap_or(DEFAULT_PERIODS);
        let (first, to) = (period.start(self.from(period, periods)), self.range.to());
        let when = |name: &str| -> Vec<Time> {
            let events = person.events.iter();
            let events = events
                .filter(|event| event.name == name && self.filters.accept(event, person, project));
            events.map(|event| event.at).collect()
        };
        let mut starts = when(self.events.0);
        if self.first_time {
            starts.truncate(1);
        }
        let in_range = |at: &Time| first <= *at && *at <= to;
        let in_periods = |times: Vec<Time>| -> BTreeSet<Time> {
            let times = times.into_iter().filter(in_range);
            times.map(|at| period.start(at)).collect()
        };
        let (starts, returns) = (in_periods(starts), in_periods(when(self.events.1)));
        let mut active = BTreeSet::new();
        for start in starts {
            let number = (0..).find(|number| period.later(first, *number) == start);
            if self.start_period.is_some() && self.start_period != number {
                continue;
            }
            active.insert(0);
            let later = (1..periods).filter(|later| returns.contains(&period.later(start, *later)));
            active.extend(later);
        }
        (!active.is_empty()).then(|| json!(active))
    }
}

#[test]
fn persons_of_a_retention() {
    let events = (select(EVENTS.to_vec()), select(EVENTS.to_vec()));
    let periods = option::of(1_u32..=12);
    let questions = (
        events,
        option::of(select(Period::ALL.to_vec())),
        periods,
        option::weighted(0.4, 0_u32..6),
        any::<bool>(),
        range(),
        person_filters(),
    );
    let questions = questions.prop_map(
        |(events, period, periods, start_period, first_time, range, filters)| Retention {
            events,
            period,
            periods,
            // A period beyond the last one is refused.
            start_period: start_period.filter(|start| *start < periods.unwrap_or(DEFAULT_PERIODS)),
            first_time,
            range,
            filters,
        },
    );
    check(questions);
}
