//! A list of persons, page by page: checked arguments become requests, to whichever endpoint can answer them.
//!
//! Invariant: knows nothing of how a result is worded. persons-list shows one page, others can read all of them.

use chrono::{DateTime, SecondsFormat, Utc};

use super::filters::{FilterChecks, filters_failed};
use crate::tools::arguments::{Date, DistinctId, SearchText};
use crate::tools::{Context, ToolError};
use posthog_client::{
    Client, CohortCheck, Error, Filter, FilterMatch, PersonCursor, PersonLogPage, PersonPage,
    PersonsQuery, TimeBounds, of_static_cohort,
};

/// The arguments that say which persons.
pub(in crate::tools) struct PersonsSelection {
    pub(in crate::tools) search: Option<SearchText>,
    pub(in crate::tools) email: Option<SearchText>,
    pub(in crate::tools) distinct_id: Option<DistinctId>,
    pub(in crate::tools) properties: Vec<Filter>,
    pub(in crate::tools) filter_match: FilterMatch,
    pub(in crate::tools) created_after: Option<Date>,
    pub(in crate::tools) created_before: Option<Date>,
    pub(in crate::tools) last_seen_after: Option<Date>,
    pub(in crate::tools) last_seen_before: Option<Date>,
}

impl PersonsSelection {
    /// The query, without a page, at a moment to which its dates can be relative.
    pub(in crate::tools) fn query(self, now: DateTime<Utc>) -> Result<PersonsQuery, ToolError> {
        Ok(PersonsQuery {
            search: self.search.map(|text| text.0),
            email: self.email.map(|text| text.0),
            distinct_id: self.distinct_id.map(|id| id.0),
            properties: self.properties,
            filter_match: self.filter_match,
            created: bounds("created", self.created_after, self.created_before, now)?,
            last_seen: bounds(
                "last_seen",
                self.last_seen_after,
                self.last_seen_before,
                now,
            )?,
            ..PersonsQuery::default()
        })
    }
}

fn bounds(
    name: &str,
    after: Option<Date>,
    before: Option<Date>,
    now: DateTime<Utc>,
) -> Result<TimeBounds, ToolError> {
    let text = |date: &Option<Date>| date.as_ref().map(|date| date.0.clone());
    let (after, before) = (text(&after), text(&before));
    TimeBounds::resolve(after.as_deref(), before.as_deref(), now).ok_or_else(|| {
        ToolError::invalid_input(format!(
            "No time is from `{name}_after` on and before `{name}_before`: both are times such as 2026-01-31, 2026-01-31T12:00:00Z or \
             -7d, and the first must be earlier. No request was made."
        ))
    })
}

/// Where the pages come from.
#[derive(Clone, Copy)]
enum Route {
    List,
    Query,
    /// As the members of a static cohort.
    Members(u64),
    /// By a query, because the list ignores this static cohort.
    StaticCohort(u64),
}

/// The pages of a list of persons.
pub(in crate::tools) struct PersonPages {
    query: PersonsQuery,
    checks: FilterChecks,
    route: Route,
}

impl PersonPages {
    /// Refuses filters that PostHog would ignore or misread.
    pub(in crate::tools) async fn new(
        context: &Context,
        query: PersonsQuery,
    ) -> Result<Self, ToolError> {
        let checks = FilterChecks::new(context, &query).await?;
        let route = match checks.cohorts {
            CohortCheck::Members(cohort) => Route::Members(cohort),
            CohortCheck::Query(cohort) => Route::StaticCohort(cohort),
            _ if query.needs_query_api() => Route::Query,
            _ => Route::List,
        };
        Ok(Self {
            query,
            checks,
            route,
        })
    }

    /// Which persons.
    pub(in crate::tools) fn query(&self) -> &PersonsQuery {
        &self.query
    }

    /// Whether PostHog's own CSV has these persons.
    pub(in crate::tools) fn has_csv(&self) -> bool {
        matches!(self.route, Route::List)
    }

    /// What could not be checked.
    pub(in crate::tools) fn notes(&self) -> Vec<String> {
        self.checks.notes()
    }

    /// One page, newest persons first, or the reason why PostHog fails on the filters.
    pub(in crate::tools) async fn page(
        &self,
        context: &Context,
        limit: u32,
        offset: u32,
        include_total: bool,
    ) -> Result<PersonPage, ToolError> {
        match self
            .request(&context.posthog, limit, offset, include_total)
            .await
        {
            Ok(page) => Ok(page),
            Err(error) => Err(filters_failed(context, &self.query, error).await),
        }
    }

    /// The page after a person, newest first, by a query.
    pub(in crate::tools) async fn after(
        &self,
        posthog: &Client,
        limit: u32,
        cursor: Option<&PersonCursor>,
        size_limit: usize,
    ) -> Result<PersonLogPage, Error> {
        let query = PersonsQuery {
            limit,
            include_total: true,
            ..self.query.clone()
        };
        posthog.person_log(&query, cursor, size_limit).await
    }

    /// One page, newest persons first. Members of a cohort are not counted.
    pub(in crate::tools) async fn request(
        &self,
        posthog: &Client,
        limit: u32,
        offset: u32,
        include_total: bool,
    ) -> Result<PersonPage, Error> {
        let query = PersonsQuery {
            limit,
            offset,
            include_total,
            ..self.query.clone()
        };
        match self.route {
            Route::List => posthog.persons(&query).await,
            Route::Members(cohort) => posthog.cohort_members(cohort, limit, offset).await,
            Route::Query => posthog.persons_by_query(&query).await,
            Route::StaticCohort(cohort) => posthog
                .persons_by_query(&query)
                .await
                .map_err(|error| of_static_cohort(error, cohort)),
        }
    }
}

/// What differs from a list that PostHog reads now.
pub(in crate::tools) fn freshness(page: &PersonPage) -> Option<String> {
    let time = page.calculated_at?;
    Some(format!(
        "PostHog calculated this list at {}; later changes are not in it.",
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    ))
}
