//! Paths: what a person looked at, one thing after another, without a pause of half an hour.

use chrono::TimeDelta;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::project::{EVENTS, Event, PAGES, Person, Project, SCREENS};
use super::question::{Filters, Question, Range, check, person_filters, range};

#[derive(Debug)]
struct Path {
    kind: Kind,
    item: &'static str,
    step: usize,
    position: &'static str,
    start: Option<&'static str>,
    range: Range,
    filters: Filters,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Pageview,
    Screen,
    CustomEvent,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Pageview => "pageview",
            Self::Screen => "screen",
            Self::CustomEvent => "custom_event",
        }
    }

    fn items(self) -> Vec<&'static str> {
        match self {
            Self::Pageview => PAGES.to_vec(),
            Self::Screen => SCREENS.to_vec(),
            Self::CustomEvent => EVENTS
                .into_iter()
                .filter(|name| !name.starts_with('$'))
                .collect(),
        }
    }

    fn item(self, event: &Event) -> Option<&'static str> {
        match self {
            Self::Pageview => (event.name == "$pageview").then(|| place(event.page)),
            Self::Screen => (event.name == "$screen").then_some(event.screen),
            Self::CustomEvent => (!event.name.starts_with('$')).then_some(event.name),
        }
    }
}

/// A page with and without a slash at its end is the same.
fn place(page: &'static str) -> &'static str {
    page.strip_suffix('/').unwrap_or(page)
}

impl Path {
    fn paths(&self, person: &Person, project: &Project) -> Vec<Vec<&'static str>> {
        let events = person.events.iter();
        let events = events.filter(|event| {
            self.range.contains(event) && self.filters.accept(event, person, project)
        });
        let items: Vec<_> = events
            .filter_map(|event| Some((event.at, self.kind.item(event)?)))
            .collect();
        let visits =
            items.chunk_by(|(left, _), (right, _)| *right - *left < TimeDelta::minutes(30));
        let mut paths: Vec<Vec<&str>> = Vec::new();
        for visit in visits {
            let mut path: Vec<&str> = visit.iter().map(|(_, item)| *item).collect();
            path.dedup();
            paths.push(path);
        }
        match self.start.map(place) {
            None => paths,
            Some(start) => {
                let from_start = paths.into_iter().filter_map(|path| {
                    let begin = path.iter().position(|item| *item == start)?;
                    Some(path[begin..].to_vec())
                });
                from_start.collect()
            }
        }
    }
}

impl Question for Path {
    const TOOL: &'static str = "persons-paths";

    fn arguments(&self) -> Value {
        let mut arguments =
            json!({"item": self.item, "step": self.step, "position": self.position});
        if !matches!(self.kind, Kind::Pageview) {
            arguments["path_type"] = self.kind.name().into();
        }
        if let Some(start) = self.start {
            arguments["start_point"] = start.into();
        }
        self.range.add_to(&mut arguments);
        self.filters.add_to(&mut arguments);
        arguments
    }

    fn about(&self, person: &Person, project: &Project) -> Option<Value> {
        let paths = self.paths(person, project);
        let here = paths.iter().any(|path| {
            let is_last = path.len() == self.step;
            path.get(self.step - 1) == Some(&place(self.item))
                && match self.position {
                    "continued" => !is_last,
                    "dropped_off" => is_last,
                    _ => true,
                }
        });
        here.then_some(Value::Null)
    }
}

#[test]
fn persons_of_a_path() {
    let kind = select(vec![
        Kind::Pageview,
        Kind::Pageview,
        Kind::Screen,
        Kind::CustomEvent,
    ]);
    let place = kind.prop_flat_map(|kind| {
        let start = option::weighted(0.3, select(kind.items()));
        (Just(kind), select(kind.items()), start)
    });
    let step = prop_oneof![2 => 1_usize..=2, 1 => 3_usize..=7];
    let position = select(vec!["arrived", "continued", "dropped_off"]);
    let questions = (place, step, position, range(), person_filters());
    let questions =
        questions.prop_map(
            |((kind, item, start), step, position, range, filters)| Path {
                kind,
                item,
                // Nobody arrives where a path begins.
                step: if position == "arrived" {
                    step + 1
                } else {
                    step
                },
                position,
                start,
                range,
                filters,
            },
        );
    check(questions);
}
