//! The cohorts of the project.

use serde::Deserialize;

use crate::client::Client;
use crate::error::Error;
use crate::filter::{EventFilter, Filter, FilterType};
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

/// What a name stands for.
#[derive(Debug)]
pub enum NamedCohort {
    /// The number of the only cohort with this name.
    One(u64),
    /// The cohorts with this name.
    Several(Vec<ProjectCohort>),
    /// No cohort has it; PostHog finds these by it.
    None(Vec<ProjectCohort>),
}

impl Client {
    /// The cohort with this name: in the same letter case or, if there is none, in any.
    pub async fn cohort_named(&self, name: &str) -> Result<NamedCohort, Error> {
        // PostHog sorts by age, and a cohort whose name is only a part of others' can be older than all of these.
        const MAX_FOUND: u32 = 1000;
        let found = self.cohorts(Some(name), MAX_FOUND, 0).await?.results;
        let has_name = |same: &dyn Fn(&str) -> bool| {
            let named = |cohort: &&ProjectCohort| {
                let own = cohort.name.as_ref();
                own.is_some_and(|own| same(own.expose_untrusted().trim()))
            };
            found.iter().filter(named).cloned().collect::<Vec<_>>()
        };
        let mut named = has_name(&|own| own == name);
        if named.is_empty() {
            let name = name.to_lowercase();
            named = has_name(&|own| own.to_lowercase() == name);
        }
        Ok(match named.as_slice() {
            [] => NamedCohort::None(found),
            [one] => NamedCohort::One(one.id),
            _ => NamedCohort::Several(named),
        })
    }
}

impl Filter {
    /// The name of the cohort, where the filter names one. PostHog knows cohorts by number, so that the name must be
    /// replaced before the filter is sent.
    #[must_use]
    pub fn cohort_name(&self) -> Option<&str> {
        let named = self
            .value
            .as_str()
            .filter(|_| self.kind == FilterType::Cohort)?;
        Some(named)
    }

    /// Puts the number of a cohort in place of its name.
    pub fn set_cohort(&mut self, number: u64) {
        self.value = number.into();
    }
}

impl EventFilter {
    /// The filter itself.
    pub fn filter_mut(&mut self) -> &mut Filter {
        &mut self.0
    }
}
