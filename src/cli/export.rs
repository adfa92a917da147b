//! The arguments of `export`.

#![allow(
    clippy::doc_markdown,
    reason = "the documentation of settings is the text of --help"
)]

use clap::Args;

const ONE: &str = "One person";
const LIST: &str = "A list of persons";

/// The arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Person UUID or numeric person ID
    #[arg(long, value_name = "ID", help_heading = ONE)]
    pub id: Option<String>,
    /// Any distinct ID of the person
    #[arg(long, value_name = "ID", help_heading = ONE)]
    pub distinct_id: Option<String>,
    /// Start of the events, such as 2026-01-31 or -90d
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, help_heading = ONE)]
    pub date_from: Option<String>,
    /// End of the events; a date includes its whole day
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, help_heading = ONE)]
    pub date_to: Option<String>,
    /// Part of an email, name, distinct ID or UUID
    #[arg(long, value_name = "TEXT", help_heading = LIST)]
    pub search: Option<String>,
    /// Exact email
    #[arg(long, value_name = "EMAIL", help_heading = LIST)]
    pub email: Option<String>,
    /// Property or cohort filter as a JSON object; can be repeated
    #[arg(long = "filter", value_name = "JSON", help_heading = LIST)]
    pub filters: Vec<String>,
    /// Properties that become columns (comma-separated); * for all as JSON
    #[arg(long, value_name = "PROPERTIES", value_delimiter = ',', help_heading = LIST)]
    pub select: Vec<String>,
    /// Export everybody
    #[arg(long, help_heading = LIST)]
    pub all: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}
