//! The query API: `POST query/`, which computes persons and values from events, for keys with the scope `query:read`.
//!
//! Invariant: the text of a query consists of literals of this module, of numbers, and of times in the format of this
//! module. What a caller gives is a field of a node or one of the `values` of a text, which PostHog puts into the parsed
//! query as constants.

mod actor;
mod actors;
mod cohorts;
mod cursor;
mod duplicates;
mod event_log;
mod events;
mod hogql;
mod insight;
mod journey;
mod last_seen;
mod person_log;
mod persons;
mod property_changes;
mod property_counts;
#[cfg(test)]
mod recorded;
mod response;
mod send;
mod time_bounds;
mod time_range;

pub use actors::{ActorPage, ActorsQuery, ActorsSource};
pub use duplicates::{
    DuplicateCursor, DuplicateGroup, DuplicatePage, DuplicatePerson, MAX_GROUP_PERSONS,
};
pub use event_log::{EventLogPage, EventTotal, LoggedEvent};
pub use events::{
    Event, EventCount, EventCounts, EventCursor, EventPage, EventSource, EventsQuery,
};
pub(crate) use hogql::HogQl;
pub use insight::{
    Breakdown, BreakdownType, FirstTime, FunnelActors, FunnelOrder, FunnelWindow, FunnelWindowUnit,
    InsightBase, Interval, LifecycleStatus, Series, StickinessOperator,
};
pub use journey::{PathNode, PathPosition, PathType, Retention};
pub(crate) use last_seen::LastSeenSupport;
pub use person_log::{PersonCursor, PersonLogPage};
pub use property_changes::{ChangeSource, PropertyChange, PropertyChanges, PropertyChangesQuery};
pub use property_counts::{KeyCounts, ValueCount, ValueCounts};
pub(crate) use send::is_closed;
pub use time_bounds::TimeBounds;
pub use time_range::{Period, TimeRange};
