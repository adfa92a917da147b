//! The state of a project and the rules by which it changes.
//!
//! Invariant: knows nothing of HTTP.

mod clock;
mod cohort;
pub(crate) mod dates;
mod definitions;
mod entity;
mod era;
mod event;
pub(crate) mod filters;
pub(crate) mod funnel;
pub(crate) mod identity;
mod ingestion;
pub(crate) mod insights;
mod merging;
pub(crate) mod paths;
mod pattern;
mod project;
mod properties;
mod recording;
mod stores;

pub use clock::Clock;
pub use era::Era;

pub(crate) use clock::{RunningClock, START};
pub(crate) use cohort::Cohort;
pub(crate) use definitions::{
    PropertyDefinition, PropertyDefinitions, PropertyOwner, PropertyType,
};
pub(crate) use entity::{Entity, EventFilters};
pub(crate) use event::{Capture, Event};
pub(crate) use pattern::Pattern;
pub(crate) use project::{Activity, Effect, EventDeletion, ProjectState, property_change};
pub(crate) use properties::{Properties, PropertyMap, PropertySource};
pub(crate) use recording::Recording;
pub(crate) use stores::{AnalyticsRow, Person};
