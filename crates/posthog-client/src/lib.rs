//! A client for PostHog's Persons API: HTTP and PostHog, one method per endpoint.
//!
//! Invariant: knows nothing of MCP, of command lines, or of how a result is worded for a model.

mod account;
mod availability;
mod capabilities;
mod capture;
mod capture_host;
mod client;
mod cohort_filter;
mod cohorts;
mod connection;
mod current_project;
mod date;
mod decode;
mod erasure;
mod error;
mod failing_endpoint;
mod feature;
mod filter;
mod filter_form;
mod filter_types;
mod history;
mod host;
mod insights;
mod key_info;
mod key_state;
mod person;
mod person_csv;
mod persons;
mod persons_query;
mod probe;
mod project;
mod properties;
mod property_names;
mod property_types;
mod query;
mod quoted_key;
mod rate_limit;
mod recordings;
mod relative_date;
mod request;
mod response;
mod response_memory;
mod retry;
mod scopes;
mod sealed;
mod untrusted;
mod url;
mod writes;

pub use availability::Availability;
pub use capture::{ProjectToken, merge_target_id, mergeable_id};
pub use client::{Client, WaitReason};
pub use cohort_filter::{CohortCheck, of_static_cohort};
pub use cohorts::{CohortPage, NamedCohort, ProjectCohort};
pub use connection::{Connection, ConnectionError, ConnectionOptions, RESPONSE_BYTES};
pub use date::{is_date, is_timestamp};
pub use erasure::{ErasureFacts, EventDeletion, EventDeletions, RemainingEvents};
pub use error::{Error, ErrorKind, Unsupported};
pub use feature::{Feature, Support};
pub use filter::{EventFilter, Filter, FilterType, Operator};
pub use filter_types::TypeCheck;
pub use history::{
    Activity, ActivityPage, Actor, Change, DeletionStatus, DeletionStatusPage, DeletionStatusQuery,
    Detail, Merge, MergedPerson, PropertiesAtTimeQuery, PropertiesAtTimeSubject,
    PropertiesTimeline, TimelinePoint,
};
pub use host::{HostError, parse_host};
pub use insights::{Insight, InsightArguments};
pub use key_info::{KeyFacts, KeyInspector, KeyKind, ProjectAccess, Region};
pub use key_state::{KeyRejection, KeyStanding, KeyState};
pub use person::{Cohort, Person, PersonId, PersonPage, PropertyValue, PropertyValues};
pub use person_csv::persons_as_csv;
pub use persons::{BATCH_SIZE, LISTED_DISTINCT_IDS, MINIMAL_DISTINCT_IDS};
pub use persons_query::{FilterMatch, PersonsQuery};
pub use probe::{ConnectFailure, Endpoint, ProbeResult};
pub use project::Project;
pub use properties::Properties;
pub use property_names::{PropertyName, PropertyNames};
pub use property_types::{PropertyType, TypeMismatch};
pub use query::{
    ActorPage, ActorsQuery, ActorsSource, Breakdown, BreakdownType, ChangeSource, DuplicateCursor,
    DuplicateGroup, DuplicatePage, DuplicatePerson, Event, EventCount, EventCounts, EventCursor,
    EventLogPage, EventPage, EventSource, EventTotal, EventsQuery, FirstTime, FunnelActors,
    FunnelOrder, FunnelWindow, FunnelWindowUnit, InsightBase, Interval, KeyCounts, LifecycleStatus,
    LoggedEvent, MAX_GROUP_PERSONS, PathNode, PathPosition, PathType, Period, PersonCursor,
    PersonLogPage, PropertyChange, PropertyChanges, PropertyChangesQuery, Retention, Series,
    StickinessOperator, TimeBounds, TimeRange, ValueCount, ValueCounts,
};
pub use recordings::{Recording, RecordingPage};
pub use scopes::{GrantedScopes, Permission, RequiredScopes};
pub use untrusted::Untrusted;
pub use writes::{
    BulkDeletion, BulkDeletionSummary, DeletionError, MAX_DELETED, is_creator, split_uuid,
};
