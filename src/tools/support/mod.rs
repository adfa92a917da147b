//! Shared by several tools.

pub(super) mod erasure;
pub(super) mod filter_names;
pub(super) mod filters;
pub(super) mod insight_page;
pub(super) mod known_person;
pub(super) mod person_pages;
pub(super) mod poll;
pub(super) mod property_change;
pub(super) mod resolve_person;
pub(super) mod target;

pub(super) use crate::question::lines as confirmation_text;
