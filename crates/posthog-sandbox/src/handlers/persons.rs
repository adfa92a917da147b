//! Reading persons: list, retrieve, cohorts (Persons API, List; Persons API, Retrieve; Persons API, Cohorts).

use std::cmp::Reverse;
use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::read_filters;
use super::context::Context;
use super::discovery::current_project;
use crate::http::{CSV, Response, render_csv};
use crate::model::dates::{Time, format_time};
use crate::model::filters::{Filter, property_text};
use crate::model::identity::{display_name, sorted_distinct_ids};
use crate::model::{AnalyticsRow, Pattern, Person, Properties};

pub(crate) const LIST_QUERY: &[&str] = &[
    "distinct_id",
    "email",
    "include_total",
    "limit",
    "offset",
    "properties",
    "search",
];

const DEFAULT_LIMIT: usize = 100;

/// The query layer returns at most this many rows, whatever the limit.
const MAX_ROWS: usize = 50_000;

const CSV_LIMIT: usize = 300_000;
const MAX_LISTED_DISTINCT_IDS: usize = 1000;

/// Persons API, List.
pub(crate) fn list(context: &mut Context<'_>) -> Result<Response, Response> {
    let csv = context.request.wants_csv();
    let limit = match context.integer("limit", DEFAULT_LIMIT)? {
        0 => DEFAULT_LIMIT,
        limit => limit,
    };
    let offset = context.integer("offset", 0)?;
    let (limit, offset) = if csv { (CSV_LIMIT, 0) } else { (limit, offset) };
    let filters = list_filters(context)?;
    let include_total = context.parameter("include_total").is_some();

    let distinct_id = context.parameter("distinct_id").filter(|id| !id.is_empty());
    let (mut rows, total) = match distinct_id {
        Some(distinct_id) => by_distinct_id(context, distinct_id, &filters, offset),
        None => from_analytics(context, &filters, limit, offset, include_total),
    };
    let full = rows.len() >= limit;
    rows.sort_by_key(|(uuid, created_at)| (Reverse(*created_at), *uuid));
    // A row whose person is not in the primary store only makes the page shorter.
    let primary = &context.project.primary;
    let persons = rows.iter().filter_map(|(uuid, _)| primary.by_uuid(*uuid));
    let results: Vec<Value> = persons
        .map(|person| list_item(context, person, None))
        .collect();
    if csv {
        return Ok(Response::text(200, CSV, render_csv(&results)));
    }
    let (next, previous) = page_links(context, limit, offset, full);
    let mut page = json!({"results": results, "next": next, "previous": previous});
    if include_total && let Some(page) = page.as_object_mut() {
        page.insert("count".to_owned(), json!(total));
    }
    Ok(Response::json(200, page))
}

/// A row of the list, before its person is looked up.
type Found = (Uuid, Time);

/// The exact lookup reads the primary store, so it also finds a person that a tombstone hides from every other list
/// (Persons API, Deletion and reuse).
fn by_distinct_id(
    context: &Context<'_>,
    distinct_id: &str,
    filters: &ListFilters,
    offset: usize,
) -> (Vec<Found>, usize) {
    let person = context.project.primary.by_distinct_id(distinct_id);
    let person = person.filter(|person| filters.accept(person.uuid, &person.properties));
    let total = usize::from(person.is_some());
    let rows = person.map(|person| (person.uuid, person.created_at));
    (rows.into_iter().skip(offset).collect(), total)
}

fn from_analytics(
    context: &Context<'_>,
    filters: &ListFilters,
    limit: usize,
    offset: usize,
    include_total: bool,
) -> (Vec<Found>, usize) {
    let analytics = &context.project.analytics;
    let found = |(uuid, row): (Uuid, &AnalyticsRow)| (uuid, row.created_at);
    let cap = if context.request.wants_csv() {
        CSV_LIMIT
    } else {
        MAX_ROWS
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

/// The filters of a list, all of which must match.
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
                .and_then(property_text)
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

/// Matches a substring of the e-mail, the name, the UUID or any distinct id.
pub(crate) struct Search {
    pattern: Pattern,
    by_distinct_id: HashSet<Uuid>,
}

impl Search {
    pub(crate) fn new(context: &Context<'_>, words: &str) -> Self {
        let pattern = Pattern::containing(words.trim());
        let distinct_ids = context.project.analytics.distinct_ids();
        let matching = distinct_ids.filter(|(distinct_id, _)| pattern.matches(distinct_id));
        Self {
            by_distinct_id: matching.map(|(_, person)| person).collect(),
            pattern,
        }
    }

    pub(crate) fn finds(&self, uuid: Uuid, properties: &Properties) -> bool {
        let in_property = |key: &str| {
            let value = properties.get(key);
            let value = value.as_deref().and_then(property_text);
            value.is_some_and(|value| self.pattern.matches(&value))
        };
        self.by_distinct_id.contains(&uuid)
            || in_property("email")
            || in_property("name")
            || self.pattern.matches(&uuid.to_string())
    }
}

fn list_filters(context: &mut Context<'_>) -> Result<ListFilters, Response> {
    let given = |name: &str| context.parameter(name).filter(|text| !text.is_empty());
    let email = given("email").map(str::to_owned);
    let search = given("search").map(|words| Search::new(context, words));
    let properties = given("properties").map(str::to_owned);
    let properties = match properties {
        Some(written) => read_filters(context, &written)?,
        None => Vec::new(),
    };
    Ok(ListFilters {
        email,
        search,
        properties,
    })
}

/// `next` and `previous`. Only `offset` is replaced, and not when it would be zero, so that `previous` of the second
/// page is the second page.
fn page_links(
    context: &Context<'_>,
    limit: usize,
    offset: usize,
    full: bool,
) -> (Option<String>, Option<String>) {
    let url = context.request.absolute_url();
    let next = full.then(|| with_offset(&url, offset.saturating_add(limit)));
    let previous = match offset.checked_sub(limit) {
        None => None,
        Some(0) => Some(url),
        Some(offset) => Some(with_offset(&url, offset)),
    };
    (next, previous)
}

/// The same URL with another `offset`.
pub(crate) fn with_offset(url: &str, offset: usize) -> String {
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

/// Persons API, Other endpoints.
pub(crate) fn create_not_allowed(_: &mut Context<'_>) -> Result<Response, Response> {
    Err(Response::method_not_allowed("POST"))
}

/// Persons API, Retrieve.
pub(crate) fn retrieve(context: &mut Context<'_>) -> Result<Response, Response> {
    let person = context.person()?;
    Ok(Response::json(
        200,
        person_record(context, person, usize::MAX),
    ))
}

/// Persons API, Other endpoints. The feature is off.
pub(crate) fn emails(_: &mut Context<'_>) -> Result<Response, Response> {
    Err(Response::not_found("Not found."))
}

/// A person in the response of retrieve and batch, where `id` is the number.
pub(crate) fn person_record(context: &Context<'_>, person: &Person, distinct_ids: usize) -> Value {
    json!({
        "id": person.id,
        "name": display_name_of(context, person),
        "distinct_ids": sorted_distinct_ids(&person.distinct_ids, distinct_ids),
        "properties": context.visible_properties(&person.properties),
        "created_at": format_time(person.created_at),
        "uuid": person.uuid.to_string(),
        "last_seen_at": person.last_seen_at.map(format_time),
    })
}

/// A person in lists and insights, where `id` is the UUID.
pub(crate) fn list_item(context: &Context<'_>, person: &Person, value: Option<u64>) -> Value {
    json!({
        "type": "person",
        "id": person.uuid.to_string(),
        "uuid": person.uuid.to_string(),
        "name": display_name_of(context, person),
        "distinct_ids": sorted_distinct_ids(&person.distinct_ids, MAX_LISTED_DISTINCT_IDS),
        "properties": context.visible_properties(&person.properties),
        "created_at": format_time(person.created_at),
        "last_seen_at": person.last_seen_at.map(format_time),
        "is_identified": person.is_identified,
        "matched_recordings": [],
        "value_at_data_point": value,
    })
}

fn display_name_of(context: &Context<'_>, person: &Person) -> Value {
    let restricted = &context.behaviors.restricted_properties;
    let visible = context.options.display_properties.iter();
    let visible: Vec<String> = visible
        .filter(|key| !restricted.contains(key))
        .cloned()
        .collect();
    display_name(
        &visible,
        &person.properties,
        &person.distinct_ids,
        person.id,
    )
}

/// Persons API, Cohorts. The person is looked up in the project of the path, its cohorts in the key owner's current
/// project.
pub(crate) fn cohorts(context: &mut Context<'_>) -> Result<Response, Response> {
    let Some(id) = context.parameter("person_id").map(str::to_owned) else {
        return Err(context.crash("cohorts without person_id"));
    };
    let person = context.person_by_id(&id)?.uuid;
    let here = current_project(context.behaviors) == context.project.id;
    let cohorts = context.project.cohorts.iter();
    let results: Vec<Value> = cohorts
        .filter(|cohort| here && cohort.members.contains(&person))
        .map(|cohort| json!({"id": cohort.id, "name": cohort.name, "count": cohort.count}))
        .collect();
    Ok(Response::json(200, json!({"results": results})))
}
