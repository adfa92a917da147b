//! Random projects: persons and what they did, as a seed of the sandbox.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

pub(super) type Time = DateTime<Utc>;

/// The sandbox's clock, a Monday.
pub(super) fn now() -> Time {
    time("2026-11-02T09:00:00Z")
}

pub(super) fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// The number of the cohort of the persons with an even number.
pub(super) const COHORT: u64 = 77;

/// The sandbox's actions, which are events by another name.
pub(super) const ACTIONS: [(u32, &str); 2] = [(1, "sign up"), (2, "purchase")];

pub(super) const EVENTS: [&str; 6] = [
    "sign up",
    "purchase",
    "$pageview",
    "$screen",
    "trial started",
    "note saved",
];

/// Pages, of which the first two are the same place.
pub(super) const PAGES: [&str; 5] = [
    "https://app.example.com/",
    "https://app.example.com",
    "https://app.example.com/pricing",
    "https://app.example.com/docs/",
    "https://app.example.com/docs?page=2",
];

pub(super) const SCREENS: [&str; 3] = ["Home", "Settings", "Note"];

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Properties {
    pub(super) email: Option<String>,
    pub(super) country: Option<&'static str>,
    pub(super) plan: Option<&'static str>,
}

impl Properties {
    fn json(&self) -> Value {
        let fields = [
            ("email", self.email.as_deref()),
            ("country", self.country),
            ("plan", self.plan),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) uuid: String,
    pub(super) distinct_ids: Vec<String>,
    pub(super) created: Time,
    pub(super) in_cohort: bool,
    /// Today's.
    pub(super) properties: Properties,
    /// Oldest first.
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Time,
    pub(super) name: &'static str,
    pub(super) browser: Option<&'static str>,
    pub(super) page: &'static str,
    pub(super) screen: &'static str,
    distinct_id: String,
    /// The person's at the time of the event.
    pub(super) properties: Properties,
}

#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) persons: Vec<Person>,
    /// Whether filters see today's properties of persons, as in older versions, or those at the time of an event.
    pub(super) filters_see_today: bool,
}

impl Project {
    pub(super) fn seed(&self) -> Value {
        let persons = self.persons.iter().zip(1..).map(|(person, number)| {
            json!({
                "id": 100 + number, "uuid": person.uuid, "created_at": person.created.to_rfc3339(),
                "distinct_ids": person.distinct_ids, "properties": person.properties.json(),
            })
        });
        let mut events: Vec<&Event> = self
            .persons
            .iter()
            .flat_map(|person| &person.events)
            .collect();
        events.sort_by_key(|event| event.at);
        let events = events.into_iter().map(|event| {
            let mut properties = json!({});
            if let Some(browser) = event.browser {
                properties["$browser"] = browser.into();
            }
            match event.name {
                "$pageview" => properties["$current_url"] = event.page.into(),
                "$screen" => properties["$screen_name"] = event.screen.into(),
                _ => {}
            }
            json!({
                "event": event.name, "timestamp": event.at.to_rfc3339(), "distinct_id": event.distinct_id,
                "properties": properties, "person_properties_then": event.properties.json(),
            })
        });
        let members = self.persons.iter().filter(|person| person.in_cohort);
        let members: Vec<&str> = members
            .map(|person| person.distinct_ids[0].as_str())
            .collect();
        json!({
            "now": now().to_rfc3339(),
            "seed": persons.collect::<Vec<_>>(),
            "events": events.collect::<Vec<_>>(),
            "cohorts": [{"id": COHORT, "name": "Even", "is_static": true, "members": members}],
        })
    }
}

/// A visit: its first event, in hours before now, the plan at that time, and the events with the pauses before them.
type Visit = (i64, Option<&'static str>, Vec<(i64, Did)>);
/// An event: its name, browser, page and screen, and which distinct id it has.
type Did = (
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static str,
    bool,
);

fn plan() -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.8, select(vec!["free", "trial", "pro"]))
}

fn did() -> impl Strategy<Value = Did> {
    let name = prop_oneof![2 => select(EVENTS.to_vec()), 1 => Just("$pageview")];
    let browser = option::weighted(0.8, select(vec!["Chrome", "Safari"]));
    (
        name,
        browser,
        select(PAGES.to_vec()),
        select(SCREENS.to_vec()),
        any::<bool>(),
    )
}

fn visit() -> impl Strategy<Value = Visit> {
    // Many at midnight, which is where periods begin.
    let hours = prop_oneof![3 => 1_i64..=660, 1 => (0_i64..=27).prop_map(|days| 9 + 24 * days)];
    // In seconds; a path ends with a pause of half an hour.
    let pause = select(vec![0, 0, 1, 60, 60, 240, 1799, 1800, 1801, 4000]);
    let short = vec((pause, did()), 1..=5);
    let read = did().prop_map(|(_, browser, page, screen, second)| {
        (30, ("$pageview", browser, page, screen, second))
    });
    // Long enough for paths of more steps than PostHog looks at by default.
    let long = vec(read, 7..=14);
    (hours, plan(), prop_oneof![5 => short, 1 => long])
}

fn person(number: usize) -> impl Strategy<Value = Person> {
    let email = option::weighted(0.8, select(vec!["example.com", "example.org"]));
    let country = option::weighted(0.8, select(vec!["US", "DE"]));
    // How long before its first event a person was created.
    let created = select(vec![0, 0, 3600, 86_400, 5 * 86_400, 40 * 86_400]);
    (email, country, plan(), created, vec(visit(), 0..=8)).prop_map(
        move |(email, country, plan, created_before, visits)| {
            let distinct_ids = vec![format!("person-{number}"), format!("visitor {number}")];
            let email = email.map(|host| format!("person.{number}@{host}"));
            let mut events: Vec<Event> = Vec::new();
            for (hours, plan, done) in visits {
                let mut at = now() - TimeDelta::hours(hours);
                for (pause, (name, browser, page, screen, second)) in done {
                    at += TimeDelta::seconds(pause);
                    let properties = Properties {
                        email: email.clone(),
                        country,
                        plan,
                    };
                    let distinct_id = distinct_ids[usize::from(second)].clone();
                    events.push(Event {
                        at,
                        name,
                        browser,
                        page,
                        screen,
                        distinct_id,
                        properties,
                    });
                }
            }
            events.retain(|event| event.at <= now());
            events.sort_by_key(|event| event.at);
            let first = events.first().map_or(now(), |event| event.at);
            Person {
                uuid: format!("0190f1aa-0000-7000-8000-{number:012}"),
                distinct_ids,
                created: first - TimeDelta::seconds(created_before),
                in_cohort: number.is_multiple_of(2),
                properties: Properties {
                    email,
                    country,
                    plan,
                },
                events,
            }
        },
    )
}

/// A project with persons who did much of the same in the same weeks.
pub(super) fn project(filters_see_today: bool) -> impl Strategy<Value = Project> {
    let persons: Vec<_> = (1..=16).map(person).collect();
    persons.prop_map(move |persons| Project {
        persons,
        filters_see_today,
    })
}
