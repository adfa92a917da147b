//! Why a filter was rejected.

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FilterError {
    /// PostHog ignores such a filter, so that everything matches.
    Incomplete(String),
    /// A filter that no client should send.
    Violation(String),
    /// A filter of a form that PostHog fails on, and that no client should send.
    Malformed(String),
    /// A filter that PostHog fails to evaluate.
    Failure,
    /// A mistake that ClickHouse reports under this code.
    Rejected { code: &'static str, detail: String },
}
