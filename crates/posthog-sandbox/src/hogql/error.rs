//! Why a query was refused.

/// An error of a query, by who reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueryError {
    /// The text is not HogQL.
    Syntax(String),
    /// The text names what does not exist, or what is not allowed.
    Invalid(String),
    /// A mistake that ClickHouse reports, and that PostHog passes on.
    ClickHouse { code: &'static str, detail: String },
    /// PostHog fails.
    Failure,
}

impl QueryError {
    pub(super) fn syntax(detail: impl Into<String>) -> Self {
        Self::Syntax(detail.into())
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::Invalid(detail.into())
    }

    /// ClickHouse's sentence ends with the name of the error.
    pub(super) fn clickhouse(code: &'static str, sentence: impl std::fmt::Display) -> Self {
        Self::ClickHouse {
            code,
            detail: format!("{sentence}. ({})", code.to_uppercase()),
        }
    }

    pub(super) fn illegal_type(function: &str, ty: impl std::fmt::Display) -> Self {
        Self::clickhouse(
            "illegal_type_of_argument",
            format!("Illegal type {ty} of argument of function {function}"),
        )
    }
}
