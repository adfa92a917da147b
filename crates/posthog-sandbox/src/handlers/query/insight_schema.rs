//! The fields of the insights, and of the queries for their persons.

use super::schema::TAGS;
use super::validation::{FilterTypes, Schema, Shape, field};

pub(super) const INSIGHT_ACTORS: Schema = Schema {
    kind: "InsightActorsQuery",
    fields: &[
        field("source", Shape::Node(INSIGHTS)).required(),
        field("day", DAY),
        field("status", Shape::Text),
        field("interval", Shape::Integer),
        field("series", Shape::Integer),
        field("breakdown", BREAKDOWN_VALUE),
        field("compare", Shape::OneOf(&["current", "previous"])),
        field("includeRecordings", Shape::Flag),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

pub(super) const FUNNEL_ACTORS: Schema = Schema {
    kind: "FunnelsActorsQuery",
    fields: &[
        field("source", Shape::Node(&[&FUNNELS])).required(),
        field("funnelStep", Shape::Integer),
        field("funnelCustomSteps", Shape::List(&Shape::Integer)),
        field("funnelStepBreakdown", BREAKDOWN_VALUE),
        field("funnelTrendsDropOff", Shape::Flag),
        field("funnelTrendsEntrancePeriodStart", Shape::Text),
        field("includeRecordings", Shape::Flag),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

pub(super) const STICKINESS_ACTORS: Schema = Schema {
    kind: "StickinessActorsQuery",
    fields: &[
        field("source", Shape::Node(&[&STICKINESS])).required(),
        field("day", DAY),
        field("operator", Shape::OneOf(&["exact", "gte", "lte"])),
        field("series", Shape::Integer),
        field("includeRecordings", Shape::Flag),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const INSIGHTS: &[&Schema] = &[
    &TRENDS,
    &FUNNELS,
    &RETENTION,
    &PATHS,
    &STICKINESS,
    &LIFECYCLE,
];

const DAY: Shape = Shape::Either(&[Shape::Text, Shape::Integer]);

const BREAKDOWN_VALUE: Shape = Shape::Either(&[
    Shape::Text,
    Shape::Number,
    Shape::List(&Shape::Either(&[Shape::Text, Shape::Number])),
]);

const INTERVAL: Shape = Shape::OneOf(&["minute", "hour", "day", "week", "month"]);

const DATES: Shape = Shape::Object(&Schema {
    kind: "",
    fields: &[
        field("date_from", Shape::Text),
        field("date_to", Shape::Text),
        field("explicitDate", Shape::Flag),
    ],
});

const FILTERS: Shape = Shape::Filters(FilterTypes::Events);

const SERIES: Shape = Shape::List(&Shape::Node(&[&EVENTS_NODE, &ACTIONS_NODE]));

const EVENTS_NODE: Schema = Schema {
    kind: "EventsNode",
    fields: &[
        field("event", Shape::Text),
        field("name", Shape::Text),
        field("custom_name", Shape::Text),
        field("properties", FILTERS),
        field("fixedProperties", FILTERS),
        field("math", Shape::Text),
        field("math_property", Shape::Text),
        field("math_hogql", Shape::Text),
        field("math_group_type_index", Shape::Number),
        field("limit", Shape::Integer),
        field("orderBy", Shape::List(&Shape::Text)),
        field("optionalInFunnel", Shape::Flag).since_2026(),
    ],
};

const ACTIONS_NODE: Schema = Schema {
    kind: "ActionsNode",
    fields: &[
        field("id", Shape::Integer).required(),
        field("name", Shape::Text),
        field("custom_name", Shape::Text),
        field("properties", FILTERS),
        field("fixedProperties", FILTERS),
        field("math", Shape::Text),
        field("math_property", Shape::Text),
        field("math_hogql", Shape::Text),
        field("math_group_type_index", Shape::Number),
        field("optionalInFunnel", Shape::Flag).since_2026(),
    ],
};

const BREAKDOWN: Shape = Shape::Object(&Schema {
    kind: "",
    fields: &[
        field("breakdown", BREAKDOWN_VALUE),
        field("breakdown_type", Shape::Text),
        field("breakdown_limit", Shape::Integer),
        field("breakdown_group_type_index", Shape::Integer),
        field("breakdown_histogram_bin_count", Shape::Integer),
        field("breakdown_normalize_url", Shape::Flag),
        field("breakdown_hide_other_aggregation", Shape::Flag),
        field("breakdowns", Shape::List(&ONE_BREAKDOWN)),
    ],
});

const ONE_BREAKDOWN: Shape = Shape::Object(&Schema {
    kind: "",
    fields: &[
        field("property", Shape::Either(&[Shape::Text, Shape::Integer])).required(),
        field("type", Shape::Text),
        field("group_type_index", Shape::Integer),
        field("histogram_bin_count", Shape::Integer),
        field("normalize_url", Shape::Flag),
    ],
});

const COMPARE: Shape = Shape::Object(&Schema {
    kind: "",
    fields: &[
        field("compare", Shape::Flag),
        field("compare_to", Shape::Text),
    ],
});

const TRENDS: Schema = Schema {
    kind: "TrendsQuery",
    fields: &[
        field("series", SERIES).required(),
        field("dateRange", DATES),
        field("interval", INTERVAL),
        field("properties", FILTERS),
        field("filterTestAccounts", Shape::Flag),
        field("breakdownFilter", BREAKDOWN),
        field("compareFilter", COMPARE),
        field("trendsFilter", Shape::Map),
        field("samplingFactor", Shape::Number),
        field("aggregation_group_type_index", Shape::Integer),
        field("conversionGoal", Shape::Any),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const FUNNELS: Schema = Schema {
    kind: "FunnelsQuery",
    fields: &[
        field("series", SERIES).required(),
        field("dateRange", DATES),
        field("interval", INTERVAL),
        field("properties", FILTERS),
        field("filterTestAccounts", Shape::Flag),
        field("breakdownFilter", BREAKDOWN),
        field("funnelsFilter", Shape::Object(&FUNNELS_FILTER)),
        field("samplingFactor", Shape::Number),
        field("aggregation_group_type_index", Shape::Integer),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const FUNNELS_FILTER: Schema = Schema {
    kind: "",
    fields: &[
        field(
            "funnelVizType",
            Shape::OneOf(&["steps", "trends", "time_to_convert"]),
        ),
        field(
            "funnelOrderType",
            Shape::OneOf(&["ordered", "strict", "unordered"]),
        ),
        field("funnelWindowInterval", Shape::Integer),
        field(
            "funnelWindowIntervalUnit",
            Shape::OneOf(&["second", "minute", "hour", "day", "week", "month"]),
        ),
        field("exclusions", Shape::List(&EXCLUSION)),
        field(
            "breakdownAttributionType",
            Shape::OneOf(&["all_events", "first_touch", "last_touch", "step"]),
        ),
        field("breakdownAttributionValue", Shape::Integer),
        field("funnelAggregateByHogQL", Shape::Text),
        field("funnelFromStep", Shape::Integer),
        field("funnelToStep", Shape::Integer),
        field("funnelStepReference", Shape::Text),
        field("binCount", Shape::Integer),
        field("layout", Shape::Text),
    ],
};

const EXCLUSION: Shape = Shape::Node(&[&EXCLUDED_EVENT]);

const EXCLUDED_EVENT: Schema = Schema {
    kind: "EventsNode",
    fields: &[
        field("event", Shape::Text),
        field("name", Shape::Text),
        field("custom_name", Shape::Text),
        field("properties", FILTERS),
        field("funnelFromStep", Shape::Integer).required(),
        field("funnelToStep", Shape::Integer).required(),
    ],
};

const LIFECYCLE: Schema = Schema {
    kind: "LifecycleQuery",
    fields: &[
        field("series", SERIES).required(),
        field("dateRange", DATES),
        field("interval", INTERVAL),
        field("properties", FILTERS),
        field("filterTestAccounts", Shape::Flag),
        field("lifecycleFilter", Shape::Map),
        field("samplingFactor", Shape::Number),
        field("aggregation_group_type_index", Shape::Integer),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const STICKINESS: Schema = Schema {
    kind: "StickinessQuery",
    fields: &[
        field("series", SERIES).required(),
        field("dateRange", DATES),
        field("interval", INTERVAL),
        field("intervalCount", Shape::Integer),
        field("properties", FILTERS),
        field("filterTestAccounts", Shape::Flag),
        field("stickinessFilter", Shape::Map),
        field("compareFilter", COMPARE),
        field("samplingFactor", Shape::Number),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const RETENTION: Schema = Schema {
    kind: "RetentionQuery",
    fields: &[
        field("retentionFilter", Shape::Object(&RETENTION_FILTER)).required(),
        field("dateRange", DATES),
        field("properties", FILTERS),
        field("filterTestAccounts", Shape::Flag),
        field("breakdownFilter", BREAKDOWN),
        field("samplingFactor", Shape::Number),
        field("aggregation_group_type_index", Shape::Integer),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const RETENTION_FILTER: Schema = Schema {
    kind: "",
    fields: &[
        field("period", Shape::OneOf(&["Hour", "Day", "Week", "Month"])).not_null(),
        field("totalIntervals", Shape::Integer).not_null(),
        field(
            "retentionType",
            Shape::OneOf(&["retention_recurring", "retention_first_time"]),
        )
        .not_null(),
        field("targetEntity", ENTITY).not_null(),
        field("returningEntity", ENTITY).not_null(),
        field("retentionReference", Shape::Text),
        field("cumulative", Shape::Flag),
        field("aggregationType", Shape::Text).since_2026(),
        field("aggregationProperty", Shape::Text).since_2026(),
        field("aggregationPropertyType", Shape::Text).since_2026(),
        field("retentionCustomBrackets", Shape::List(&Shape::Number)).since_2026(),
    ],
};

const ENTITY: Shape = Shape::Object(&Schema {
    kind: "",
    fields: &[
        field("id", Shape::Either(&[Shape::Text, Shape::Number])),
        field("name", Shape::Text),
        field(
            "type",
            Shape::OneOf(&["actions", "data_warehouse", "events", "new_entity"]),
        ),
        field("kind", Shape::Text),
        field("order", Shape::Integer),
        field("uuid", Shape::Text),
        field("custom_name", Shape::Text),
        field("properties", FILTERS),
    ],
});

const PATHS: Schema = Schema {
    kind: "PathsQuery",
    fields: &[
        field("pathsFilter", Shape::Object(&PATHS_FILTER)).required(),
        field("dateRange", DATES),
        field("properties", FILTERS),
        field("filterTestAccounts", Shape::Flag),
        field("funnelPathsFilter", Shape::Map),
        field("samplingFactor", Shape::Number),
        field("aggregation_group_type_index", Shape::Integer),
        field("modifiers", Shape::Map),
        field("tags", Shape::Object(&TAGS)),
        field("version", Shape::Number),
    ],
};

const PATHS_FILTER: Schema = Schema {
    kind: "",
    fields: &[
        field(
            "includeEventTypes",
            Shape::List(&Shape::OneOf(&[
                "$pageview",
                "$screen",
                "custom_event",
                "hogql",
            ])),
        ),
        field("startPoint", Shape::Text),
        field("endPoint", Shape::Text),
        field("stepLimit", Shape::Integer),
        field("edgeLimit", Shape::Integer),
        field("minEdgeWeight", Shape::Integer),
        field("maxEdgeWeight", Shape::Integer),
        field("pathStartKey", Shape::Text),
        field("pathEndKey", Shape::Text),
        field("pathDropoffKey", Shape::Text),
        field("pathGroupings", Shape::List(&Shape::Text)),
        field("pathReplacements", Shape::Flag),
        field("pathsHogQLExpression", Shape::Text),
        field("localPathCleaningFilters", Shape::List(&Shape::Map)),
        field("excludeEvents", Shape::List(&Shape::Text)),
        field("showFullUrls", Shape::Flag),
    ],
};
