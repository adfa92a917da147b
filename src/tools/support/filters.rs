//! Filters of a list: what is checked before PostHog evaluates them, and why it fails on them.

use crate::tools::unsupported::mismatch_reason;
use crate::tools::{Context, ToolError};
use posthog_client::{CohortCheck, Error, ErrorKind, Filter, PersonsQuery, TypeCheck};

/// What is known of the filters.
#[derive(Clone, Copy)]
pub(in crate::tools) struct FilterChecks {
    pub(in crate::tools) cohorts: CohortCheck,
    types: TypeCheck,
}

impl FilterChecks {
    /// Refuses filters that PostHog would ignore or misread.
    pub(in crate::tools) async fn new(
        context: &Context,
        query: &PersonsQuery,
    ) -> Result<Self, ToolError> {
        Ok(Self {
            cohorts: context.posthog.check_cohorts(query).await?,
            types: context.posthog.check_types(query).await?,
        })
    }

    /// What could not be checked.
    pub(in crate::tools) fn notes(self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.cohorts == CohortCheck::Unchecked {
            notes.push(
                "Whether the cohort exists could not be checked (the key lacks cohort:read): an older PostHog ignores a filter on an unknown or \
                 static cohort and lists everyone."
                    .to_owned(),
            );
        }
        if self.types == TypeCheck::DatesUnchecked {
            notes.push(
                "Whether PostHog knows the property of the date filter as a date could not be checked (the key lacks \
                 property_definition:read): if not, it compares text, and the list can contain other persons than meant."
                    .to_owned(),
            );
        }
        notes
    }
}

/// The error of a list. PostHog fails on filters that it cannot evaluate, and the types of the properties say why.
pub(in crate::tools) async fn filters_failed(
    context: &Context,
    query: &PersonsQuery,
    error: Error,
) -> ToolError {
    let fails = *error.kind() == ErrorKind::Server { status: 500 };
    // A query passes on what ClickHouse says of the types.
    let is_refused = error.is_of_query() && matches!(error.kind(), ErrorKind::Invalid { .. });
    if query.properties.is_empty() || !(fails || is_refused) {
        return error.into();
    }
    if let Ok(types) = context.posthog.property_types(&query.properties).await {
        let reasons = query.properties.iter().filter_map(|filter| {
            let mismatch = filter.mismatch(types.get(filter.key()).copied())?;
            Some(format!(
                "{}: {}",
                filter.summary(),
                mismatch_reason(mismatch)
            ))
        });
        let reasons: Vec<String> = reasons.collect();
        if !reasons.is_empty() {
            return ToolError::lasting_failure(
                format_args!(
                    "a filter does not suit the type of its property ({})",
                    reasons.join("; ")
                ),
                "persons-values-retrieve shows the values of a property.",
            );
        }
    }
    if is_refused {
        return error.into();
    }
    let filters: Vec<String> = query.properties.iter().map(Filter::summary).collect();
    ToolError::lasting_failure(
        format_args!(
            "it cannot evaluate one of the filters ({})",
            filters.join(", ")
        ),
        "`gt`, `gte`, `lt` and `lte` need a property that PostHog knows as Numeric; `exact` with text works for every property that \
         it knows as String, or not at all. persons-values-retrieve shows the values of a property. Leave filters out one at a time \
         to find the one that fails.",
    )
}
