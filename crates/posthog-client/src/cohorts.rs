//! The cohorts of the project.

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::person::{cut_to, null_as_default};
use crate::request::Request;
use crate::untrusted::Untrusted;

/// A page of the project's cohorts.
#[derive(Debug, Deserialize)]
pub struct CohortPage {
    /// The newest first; with a search, the best match first.
    pub results: Vec<ProjectCohort>,
    #[serde(default)]
    next: Option<String>,
    /// The number of matches.
    #[serde(default)]
    pub count: Option<u64>,
    #[serde(skip)]
    cut: bool,
}

impl CohortPage {
    /// Whether there is a next page.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some() || self.cut
    }
}

/// A cohort.
#[derive(Debug, Clone, Deserialize)]
pub struct ProjectCohort {
    /// The number, by which filters name it.
    pub id: u64,
    /// The name, which other cohorts can have too.
    #[serde(default)]
    pub name: Option<Untrusted<String>>,
    /// The number of persons at the last calculation.
    #[serde(default)]
    pub count: Option<u64>,
    /// Whether its persons were picked, and are not calculated from conditions.
    #[serde(default, deserialize_with = "null_as_default")]
    pub is_static: bool,
    /// ISO 8601.
    #[serde(default)]
    pub last_calculation: Option<Untrusted<String>>,
}

impl Client {
    /// `GET cohorts/`: the cohorts whose name is like the search, or all.
    pub async fn cohorts(
        &self,
        search: Option<&str>,
        limit: u32,
        offset: u32,
    ) -> Result<CohortPage, Error> {
        let project = self.project().await?.to_string();
        let mut query = vec![
            ("limit".into(), limit.to_string()),
            ("offset".into(), offset.to_string()),
        ];
        query.extend(search.map(|search| ("search".into(), search.to_owned())));
        let path = vec!["api", "projects", &project, "cohorts"];
        let mut page: CohortPage = self.json(Request::get(path).query(query)).await?;
        page.cut = cut_to(&mut page.results, limit);
        Ok(page)
    }
}
