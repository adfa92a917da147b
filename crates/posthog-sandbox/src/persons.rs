//! Reading persons: list, retrieve, cohorts (contract sections 3.1, 3.2, 3.12).

use std::cmp::Reverse;
use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::{Answer, CSV};
use super::arguments::read_filters;
use super::call::Call;
use super::csv;
use super::dates::{Time, text};
use super::discovery::current_project;
use super::filters::{Filter, text as text_of};
use super::identity::{display_name, sorted_distinct_ids};
use super::pattern::Pattern;
use super::properties::Properties;
use super::stores::{Person, Row};

pub(super) const LIST_QUERY: &[&str] = &[
    "distinct_id",
    "email",
    "include_total",
    "limit",
    "offset",
    "properties",
    "search",
];

const DEFAULT_LIMIT: usize = 100;

/// The query layer never returns more rows than this, whatever the limit says.
const ROW_CAP: usize = 50_000;

const CSV_LIMIT: usize = 300_000;
const LISTED_DISTINCT_IDS: usize = 1000;

/// Contract 3.1.
pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let csv = call.request.wants_csv();
    let limit = match call.integer("limit", DEFAULT_LIMIT)? {
        0 => DEFAULT_LIMIT,
        limit => limit,
    };
    let offset = call.integer("offset", 0)?;
    let (limit, offset) = if csv { (CSV_LIMIT, 0) } else { (limit, offset) };
    let filters = list_filters(call)?;
    let include_total = call.parameter("include_total").is_some();

    let distinct_id = call.parameter("distinct_id").filter(|id| !id.is_empty());
    let (mut rows, total) = match distinct_id {
        Some(distinct_id) => by_distinct_id(call, distinct_id, &filters, offset),
        None => from_analytics(call, &filters, limit, offset, include_total),
    };
    let full = rows.len() >= limit;
    rows.sort_by_key(|(uuid, created_at)| (Reverse(*created_at), *uuid));
    // A row whose person has left the primary store makes the page shorter, and nothing else.
    let primary = &call.world.primary;
    let persons = rows.iter().filter_map(|(uuid, _)| primary.by_uuid(*uuid));
    let results: Vec<Value> = persons
        .map(|person| list_item(call, person, None))
        .collect();
    if csv {
        return Ok(Answer::text(200, CSV, csv::render(&results)));
    }
    let (next, previous) = neighbours(call, limit, offset, full);
    let mut page = json!({"results": results, "next": next, "previous": previous});
    if include_total && let Some(page) = page.as_object_mut() {
        page.insert("count".to_owned(), json!(total));
    }
    Ok(Answer::json(200, page))
}

/// A row of the list, before its person is looked up.
type Found = (Uuid, Time);

/// The exact lookup goes through the primary store, so that it also finds a person whom a
/// tombstone hides from every other list (contract section 8).
fn by_distinct_id(
    call: &Call<'_>,
    distinct_id: &str,
    filters: &ListFilters,
    offset: usize,
) -> (Vec<Found>, usize) {
    let person = call.world.primary.by_distinct_id(distinct_id);
    let person = person.filter(|person| filters.accept(person.uuid, &person.properties));
    let total = usize::from(person.is_some());
    let rows = person.map(|person| (person.uuid, person.created_at));
    (rows.into_iter().skip(offset).collect(), total)
}

fn from_analytics(
    call: &Call<'_>,
    filters: &ListFilters,
    limit: usize,
    offset: usize,
    include_total: bool,
) -> (Vec<Found>, usize) {
    let analytics = &call.world.analytics;
    let found = |(uuid, row): (Uuid, &Row)| (uuid, row.created_at);
    let cap = if call.request.wants_csv() {
        CSV_LIMIT
    } else {
        ROW_CAP
    };
    let take = limit.min(cap);
    if filters.is_empty() {
        let rows = analytics.in_order().skip(offset).take(take);
        return (rows.map(found).collect(), analytics.count());
    }
    let matching = || {
        analytics
            .in_order()
            .filter(|(uuid, row)| filters.accept(*uuid, &row.properties))
    };
    let rows = matching().skip(offset).take(take).map(found).collect();
    let total = if include_total { matching().count() } else { 0 };
    (rows, total)
}

/// What narrows a list, all of it at once.
struct ListFilters {
    email: Option<String>,
    search: Option<Search>,
    properties: Vec<Filter>,
}

impl ListFilters {
    fn is_empty(&self) -> bool {
        self.email.is_none() && self.search.is_none() && self.properties.is_empty()
    }

    fn accept(&self, uuid: Uuid, properties: &Properties) -> bool {
        let email = self.email.as_deref();
        email.is_none_or(|email| {
            properties
                .get("email")
                .as_deref()
                .and_then(text_of)
                .as_deref()
                == Some(email)
        }) && self
            .search
            .as_ref()
            .is_none_or(|search| search.finds(uuid, properties))
            && self
                .properties
                .iter()
                .all(|filter| filter.matches(properties, uuid))
    }
}

/// A substring of the e-mail, the name, the UUID or any distinct id.
pub(super) struct Search {
    pattern: Pattern,
    by_distinct_id: HashSet<Uuid>,
}

impl Search {
    pub(super) fn new(call: &Call<'_>, words: &str) -> Self {
        let pattern = Pattern::containing(words.trim());
        let distinct_ids = call.world.analytics.distinct_ids();
        let matching = distinct_ids.filter(|(distinct_id, _)| pattern.matches(distinct_id));
        Self {
            by_distinct_id: matching.map(|(_, person)| person).collect(),
            pattern,
        }
    }

    pub(super) fn finds(&self, uuid: Uuid, properties: &Properties) -> bool {
        let in_property = |key: &str| {
            let value = properties.get(key);
            let value = value.as_deref().and_then(text_of);
            value.is_some_and(|value| self.pattern.matches(&value))
        };
        self.by_distinct_id.contains(&uuid)
            || in_property("email")
            || in_property("name")
            || self.pattern.matches(&uuid.to_string())
    }
}

fn list_filters(call: &mut Call<'_>) -> Result<ListFilters, Answer> {
    let given = |name: &str| call.parameter(name).filter(|text| !text.is_empty());
    let email = given("email").map(str::to_owned);
    let search = given("search").map(|words| Search::new(call, words));
    let properties = given("properties").map(str::to_owned);
    let properties = match properties {
        Some(written) => read_filters(call, &written)?,
        None => Vec::new(),
    };
    Ok(ListFilters {
        email,
        search,
        properties,
    })
}

/// `next` and `previous` with their quirks: only `offset` is replaced, and a zero offset is not
/// written, so that the second page's `previous` is the second page.
fn neighbours(
    call: &Call<'_>,
    limit: usize,
    offset: usize,
    full: bool,
) -> (Option<String>, Option<String>) {
    let url = call.request.absolute_url();
    let next = full.then(|| with_offset(&url, offset.saturating_add(limit)));
    let previous = match offset.checked_sub(limit) {
        None => None,
        Some(0) => Some(url),
        Some(offset) => Some(with_offset(&url, offset)),
    };
    (next, previous)
}

/// The same address with another `offset`, everything else left as it was sent.
pub(super) fn with_offset(url: &str, offset: usize) -> String {
    let Some((base, query)) = url.split_once('?') else {
        return format!("{url}?offset={offset}");
    };
    let mut found = false;
    let mut parts: Vec<String> = Vec::new();
    for part in query.split('&') {
        if part.starts_with("offset=") {
            found = true;
            parts.push(format!("offset={offset}"));
        } else {
            parts.push(part.to_owned());
        }
    }
    if !found {
        parts.push(format!("offset={offset}"));
    }
    format!("{base}?{}", parts.join("&"))
}

/// Contract 3.18, after the scope check of the route.
pub(super) fn create_not_allowed(_: &mut Call<'_>) -> Result<Answer, Answer> {
    Err(Answer::method_not_allowed("POST"))
}

/// Contract 3.2.
pub(super) fn retrieve(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let person = call.person()?;
    Ok(Answer::json(200, record(call, person, usize::MAX)))
}

/// Contract 3.18: served only where the feature is on, which it is not.
pub(super) fn emails(_: &mut Call<'_>) -> Result<Answer, Answer> {
    Err(Answer::not_found("Not found."))
}

/// `PersonRecord`, as retrieve and batch write it: `id` is the number.
pub(super) fn record(call: &Call<'_>, person: &Person, distinct_ids: usize) -> Value {
    json!({
        "id": person.id,
        "name": name(call, person),
        "distinct_ids": sorted_distinct_ids(&person.distinct_ids, distinct_ids),
        "properties": call.visible(&person.properties),
        "created_at": text(person.created_at),
        "uuid": person.uuid.to_string(),
        "last_seen_at": person.last_seen_at.map(text),
    })
}

/// `PersonListItem`, as lists and insights write it: `id` is the UUID.
pub(super) fn list_item(call: &Call<'_>, person: &Person, value: Option<u64>) -> Value {
    json!({
        "type": "person",
        "id": person.uuid.to_string(),
        "uuid": person.uuid.to_string(),
        "name": name(call, person),
        "distinct_ids": sorted_distinct_ids(&person.distinct_ids, LISTED_DISTINCT_IDS),
        "properties": call.visible(&person.properties),
        "created_at": text(person.created_at),
        "last_seen_at": person.last_seen_at.map(text),
        "is_identified": person.is_identified,
        "matched_recordings": [],
        "value_at_data_point": value,
    })
}

fn name(call: &Call<'_>, person: &Person) -> Value {
    let restricted = &call.behaviors.restricted_properties;
    let shown = call.options.display_properties.iter();
    let shown: Vec<String> = shown
        .filter(|key| !restricted.contains(key))
        .cloned()
        .collect();
    display_name(&shown, &person.properties, &person.distinct_ids, person.id)
}

/// Contract 3.12. The person is looked up in the project of the path, its cohorts in the project
/// that the owner of the key has open.
pub(super) fn cohorts(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let Some(id) = call.parameter("person_id").map(str::to_owned) else {
        return Err(call.crash("cohorts without person_id"));
    };
    let person = call.person_by_id(&id)?.uuid;
    let here = current_project(call) == call.world.project;
    let cohorts = call.world.cohorts.iter();
    let results: Vec<Value> = cohorts
        .filter(|cohort| here && cohort.members.contains(&person))
        .map(|cohort| json!({"id": cohort.id, "name": cohort.name, "count": cohort.count}))
        .collect();
    Ok(Answer::json(200, json!({"results": results})))
}
