//! The types of properties in filters, checked before they are sent.
//!
//! PostHog of 2026 compares a property that it does not know as a date as text: 2026-01-31T09:00 comes after 2026-01-31
//! 12:00, and the list contains other persons than were asked for, with no sign of it. On a value of another type than the
//! property's it fails, without a reason. Types are looked up only for the operators that depend on them.

use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::feature::{Feature, Support};
use crate::filter::{Filter, Operator};
use crate::persons_query::PersonsQuery;
use crate::property_types::PropertyType;

/// Whether the filters of a list suit the types of their properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeCheck {
    /// As far as PostHog would not say so itself.
    Suitable,
    /// The key cannot see whether the properties of date filters are dates.
    DatesUnchecked,
}

impl Client {
    /// Looks at the types of the properties, if there is a filter that compares dates or numbers.
    ///
    /// # Errors
    /// [`Unsupported::NotADate`] where PostHog would compare text, [`Unsupported::FilterType`] where it would fail.
    pub async fn check_types(&self, query: &PersonsQuery) -> Result<TypeCheck, Error> {
        let has_dates = query.properties.iter().any(Filter::is_date_filter);
        if !has_dates && !query.properties.iter().any(Filter::compares_numbers) {
            return Ok(TypeCheck::Suitable);
        }
        let types = match self.property_types(&query.properties).await {
            Ok(types) => types,
            // PostHog fails on what is wrong with the others.
            Err(_) if !has_dates => return Ok(TypeCheck::Suitable),
            Err(error) if error.is_closed() => return Ok(TypeCheck::DatesUnchecked),
            Err(error) => return Err(error),
        };
        let unsuitable = query.properties.iter().find_map(|filter| {
            let known = types.get(filter.key()).copied();
            filter.unsuitable_for(known)
        });
        let Some(unsuitable) = unsuitable else {
            return Ok(TypeCheck::Suitable);
        };
        // The list of August 2025 reads the values as the filter says, whatever the type of the property.
        if !query.needs_query_api() && self.support(Feature::KeepPerson).await? == Support::TooOld {
            return Ok(TypeCheck::Suitable);
        }
        Err(Error::new(ErrorKind::Unsupported(unsuitable)))
    }
}

impl Filter {
    fn is_date_filter(&self) -> bool {
        matches!(
            self.operator,
            Operator::IsDateExact | Operator::IsDateAfter | Operator::IsDateBefore
        )
    }

    fn compares_numbers(&self) -> bool {
        matches!(
            self.operator,
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte
        )
    }

    /// What PostHog of 2026 would do wrong with this filter on a property of this type.
    fn unsuitable_for(&self, known: Option<PropertyType>) -> Option<Unsupported> {
        if self.is_date_filter() && known != Some(PropertyType::DateTime) {
            let property = self.key().to_owned();
            return Some(Unsupported::NotADate { property });
        }
        let mismatch = self.mismatch(known)?;
        let filter = self.summary();
        Some(Unsupported::FilterType { filter, mismatch })
    }
}
