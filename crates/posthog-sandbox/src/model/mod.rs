//! The state of a project and the rules by which it changes.
//!
//! Invariant: knows nothing of HTTP.

mod clock;
pub(crate) mod dates;
mod entity;
mod event;
pub(crate) mod filters;
pub(crate) mod funnel;
pub(crate) mod identity;
mod pattern;
mod project;
mod properties;
mod stores;

pub use clock::Clock;

pub(crate) use clock::RunningClock;
pub(crate) use entity::{Entity, EventFilters};
pub(crate) use event::{Capture, Event};
pub(crate) use pattern::Pattern;
pub(crate) use project::{Activity, Cohort, Effect, EventDeletion, ProjectState, property_change};
pub(crate) use properties::{Properties, PropertyMap, PropertySource};
pub(crate) use stores::{AnalyticsRow, Person};
