//! The fields of each kind of query, as far as the sandbox knows them.

use super::insight_schema as insight;
use super::validation::{FilterTypes, Schema, Shape, field};

/// The body of the request.
pub(super) const REQUEST: Schema = Schema {
    kind: "",
    fields: &[
        field("query", Shape::Node(QUERIES)).required(),
        field(
            "refresh",
            Shape::OneOf(&[
                "async",
                "async_except_on_cache_miss",
                "blocking",
                "force_async",
                "force_blocking",
                "force_cache",
                "lazy_async",
            ]),
        ),
        field("client_query_id", Shape::Text),
        field("async", Shape::Flag),
        field("filters_override", Shape::Map),
        field("variables_override", Shape::Map),
        field("name", Shape::Text).since_2026(),
    ],
};

/// The queries that can be sent by themselves.
const QUERIES: &[&Schema] = &[&ACTORS, &EVENTS, &HOGQL];

pub(super) const TAGS: Schema = Schema {
    kind: "",
    fields: &[
        field("productKey", Shape::Text),
        field("scene", Shape::Text),
    ],
};

pub(super) const HOGQL: Schema = Schema {
    kind: "HogQLQuery",
    fields: &[
        field("query", Shape::Text).required(),
        field("values", Shape::Map),
        field("name", Shape::Text),
        field("filters", Shape::Map),
        field("variables", Shape::Map),
        field("explain", Shape::Flag),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const TEXTS: Shape = Shape::List(&Shape::Text);

const ACTORS: Schema = Schema {
    kind: "ActorsQuery",
    fields: &[
        field("source", Shape::Node(SOURCES)),
        field("search", Shape::Text),
        field("properties", Shape::Filters(FilterTypes::Persons)),
        field("fixedProperties", Shape::Filters(FilterTypes::Persons)),
        field("select", TEXTS),
        field("orderBy", TEXTS),
        field("limit", Shape::Integer),
        field("offset", Shape::Integer),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const EVENTS: Schema = Schema {
    kind: "EventsQuery",
    fields: &[
        field("select", TEXTS).required(),
        field("personId", Shape::Text),
        field("event", Shape::Text),
        field("properties", Shape::Filters(FilterTypes::Events)),
        field("fixedProperties", Shape::Filters(FilterTypes::Events)),
        field("filterTestAccounts", Shape::Flag),
        field("where", TEXTS),
        field("after", Shape::Text),
        field("before", Shape::Text),
        field("orderBy", TEXTS),
        field("limit", Shape::Integer),
        field("offset", Shape::Integer),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

/// What an actors query takes its persons from.
const SOURCES: &[&Schema] = &[
    &HOGQL,
    &insight::INSIGHT_ACTORS,
    &insight::FUNNEL_ACTORS,
    &insight::STICKINESS_ACTORS,
];
