//! Cohorts in filters, checked before they are sent.
//!
//! PostHog before December 2025 ignores a filter on a cohort that it does not know or that is static, and lists everyone.

use serde::Deserialize;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::feature::{Feature, Support};
use crate::filter::{Filter, FilterType, Operator};
use crate::persons_query::PersonsQuery;
use crate::query::is_closed;
use crate::request::Request;

/// How a list of persons has to be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CohortCheck {
    /// With the filters as they are.
    Filter,
    /// With the filters as they are, though the key cannot see whether the cohorts exist.
    Unchecked,
    /// As the persons of this static cohort, whose filter this PostHog ignores.
    Members(u64),
    /// By a query, because this PostHog ignores the filter on this static cohort elsewhere.
    Query(u64),
}

#[derive(Deserialize)]
struct Cohort {
    #[serde(default)]
    is_static: bool,
    #[serde(default)]
    deleted: bool,
}

impl Client {
    /// Looks at the cohorts in the filters of a query. PostHog Cloud evaluates all of them, so nothing is requested there.
    ///
    /// # Errors
    /// [`Unsupported::UnknownCohort`].
    pub async fn check_cohorts(&self, query: &PersonsQuery) -> Result<CohortCheck, Error> {
        let mut check = CohortCheck::Filter;
        if self.inner.connection.is_current() {
            return Ok(check);
        }
        let cohorts = query
            .properties
            .iter()
            .filter(|filter| filter.kind == FilterType::Cohort);
        for filter in cohorts {
            let Some(number) = filter.value.as_u64() else {
                continue;
            };
            match self.cohort(number).await {
                Ok(cohort) if cohort.deleted => return Err(unknown(number)),
                Ok(cohort) if cohort.is_static && !query.needs_query_api() => {
                    if self.support(Feature::KeepPerson).await? != Support::Supported {
                        check = members(query, filter, number);
                    }
                }
                Ok(_) => {}
                Err(error) if *error.kind() == ErrorKind::NotFound => return Err(unknown(number)),
                Err(error) if error.is_closed() => check = CohortCheck::Unchecked,
                Err(error) => return Err(error),
            }
        }
        Ok(check)
    }

    async fn cohort(&self, number: u64) -> Result<Cohort, Error> {
        let (project, cohort) = (self.project().await?.to_string(), number.to_string());
        let path = vec!["api", "projects", &project, "cohorts", &cohort];
        self.json(Request::get(path)).await
    }
}

fn unknown(cohort: u64) -> Error {
    Error::new(ErrorKind::Unsupported(Unsupported::UnknownCohort {
        cohort,
    }))
}

/// The members of a cohort, if the query asks for nothing else.
fn members(query: &PersonsQuery, filter: &Filter, number: u64) -> CohortCheck {
    let alone = query.properties.len() == 1
        && query.search.is_none()
        && query.email.is_none()
        && query.distinct_id.is_none()
        && !query.include_total
        && matches!(filter.operator, Operator::In | Operator::Exact);
    if alone {
        CohortCheck::Members(number)
    } else {
        CohortCheck::Query(number)
    }
}

/// The error of a query for a static cohort: where queries are closed, nothing else selects the same persons.
#[must_use]
pub fn of_static_cohort(error: Error, cohort: u64) -> Error {
    if is_closed(&error) {
        Error::new(ErrorKind::Unsupported(Unsupported::StaticCohort { cohort }))
    } else {
        error
    }
}
