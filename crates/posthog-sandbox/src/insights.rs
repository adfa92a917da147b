//! The persons behind an insight: trends and lifecycle, and the pages they share with the funnel
//! (contract sections 3.17 and 3.18).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::arguments::{Arguments, EventFilters};
use super::call::Call;
use super::dates::text;
use super::entities::{Entity, event_of_action, read_entities};
use super::filters::text as text_of;
use super::persons::{Search, list_item, with_offset};
use super::properties::Properties;
use super::seed::is_test_account;
use super::world::Event;

pub(super) const TRENDS_ARGUMENTS: &[&str] = &[
    "actions",
    "breakdown",
    "breakdown_type",
    "breakdown_value",
    "date_from",
    "date_to",
    "display",
    "entity_id",
    "entity_math",
    "entity_type",
    "events",
    "filter_test_accounts",
    "insight",
    "interval",
    "limit",
    "offset",
    "properties",
    "refresh",
    "search",
];

pub(super) const LIFECYCLE_ARGUMENTS: &[&str] = &[
    "actions",
    "date_from",
    "date_to",
    "events",
    "filter_test_accounts",
    "insight",
    "interval",
    "lifecycle_type",
    "limit",
    "offset",
    "properties",
    "refresh",
    "search",
    "target_date",
];

/// The events of each person, oldest first, by the person they belong to now.
pub(super) fn by_person<'a>(
    call: &'a Call<'_>,
    accept: impl Fn(&Event, &Properties) -> bool,
) -> BTreeMap<Uuid, Vec<&'a Event>> {
    let analytics = &call.world.analytics;
    let mut found: BTreeMap<Uuid, Vec<&Event>> = BTreeMap::new();
    for event in &call.world.events {
        if accept(event, &event.person_properties) {
            let person = analytics.actor(event);
            found.entry(person).or_default().push(event);
        }
    }
    for events in found.values_mut() {
        events.sort_by_key(|event| event.at);
    }
    found
}

/// What narrows the events of any insight.
pub(super) struct Narrowing {
    filters: EventFilters,
    without_test_accounts: bool,
}

impl Narrowing {
    pub(super) fn read(call: &mut Call<'_>, arguments: &Arguments) -> Result<Self, Answer> {
        Ok(Self {
            filters: arguments.filters(call)?,
            without_test_accounts: arguments
                .flag(call, "filter_test_accounts")?
                .unwrap_or(false),
        })
    }

    pub(super) fn accept(&self, event: &Event, person: &Properties) -> bool {
        !(self.without_test_accounts && is_test_account(person))
            && self.filters.accept(event, person)
    }
}

/// Contract 3.18: who did it, and how often, most often first.
pub(super) fn trends(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let arguments = Arguments::read(call)?;
    let Some(id) = arguments.text("entity_id").map(str::to_owned) else {
        return Err(call.strict("trends without entity_id"));
    };
    let event = match arguments.text("entity_type").unwrap_or("events") {
        "events" => id,
        "actions" => event_of_action(&Value::from(id))?,
        other => {
            let detail = format!("the entity_type {other:?}");
            return Err(call.strict(detail));
        }
    };
    let once_per_person = match arguments.text("entity_math").unwrap_or("total") {
        "total" => false,
        "dau" | "weekly_active" | "monthly_active" | "unique_session" => true,
        other => {
            let detail = format!("the entity_math {other:?}");
            return Err(call.strict(detail));
        }
    };
    let entity = Entity::of_event(Some(&event));
    let range = arguments.date_range(call)?;
    let narrowing = Narrowing::read(call, &arguments)?;
    let breakdown = arguments
        .text("breakdown")
        .zip(arguments.text("breakdown_value"));
    let of_person = arguments.text("breakdown_type") == Some("person");
    let in_breakdown = |event: &Event, person: &Properties| match breakdown {
        None => true,
        Some((key, wanted)) => {
            let found = if of_person {
                person.get(key).map(std::borrow::Cow::into_owned)
            } else {
                event.properties.get(key).cloned()
            };
            text_of(&found.unwrap_or_default()).as_deref() == Some(wanted)
        }
    };
    let persons = by_person(call, |event, person| {
        range.contains(event.at)
            && entity.matches(event)
            && narrowing.accept(event, person)
            && in_breakdown(event, person)
    });
    let count = |events: &[&Event]| {
        let times = u64::try_from(events.len()).unwrap_or(u64::MAX);
        if once_per_person { 1 } else { times }
    };
    let mut found: Vec<(Uuid, Option<u64>)> = persons
        .iter()
        .map(|(person, events)| (*person, Some(count(events))))
        .collect();
    found.sort_by_key(|(person, value)| (std::cmp::Reverse(*value), *person));
    actors_page(call, &arguments, found)
}

/// Contract 3.18.
pub(super) fn lifecycle(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let arguments = Arguments::read(call)?;
    let Some(target) = arguments.text("target_date") else {
        return Err(missing("target_date"));
    };
    let Some(kind) = arguments.text("lifecycle_type") else {
        return Err(missing("lifecycle_type"));
    };
    let Some(target) = call.date(target)? else {
        return Err(missing("target_date"));
    };
    let interval = arguments.interval(call)?;
    let narrowing = Narrowing::read(call, &arguments)?;
    let mut entities = read_entities(call, &arguments)?;
    if entities.is_empty() {
        entities.push(Entity::of_event(Some("$pageview")));
    }
    let start = interval.start(target);
    let (previous, end) = (interval.before(start), interval.after(start));
    let persons = by_person(call, |event, person| {
        entities.iter().any(|entity| entity.matches(event)) && narrowing.accept(event, person)
    });
    let primary = &call.world.primary;
    let is = |person: Uuid, events: &[&Event]| {
        let within = |from, to| events.iter().any(|event| from <= event.at && event.at < to);
        let (now, before) = (within(start, end), within(previous, start));
        let created = primary.by_uuid(person).map(|person| person.created_at);
        let is_new = created.is_some_and(|created| start <= created && created < end);
        match (now, before) {
            (true, _) if is_new => "new",
            (true, true) => "returning",
            (true, false) => "resurrecting",
            (false, true) => "dormant",
            (false, false) => "",
        }
    };
    if !matches!(kind, "new" | "returning" | "resurrecting" | "dormant") {
        let detail = format!("the lifecycle_type {kind:?}");
        return Err(call.strict(detail));
    }
    let found: Vec<(Uuid, Option<u64>)> = persons
        .iter()
        .filter(|(person, events)| is(**person, events) == kind)
        .map(|(person, _)| (*person, None))
        .collect();
    let page = actors(call, &arguments, found)?;
    Ok(Answer::json(
        200,
        json!({
            "results": [{"people": page.people, "count": page.people.len()}],
            "next": page.next,
        }),
    ))
}

fn missing(name: &str) -> Answer {
    let detail = format!("Missing {name} parameter");
    Answer::json(400, json!({"message": detail, "detail": detail}))
}

struct Page {
    people: Vec<Value>,
    next: Option<String>,
    missing: usize,
}

pub(super) fn actors_page(
    call: &mut Call<'_>,
    arguments: &Arguments,
    found: Vec<(Uuid, Option<u64>)>,
) -> Result<Answer, Answer> {
    let page = actors(call, arguments, found)?;
    Ok(Answer::json(
        200,
        json!({
            // The count is that of this page.
            "results": [{"people": page.people, "count": page.people.len()}],
            "next": page.next,
            "initial": call.request.absolute_url(),
            "missing_persons": page.missing,
            "is_cached": false,
            "last_refresh": text(call.now),
        }),
    ))
}

fn actors(
    call: &mut Call<'_>,
    arguments: &Arguments,
    mut found: Vec<(Uuid, Option<u64>)>,
) -> Result<Page, Answer> {
    let limit = match arguments.integer(call, "limit")?.unwrap_or(0) {
        0 => 100,
        limit => usize::try_from(limit).unwrap_or(0),
    };
    let offset = arguments.integer(call, "offset")?.unwrap_or(0);
    let offset = usize::try_from(offset).unwrap_or(0);
    if let Some(words) = arguments.text("search") {
        let search = Search::new(call, words);
        let analytics = &call.world.analytics;
        found.retain(|(uuid, _)| {
            let row = analytics.living(*uuid);
            row.is_some_and(|row| search.finds(*uuid, &row.properties))
        });
    }
    let rows: Vec<(Uuid, Option<u64>)> = found.into_iter().skip(offset).take(limit).collect();
    let (analytics, primary) = (&call.world.analytics, &call.world.primary);
    let people: Vec<Value> = rows
        .iter()
        .filter(|(uuid, _)| analytics.living(*uuid).is_some())
        .filter_map(|(uuid, value)| Some(list_item(call, primary.by_uuid(*uuid)?, *value)))
        .collect();
    let next = (limit > 0 && rows.len() >= limit).then(|| next_link(call, offset + limit));
    Ok(Page {
        missing: rows.len() - people.len(),
        people,
        next,
    })
}

/// Absolute at first; once the address has an offset, a relative path without its leading slash.
fn next_link(call: &Call<'_>, offset: usize) -> String {
    if call.request.parameter("offset").is_some() {
        let path = call.request.full_path();
        with_offset(path.trim_start_matches('/'), offset)
    } else {
        with_offset(&call.request.absolute_url(), offset)
    }
}
