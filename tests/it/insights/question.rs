//! Questions to the tools: ranges, filters and periods, each as an argument and as what it means, and the comparison.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Debug;

use chrono::{Datelike, Days, Months, NaiveTime, TimeDelta};
use posthog_sandbox::{Clock, Era, Key, SandboxOptions, Seed};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::project::{COHORT, Event, Person, Project, Properties, Time, now, project, time};
use crate::{Session, Setup, assert_compared, cases, connect_with};

/// Questions per tool, over all projects.
const CASES: u32 = 200;

/// A key that has the scopes of the insights alone.
const KEY: &str = "phx_of_an_analyst";

/// The persons that a question asks for, by their UUIDs, each with what the tool says about it besides.
pub(super) type Answer = BTreeMap<String, Value>;

pub(super) trait Question: Debug {
    const TOOL: &'static str;
    /// The field of a row that only this tool has.
    const FIELD: &'static str = "";

    fn arguments(&self) -> Value;

    /// `None` for a person whom the question does not ask for.
    fn about(&self, person: &Person, project: &Project) -> Option<Value>;
}

/// Asks the tool, and compares its persons with those of the question's own computation.
pub(super) fn check<Q: Question>(questions: impl Strategy<Value = Q>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let eras = [
        Era::August2025,
        Era::June2026,
        Era::September2026,
        Era::September2026,
    ];
    let config = Config {
        cases: cases(CASES) / u32::try_from(eras.len()).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    // Questions whose answer has persons, and whose answer does not have all.
    let (some, not_all) = (Cell::new(0), Cell::new(0));
    let asked = (questions, select(vec![2, 5, 100]));
    for era in eras {
        let mut runner = TestRunner::new(config.clone());
        let tree = project(era == Era::August2025).new_tree(&mut runner);
        let project = tree.unwrap().current();
        let session = runtime.block_on(session(era, &project));
        let outcome = runner.run(&asked, |(question, limit)| {
            let persons = project.persons.iter();
            let expected: Answer = persons
                .filter_map(|person| Some((person.uuid.clone(), question.about(person, &project)?)))
                .collect();
            some.set(some.get() + u32::from(!expected.is_empty()));
            not_all.set(not_all.get() + u32::from(expected.len() < project.persons.len()));
            let answer = runtime.block_on(ask(&session, &question, limit));
            prop_assert_eq!(answer, expected, "{}", question.arguments());
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{era}, project {}: {error}", project.seed());
        }
    }
    assert_compared(some.get(), cases(CASES));
    assert_compared(not_all.get(), cases(CASES));
}

async fn session(era: Era, project: &Project) -> Session {
    let sandbox = SandboxOptions {
        era,
        clock: Clock::Manual,
        seed: Some(Seed::parse(&project.seed().to_string()).unwrap()),
        keys: vec![Key::scoped(KEY, &["query:read", "person:read"])],
        ..SandboxOptions::default()
    };
    let setup = Setup {
        key: KEY,
        assume_current: era != Era::August2025,
        sandbox,
        ..Setup::default()
    };
    connect_with(setup).await
}

/// The persons of all pages, each once.
async fn ask<Q: Question>(session: &Session, question: &Q, limit: u32) -> Answer {
    let mut arguments = question.arguments();
    arguments["limit"] = limit.into();
    let mut answer = Answer::new();
    loop {
        let page = session.call(Q::TOOL, arguments.clone()).await;
        for row in page["results"].as_array().unwrap() {
            let uuid = row["uuid"].as_str().unwrap().to_owned();
            let twice = answer.insert(uuid, row[Q::FIELD].clone());
            assert!(twice.is_none(), "{arguments}: {row} is on two pages");
        }
        if page["next_offset"].is_null() {
            break;
        }
        arguments["offset"] = page["next_offset"].clone();
    }
    let requests = session.requests();
    assert!(
        requests.iter().all(|request| request == "POST Q/"),
        "{requests:?}"
    );
    answer
}

/// From one moment to another, both included.
#[derive(Debug, Clone)]
pub(super) struct Range {
    from: Option<(String, Time)>,
    to: Option<(String, Time)>,
}

impl Range {
    pub(super) fn from(&self) -> Time {
        let written = self.from.as_ref();
        written.map_or_else(|| midnight(now()) - Days::new(7), |(_, from)| *from)
    }

    pub(super) fn to(&self) -> Time {
        let written = self.to.as_ref();
        written.map_or_else(|| end_of_day(now()), |(_, to)| *to)
    }

    pub(super) fn contains(&self, event: &Event) -> bool {
        self.from() <= event.at && event.at <= self.to()
    }

    pub(super) fn is_written(&self) -> bool {
        self.from.is_some()
    }

    pub(super) fn add_to(&self, arguments: &mut Value) {
        for (name, end) in [("date_from", &self.from), ("date_to", &self.to)] {
            if let Some((text, _)) = end {
                arguments[name] = text.as_str().into();
            }
        }
    }
}

pub(super) fn midnight(time: Time) -> Time {
    time.date_naive().and_time(NaiveTime::MIN).and_utc()
}

fn end_of_day(time: Time) -> Time {
    midnight(time) + Days::new(1) - TimeDelta::microseconds(1)
}

/// A day, relative or not, by its midnight.
fn day() -> impl Strategy<Value = (String, Time)> {
    let dated = (0_u64..=27).prop_map(|days| {
        let day = midnight(now()) - Days::new(days);
        (day.date_naive().to_string(), day)
    });
    let days =
        (0_u64..=28).prop_map(|days| (format!("-{days}d"), midnight(now()) - Days::new(days)));
    let weeks = (1_u64..=3).prop_map(|weeks| {
        let day = midnight(now()) - Days::new(7 * weeks);
        (format!("-{weeks}w"), day)
    });
    prop_oneof![3 => dated, 2 => days, 1 => weeks]
}

fn moment() -> impl Strategy<Value = (String, Time)> {
    (0_i64..=660).prop_map(|hours| {
        let moment = now() - TimeDelta::hours(hours);
        (moment.format("%Y-%m-%dT%H:%M:%SZ").to_string(), moment)
    })
}

pub(super) fn range() -> impl Strategy<Value = Range> {
    let long = Just(("2026-10-04".to_owned(), time("2026-10-04T00:00:00Z")));
    let from = prop_oneof![4 => long, 3 => day(), 1 => moment()];
    let last_day = day().prop_map(|(text, day)| (text, end_of_day(day)));
    let to = prop_oneof![3 => last_day, 1 => moment()];
    let range = (option::weighted(0.8, from), option::of(to));
    let range = range.prop_map(|(from, to)| Range { from, to });
    range.prop_filter("in order", |range| range.from() <= range.to())
}

/// The length of the periods of an insight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Period {
    Hour,
    Day,
    Week,
    Month,
}

impl Period {
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The beginning of the period of a moment. Weeks begin on Sunday.
    pub(super) fn start(self, moment: Time) -> Time {
        let day = midnight(moment);
        match self {
            Self::Hour => day + TimeDelta::hours((moment - day).num_hours()),
            Self::Day => day,
            Self::Week => day - Days::new(u64::from(day.weekday().num_days_from_sunday())),
            Self::Month => day - Days::new(u64::from(day.day0())),
        }
    }

    /// The beginning of the period this many later.
    pub(super) fn later(self, start: Time, periods: u32) -> Time {
        let days = |days: u64| start + Days::new(days * u64::from(periods));
        match self {
            Self::Hour => start + TimeDelta::hours(periods.into()),
            Self::Day => days(1),
            Self::Week => days(7),
            Self::Month => start + Months::new(periods),
        }
    }

    pub(super) fn before(self, start: Time) -> Time {
        self.start(start - TimeDelta::microseconds(1))
    }
}

/// A filter on the persons of events.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    HasEmail(bool),
    EmailHas(&'static str),
    EmailHasNot(&'static str),
    PlanIs(Vec<&'static str>),
    PlanIsNot(&'static str),
    InCohort(bool),
}

impl Filter {
    fn json(&self) -> Value {
        match self {
            Self::HasEmail(true) => json!({"key": "email", "operator": "is_set"}),
            Self::HasEmail(false) => json!({"key": "email", "operator": "is_not_set"}),
            Self::EmailHas(part) => {
                json!({"key": "email", "operator": "icontains", "value": part})
            }
            Self::EmailHasNot(part) => {
                json!({"key": "email", "operator": "not_icontains", "value": part})
            }
            Self::PlanIs(plans) => json!({"key": "plan", "value": plans}),
            Self::PlanIsNot(plan) => json!({"key": "plan", "operator": "is_not", "value": plan}),
            Self::InCohort(within) => {
                let operator = if *within { "in" } else { "not_in" };
                json!({"key": "id", "type": "cohort", "operator": operator, "value": COHORT})
            }
        }
    }

    fn accepts(&self, person: &Person, properties: &Properties) -> bool {
        let email = properties.email.as_deref();
        let has = |part: &str| email.is_some_and(|email| email.contains(&part.to_lowercase()));
        match self {
            Self::HasEmail(has) => email.is_some() == *has,
            Self::EmailHas(part) => has(part),
            Self::EmailHasNot(part) => !has(part),
            Self::PlanIs(plans) => properties.plan.is_some_and(|plan| plans.contains(&plan)),
            Self::PlanIsNot(plan) => properties.plan != Some(plan),
            Self::InCohort(within) => person.in_cohort == *within,
        }
    }
}

/// What all insights leave out.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    filters: Vec<Filter>,
    without_test_accounts: bool,
}

impl Filters {
    pub(super) fn accept(&self, event: &Event, person: &Person, project: &Project) -> bool {
        let seen = if project.filters_see_today {
            &person.properties
        } else {
            &event.properties
        };
        let email = seen.email.as_deref().unwrap_or_default();
        !(self.without_test_accounts && email.ends_with("@example.org"))
            && self
                .filters
                .iter()
                .all(|filter| filter.accepts(person, seen))
    }

    pub(super) fn add_to(&self, arguments: &mut Value) {
        if !self.filters.is_empty() {
            let filters: Vec<Value> = self.filters.iter().map(Filter::json).collect();
            arguments["properties"] = filters.into();
        }
        if self.without_test_accounts {
            arguments["filter_test_accounts"] = json!(true);
        }
    }
}

pub(super) fn filters() -> impl Strategy<Value = Filters> {
    let all = vec![
        Filter::HasEmail(true),
        Filter::HasEmail(false),
        Filter::EmailHas("Example.COM"),
        Filter::EmailHasNot("person.1"),
        Filter::PlanIs(vec!["pro", "trial"]),
        Filter::PlanIsNot("free"),
        Filter::InCohort(true),
        Filter::InCohort(false),
    ];
    let some = prop_oneof![3 => Just(Vec::new()), 2 => subsequence(all, 1..=2)];
    (some, any::<bool>()).prop_map(|(filters, without_test_accounts)| Filters {
        filters,
        without_test_accounts,
    })
}

/// As [`filters`], for the tools that do not leave out test accounts.
pub(super) fn person_filters() -> impl Strategy<Value = Filters> {
    filters().prop_map(|filters| Filters {
        without_test_accounts: false,
        ..filters
    })
}

/// Part of what identifies a person, in any letter case.
pub(super) fn search() -> impl Strategy<Value = Option<&'static str>> {
    let words = vec!["example.ORG", "PERSON-1", "visitor 1", "8000-000000000003"];
    option::weighted(0.15, select(words))
}

pub(super) fn is_found(person: &Person, search: Option<&str>) -> bool {
    let Some(search) = search.map(str::to_lowercase) else {
        return true;
    };
    let email = person.properties.email.iter();
    let texts = email.chain(&person.distinct_ids).chain([&person.uuid]);
    texts
        .map(|text| text.to_lowercase())
        .any(|text| text.contains(&search))
}
