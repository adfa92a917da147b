//! Property filters (Persons API, Property filters): reading them as each version of PostHog does, and matching them
//! against properties.

mod condition;
mod error;
mod filter;
mod hogql;
mod person_sql;

pub(crate) use condition::property_text;
pub(crate) use error::FilterError;
pub(crate) use filter::{CohortMembers, Filter, FilterRules};
