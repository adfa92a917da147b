//! Reading persons: list and retrieve (Persons API, List; Persons API, Retrieve).

use std::cmp::Reverse;

use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::read_filters;
use super::context::Context;
use super::merge::merged;
use super::paging::page_links;
use super::search::Search;
use crate::http::{CSV, Response, render_csv};
use crate::model::dates::{Time, format_time};
use crate::model::filters::{Filter, property_text};
use crate::model::identity::{display_name, sorted_distinct_ids};
use crate::model::{AnalyticsRow, Era, Person, Properties};

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

/// The query layer returns at most this many rows, whatever the limit, and as CSV too.
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
    if csv && results.is_empty() {
        return Ok(Response::empty(200));
    }
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

/// Since September 2026 the exact lookup reads the primary store, so it also finds a person that a tombstone hides from
/// every other list (Persons API, Deletion and reuse).
fn by_distinct_id(
    context: &Context<'_>,
    distinct_id: &str,
    filters: &ListFilters,
    offset: usize,
) -> (Vec<Found>, usize) {
    let person = context.project.primary.by_distinct_id(distinct_id);
    let person = person.filter(|person| {
        let shown = context.era() >= Era::September2026
            || context.project.analytics.active(person.uuid).is_some();
        shown && filters.accept(person.uuid, &person.properties)
    });
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
    let take = limit.min(MAX_ROWS);
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

/// Persons API, Other endpoints.
pub(crate) fn create_not_allowed(_: &mut Context<'_>) -> Result<Response, Response> {
    let detail = "Creating persons via this API is not allowed. Please create persons by sending an \
                  $identify event. See https://posthog.com/docs/product-analytics/identify for details.";
    Err(Response::error(
        405,
        "invalid_request",
        "method_not_allowed",
        detail,
        None,
    ))
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
    let record = json!({
        "id": person.id,
        "name": display_name_of(context, person),
        "distinct_ids": sorted_distinct_ids(&person.distinct_ids, distinct_ids),
        "properties": context.visible_properties(&person.properties),
        "created_at": format_time(person.created_at),
        "uuid": person.uuid.to_string(),
    });
    with_last_seen(record, person, context.era() >= Era::June2026)
}

/// A person in lists and insights, where `id` is the UUID.
pub(crate) fn list_item(context: &Context<'_>, person: &Person, value: Option<u64>) -> Value {
    let item = json!({
        "type": "person",
        "id": person.uuid.to_string(),
        "uuid": person.uuid.to_string(),
        "name": display_name_of(context, person),
        "distinct_ids": sorted_distinct_ids(&person.distinct_ids, MAX_LISTED_DISTINCT_IDS),
        "properties": context.visible_properties(&person.properties),
        "created_at": format_time(person.created_at),
        "is_identified": person.is_identified,
        "matched_recordings": [],
        "value_at_data_point": value,
    });
    with_last_seen(item, person, context.era() >= Era::September2026)
}

/// Adds `last_seen_at`, if the version has it.
fn with_last_seen(written: Value, person: &Person, has_it: bool) -> Value {
    if has_it {
        let last_seen_at = person.last_seen_at.map(format_time);
        merged(written, json!({"last_seen_at": last_seen_at}))
    } else {
        written
    }
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
