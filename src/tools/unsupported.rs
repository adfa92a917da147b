//! Explains to the model what an older PostHog does not support.

use posthog_client::{Feature, PropertyType, TypeMismatch, Unsupported};

/// The text for the model.
pub(super) fn text(unsupported: &Unsupported) -> String {
    match unsupported {
        Unsupported::Endpoint { endpoint } => format!(
            "This PostHog does not have the endpoint `{endpoint}`: it is too old. PostHog of August 2025 lacks some endpoints that \
             PostHog of June 2026 has. Other arguments will not help; the user can upgrade PostHog."
        ),
        Unsupported::FailingEndpoint { endpoint } => format!(
            "This PostHog fails on every request to its endpoint `{endpoint}` (status 500), as some versions before September 2026 do. \
             Retrying or other arguments will not help; the user can upgrade PostHog. {}",
            instead_of(endpoint)
        ),
        Unsupported::Feature { feature, known } => feature_text(*feature, *known),
        Unsupported::UnknownCohort { cohort } => format!(
            "The project has no cohort {cohort}, so nothing was requested: an older PostHog would ignore the filter and list everyone. \
             Check the number in PostHog under People, Cohorts."
        ),
        Unsupported::NotADate { property } => format!(
            "PostHog does not know `{property}` as a date in this project, and would compare it as text and list other persons than \
             meant, so nothing was requested. persons-values-retrieve shows how it is written; `regex` with the beginning of the date, \
             such as ^2026-01, finds a month or a day. The user can set the type of the property in PostHog under Data management, \
             Properties."
        ),
        Unsupported::FilterType { filter, mismatch } => format!(
            "A filter does not suit the type of its property ({filter}: {}), so nothing was requested. persons-values-retrieve shows the \
             values of a property.",
            mismatch_reason(*mismatch)
        ),
        Unsupported::StaticCohort { cohort } => format!(
            "Cohort {cohort} is static, and this PostHog (older than December 2025) ignores static cohorts in filters: it would list \
             everyone. A filter on this cohort with `in`, without any other condition, works, and every other one with a key that \
             has the scope query:read."
        ),
    }
}

/// What shows something similar.
fn instead_of(endpoint: &str) -> &'static str {
    match endpoint {
        "properties_at_time" => {
            "persons-retrieve shows the present values, persons-activity-retrieve who changed them."
        }
        "cohorts" => "persons-list with a cohort filter lists the persons of one cohort.",
        _ => {
            "The user can open the insight in PostHog and save its persons as a cohort, which persons-list then lists."
        }
    }
}

fn feature_text(feature: Feature, known: bool) -> String {
    let field = feature.field();
    let consequence = match feature {
        Feature::PartialSplit => {
            "it would split off all distinct ids but one and remove the person's properties"
        }
        Feature::KeepPerson => "it would delete the persons",
        Feature::DeleteRecordings => "the recordings would stay",
    };
    let instead = match feature {
        Feature::PartialSplit => {
            "`main_distinct_id`, which moves all others off the person, works on every version."
        }
        Feature::KeepPerson => "There is no way to delete only the events on this version.",
        Feature::DeleteRecordings => "Call again without `delete_recordings`.",
    };
    if known {
        return format!(
            "This PostHog is older than {} and ignores `{field}`: {consequence}. Nothing was sent. {instead}",
            feature.since()
        );
    }
    format!(
        "Whether this PostHog knows `{field}` could not be determined, because its /api/schema/ could not be read. If it is older \
         than {}, {consequence}. Nothing was sent. {instead} If PostHog is newer, the operator can set --assume-current-posthog.",
        feature.since()
    )
}

/// Why a filter does not suit the type of its property.
pub(super) fn mismatch_reason(mismatch: TypeMismatch) -> &'static str {
    match mismatch {
        TypeMismatch::NotNumeric => {
            "PostHog does not know the property as Numeric, and cannot compare it with a number"
        }
        TypeMismatch::Value(PropertyType::Numeric) => {
            "the property is Numeric, and the value is not a number"
        }
        TypeMismatch::Value(PropertyType::Boolean) => {
            "the property is Boolean, and the value is neither true nor false"
        }
        TypeMismatch::Value(_) => {
            "the property is DateTime: use is_date_exact, is_date_after or is_date_before"
        }
    }
}
