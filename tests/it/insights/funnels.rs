//! Funnels: which steps a person reaches, tried out with every event that can be a step.

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::project::{ACTIONS, EVENTS, Event, Person, Project, Time, now};
use super::question::{
    Filters, Period, Question, Range, check, filters, is_found, midnight, range, search,
};

#[derive(Debug)]
struct Funnel {
    steps: Vec<Step>,
    selection: Selection,
    window: Option<(u32, Option<Unit>)>,
    order: Option<Order>,
    /// The country of the persons, by a breakdown.
    country: Option<&'static str>,
    range: Range,
    filters: Filters,
    search: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Step {
    name: &'static str,
    /// Named by its action.
    action: Option<u32>,
    filter: Option<StepFilter>,
    math: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
enum StepFilter {
    Browser(&'static str),
    NotBrowser(&'static str),
    Plan(&'static str),
}

#[derive(Debug, Clone)]
enum Selection {
    Step(i32),
    Furthest(Vec<usize>),
    Entered {
        days_ago: u64,
        period: Option<Period>,
        drop_off: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Ordered,
    Strict,
    Unordered,
}

impl StepFilter {
    fn json(self) -> Value {
        match self {
            Self::Browser(browser) => json!({"key": "$browser", "value": browser}),
            Self::NotBrowser(browser) => {
                json!({"key": "$browser", "operator": "is_not", "value": browser})
            }
            Self::Plan(plan) => {
                json!({"key": "plan", "type": "person", "operator": "exact", "value": [plan]})
            }
        }
    }

    fn accepts(self, event: &Event, person: &Person, project: &Project) -> bool {
        match self {
            Self::Browser(browser) => event.browser == Some(browser),
            Self::NotBrowser(browser) => event.browser != Some(browser),
            Self::Plan(plan) if project.filters_see_today => person.properties.plan == Some(plan),
            Self::Plan(plan) => event.properties.plan == Some(plan),
        }
    }
}

impl Step {
    fn is(&self, event: &Event, person: &Person, project: &Project) -> bool {
        let named = |event: &Event| event.name == self.name;
        let passes = |event: &Event| {
            let filter = self.filter.as_ref();
            filter.is_none_or(|filter| filter.accepts(event, person, project))
        };
        let is_first = |is_such: &dyn Fn(&Event) -> bool| {
            let first = person.events.iter().find(|event| is_such(event));
            first.is_some_and(|first| std::ptr::eq(first, event))
        };
        match self.math {
            None => named(event) && passes(event),
            Some("first_time_for_user") => is_first(&named) && passes(event),
            Some(_) => is_first(&|event| named(event) && passes(event)),
        }
    }
}

impl Funnel {
    fn window(&self) -> TimeDelta {
        let (count, unit) = self.window.unwrap_or((14, None));
        let count = i64::from(count);
        match unit.unwrap_or(Unit::Day) {
            Unit::Second => TimeDelta::seconds(count),
            Unit::Minute => TimeDelta::minutes(count),
            Unit::Hour => TimeDelta::hours(count),
            Unit::Day => TimeDelta::days(count),
            Unit::Week => TimeDelta::weeks(count),
        }
    }

    /// When each attempt began, and how many steps it reached.
    fn attempts(&self, person: &Person, project: &Project) -> Vec<(Time, usize)> {
        let events = person.events.iter();
        let events = events.filter(|event| {
            self.range.contains(event) && self.filters.accept(event, person, project)
        });
        // Each with whether it is the first step, the second and so on.
        let events: Vec<(Time, Vec<bool>)> = events
            .map(|event| {
                let steps = self.steps.iter();
                let steps = steps.map(|step| step.is(event, person, project));
                (event.at, steps.collect())
            })
            .collect();
        // An attempt begins with a step, in any order with any of them.
        let begin = events.iter().enumerate();
        let begin = begin.filter(|(_, (_, is))| is.contains(&true));
        let begin = begin.map(|(index, (at, _))| {
            let until = *at + self.window();
            let reached = match self.order.unwrap_or(Order::Ordered) {
                Order::Strict => strict(&events[index..], until),
                order => {
                    let mut used = vec![false; events.len()];
                    longest(order, &events, index, 0, (*at, until), &mut used)
                }
            };
            (*at, reached)
        });
        begin.filter(|(_, reached)| *reached > 0).collect()
    }
}

/// The steps of events right after one another.
fn strict(events: &[(Time, Vec<bool>)], until: Time) -> usize {
    let steps = events.iter().enumerate();
    let steps = steps.take_while(|(step, (at, is))| *at <= until && is.get(*step) == Some(&true));
    steps.count()
}

/// The most steps from this one on that events can fill, each one event at most, beginning with the first event.
fn longest(
    order: Order,
    events: &[(Time, Vec<bool>)],
    first: usize,
    step: usize,
    (from, until): (Time, Time),
    used: &mut [bool],
) -> usize {
    let is_entry = used.iter().all(|used| !used);
    if step == events[first].1.len() {
        return 0;
    }
    let mut most = match order {
        // The first event can be a later step as well.
        Order::Unordered => longest(order, events, first, step + 1, (from, until), used),
        _ => 0,
    };
    for (index, (at, is)) in events.iter().enumerate() {
        let fits = is[step] && !used[index] && from <= *at && *at <= until;
        if !fits || (is_entry && index != first && order != Order::Unordered) {
            continue;
        }
        used[index] = true;
        let from = if order == Order::Ordered { *at } else { from };
        let more = 1 + longest(order, events, first, step + 1, (from, until), used);
        used[index] = false;
        most = most.max(more);
    }
    most
}

impl Question for Funnel {
    const TOOL: &'static str = "persons-funnel";

    fn arguments(&self) -> Value {
        let positions = self.steps.iter().any(|step| step.action.is_some());
        let (mut events, mut actions) = (Vec::new(), Vec::new());
        for (position, step) in self.steps.iter().enumerate() {
            let mut entity = match step.action {
                Some(number) => json!({"id": number}),
                None => json!({"id": step.name}),
            };
            if positions {
                entity["order"] = position.into();
            }
            if let Some(filter) = step.filter {
                entity["properties"] = json!([filter.json()]);
            }
            if let Some(math) = step.math {
                entity["math"] = math.into();
            }
            match step.action {
                Some(_) => actions.push(entity),
                None => events.push(entity),
            }
        }
        let mut arguments = json!({"events": events, "actions": actions});
        match &self.selection {
            Selection::Step(step) => arguments["funnel_step"] = (*step).into(),
            Selection::Furthest(steps) => arguments["funnel_custom_steps"] = json!(steps),
            Selection::Entered {
                days_ago,
                period,
                drop_off,
            } => {
                let day = now().date_naive() - chrono::Days::new(*days_ago);
                arguments["funnel_viz_type"] = "trends".into();
                arguments["entrance_period_start"] = day.to_string().into();
                arguments["drop_off"] = (*drop_off).into();
                if let Some(period) = period {
                    arguments["interval"] = period.name().into();
                }
            }
        }
        if let Some((count, unit)) = self.window {
            arguments["funnel_window_interval"] = count.into();
            if let Some(unit) = unit {
                let unit = format!("{unit:?}").to_lowercase();
                arguments["funnel_window_interval_unit"] = unit.into();
            }
        }
        if let Some(order) = self.order {
            arguments["funnel_order_type"] = format!("{order:?}").to_lowercase().into();
        }
        if let Some(country) = self.country {
            arguments["breakdown"] = "country".into();
            arguments["breakdown_type"] = "person".into();
            arguments["funnel_step_breakdown"] = country.into();
        }
        if let Some(search) = self.search {
            arguments["search"] = search.into();
        }
        self.range.add_to(&mut arguments);
        self.filters.add_to(&mut arguments);
        arguments
    }

    fn about(&self, person: &Person, project: &Project) -> Option<Value> {
        let mut attempts = self.attempts(person, project);
        if let Selection::Entered {
            days_ago, period, ..
        } = self.selection
        {
            let start = midnight(now()) - chrono::Days::new(days_ago);
            let end = period.unwrap_or(Period::Day).later(start, 1);
            attempts.retain(|(at, _)| start <= *at && *at < end);
        }
        let furthest = attempts.into_iter().map(|(_, reached)| reached).max()?;
        let is_reached = |step: &i32| usize::try_from(*step).is_ok_and(|step| furthest >= step);
        let matches = match &self.selection {
            Selection::Step(step) if *step > 0 => is_reached(step),
            Selection::Step(step) => is_reached(&(-step - 1)) && !is_reached(&-step),
            Selection::Furthest(steps) => steps.contains(&furthest),
            Selection::Entered { drop_off, .. } => (furthest < self.steps.len()) == *drop_off,
        };
        let is_of_country = self.country.is_none() || person.properties.country == self.country;
        (matches && is_of_country && is_found(person, self.search)).then_some(Value::Null)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = prop_oneof![1 => select(EVENTS.to_vec()), 1 => select(EVENTS[..3].to_vec())];
    let filter = option::weighted(
        0.2,
        select(vec![
            StepFilter::Browser("Chrome"),
            StepFilter::NotBrowser("Safari"),
            StepFilter::Plan("pro"),
        ]),
    );
    let maths = vec!["first_time_for_user", "first_time_for_user_with_filters"];
    let step = (
        name,
        any::<bool>(),
        filter,
        option::weighted(0.15, select(maths)),
    );
    let step = step.prop_map(|(name, by_action, filter, math)| {
        let mut actions = ACTIONS.iter();
        let action = actions.find(|(_, event)| by_action && *event == name);
        let action = action.map(|(number, _)| *number);
        Step {
            name,
            action,
            filter: filter.filter(|_| action.is_none()),
            math: math.filter(|_| action.is_none()),
        }
    });
    vec(step, 2..=4).prop_map(|mut steps| {
        // Where steps share an event, they are alike: otherwise it is not PostHog's rules alone which event fills which.
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        let is_shared = |name: &str| names.iter().filter(|other| **other == name).count() > 1;
        for step in &mut steps {
            if is_shared(step.name) {
                (step.filter, step.math) = (None, None);
            }
        }
        steps
    })
}

fn selection(steps: usize) -> impl Strategy<Value = Selection> {
    let last = i32::try_from(steps).unwrap();
    let reached = prop_oneof![1..=last, -last..=-2].prop_map(Selection::Step);
    let furthest = proptest::sample::subsequence((1..=steps).collect::<Vec<_>>(), 1..=2);
    let period = option::of(select(vec![Period::Day, Period::Week, Period::Month]));
    let entered = (0_u64..28, period, any::<bool>());
    prop_oneof![
        4 => reached,
        1 => furthest.prop_map(Selection::Furthest),
        2 => entered.prop_map(|(days_ago, period, drop_off)| Selection::Entered { days_ago, period, drop_off }),
    ]
}

#[test]
fn persons_of_a_funnel() {
    let steps = steps().prop_flat_map(|steps| {
        let selection = selection(steps.len());
        (Just(steps), selection)
    });
    let unit = option::of(select(vec![
        Unit::Second,
        Unit::Minute,
        Unit::Hour,
        Unit::Day,
        Unit::Week,
    ]));
    let window = option::of((select(vec![1, 4, 30, 60]), unit));
    let order = option::of(select(vec![
        Order::Ordered,
        Order::Strict,
        Order::Unordered,
    ]));
    let country = option::weighted(0.2, select(vec!["US", "DE"]));
    let questions = (steps, window, order, country, range(), filters(), search());
    check(questions.prop_map(
        |((steps, selection), window, order, country, range, filters, search)| Funnel {
            steps,
            selection,
            window,
            order,
            country,
            range,
            filters,
            search,
        },
    ));
}
