//! Date filters, checked before they are sent.
//!
//! PostHog of 2026 compares a property that it does not know as a date as text: 2026-01-31T09:00 comes after 2026-01-31
//! 12:00, and the list contains other persons than were asked for, with no sign of it.

use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::feature::{Feature, Support};
use crate::persons::PersonsQuery;
use crate::property_types::{PropertyType, is_closed};

/// Whether the date filters of a list compare dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateCheck {
    /// They do, or there are none.
    Dates,
    /// The key cannot see the types of properties.
    Unchecked,
}

impl Client {
    /// Looks at the types of the properties in date filters.
    ///
    /// # Errors
    /// [`Unsupported::NotADate`] where PostHog would compare text.
    pub async fn check_dates(&self, query: &PersonsQuery) -> Result<DateCheck, Error> {
        let filters: Vec<_> = query.date_filters().cloned().collect();
        if filters.is_empty() {
            return Ok(DateCheck::Dates);
        }
        let types = match self.property_types(&filters).await {
            Ok(types) => types,
            Err(error) if is_closed(&error) => return Ok(DateCheck::Unchecked),
            Err(error) => return Err(error),
        };
        let is_date = |key: &str| types.get(key) == Some(&PropertyType::DateTime);
        let Some(other) = filters.iter().find(|filter| !is_date(filter.key())) else {
            return Ok(DateCheck::Dates);
        };
        // PostHog of August 2025 reads the values as dates, whatever the type of the property.
        if self.support(Feature::KeepPerson).await? == Support::TooOld {
            return Ok(DateCheck::Dates);
        }
        let property = other.key().to_owned();
        let not_a_date = Unsupported::NotADate { property };
        Err(Error::new(ErrorKind::Unsupported(not_a_date)))
    }
}
