//! Trends: who did an event in the range, and how often.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::project::{ACTIONS, EVENTS, Event, Person, Project};
use super::question::{Filters, Question, Range, check, filters, is_found, range, search};

/// What a breakdown calls the events without the property.
const NONE: &str = "$$_posthog_breakdown_null_$$";

#[derive(Debug)]
struct Trend {
    entity: Entity,
    math: Option<&'static str>,
    range: Range,
    breakdown: Option<Breakdown>,
    filters: Filters,
    search: Option<&'static str>,
}

#[derive(Debug, Clone)]
enum Entity {
    Event(&'static str),
    Action(u32, &'static str),
}

#[derive(Debug, Clone)]
struct Breakdown {
    of_person: bool,
    value: Option<&'static str>,
}

impl Breakdown {
    fn has(&self, event: &Event) -> bool {
        let found = if self.of_person {
            event.properties.country
        } else {
            event.browser
        };
        self.value
            .is_none_or(|value| found.unwrap_or(NONE) == value)
    }
}

impl Question for Trend {
    const TOOL: &'static str = "persons-trends";
    const FIELD: &'static str = "value_at_data_point";

    fn arguments(&self) -> Value {
        let mut arguments = match self.entity {
            Entity::Event(name) => json!({"entity_id": name}),
            Entity::Action(number, _) => {
                json!({"entity_id": number.to_string(), "entity_type": "actions"})
            }
        };
        let search = ("search", self.search);
        for (name, value) in [("entity_math", self.math), search] {
            if let Some(value) = value {
                arguments[name] = value.into();
            }
        }
        if let Some(breakdown) = &self.breakdown {
            let (key, kind) = match breakdown.of_person {
                true => ("country", "person"),
                false => ("$browser", "event"),
            };
            arguments["breakdown"] = key.into();
            arguments["breakdown_type"] = kind.into();
            if let Some(value) = breakdown.value {
                arguments["breakdown_value"] = value.into();
            }
        }
        self.range.add_to(&mut arguments);
        self.filters.add_to(&mut arguments);
        arguments
    }

    fn about(&self, person: &Person, project: &Project) -> Option<Value> {
        let (Entity::Event(name) | Entity::Action(_, name)) = self.entity;
        let counted = person.events.iter().filter(|event| {
            event.name == name
                && self.range.contains(event)
                && self.filters.accept(event, person, project)
                && self
                    .breakdown
                    .as_ref()
                    .is_none_or(|breakdown| breakdown.has(event))
        });
        let count = counted.count();
        (count > 0 && is_found(person, self.search)).then(|| json!(count))
    }
}

#[test]
fn persons_of_a_trend() {
    let entity = prop_oneof![
        3 => select(EVENTS.to_vec()).prop_map(Entity::Event),
        1 => select(ACTIONS.to_vec()).prop_map(|(number, name)| Entity::Action(number, name)),
    ];
    // It counts in a chart, and changes nothing about the persons of a range.
    let math = option::of(select(vec![
        "total",
        "dau",
        "weekly_active",
        "monthly_active",
        "unique_session",
    ]));
    let value = prop_oneof![
        (Just(true), option::of(select(vec!["US", "DE", NONE]))),
        (
            Just(false),
            option::of(select(vec!["Chrome", "Safari", NONE]))
        ),
    ];
    let breakdown = option::weighted(
        0.4,
        value.prop_map(|(of_person, value)| Breakdown { of_person, value }),
    );
    let questions = (entity, math, range(), breakdown, filters(), search());
    check(
        questions.prop_map(|(entity, math, range, breakdown, filters, search)| Trend {
            entity,
            math,
            range,
            breakdown,
            filters,
            search,
        }),
    );
}
