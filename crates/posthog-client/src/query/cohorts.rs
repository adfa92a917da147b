//! The cohorts of a person in the client's project. `persons/cohorts/` looks in the one that the key's owner has selected.

use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::hogql::HogQl;
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::person::{Cohort, PersonId};
use crate::request::Request;

/// Cohorts of one person at most.
const MAX_COHORTS: u32 = 100;
/// Concurrent requests for their names.
const CONCURRENCY: usize = 4;

impl Client {
    /// The cohorts that a person is in, dynamic ones as of their last calculation.
    pub async fn cohorts_in_project(&self, id: &PersonId) -> Result<Vec<Cohort>, Error> {
        let person = match id.uuid() {
            Some(uuid) => uuid,
            None => self.person(id).await?.uuid,
        };
        let cohorts = self.cohort_numbers(person).await?.into_iter();
        stream::iter(cohorts.map(|number| self.named_cohort(number)))
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// A cohort with its name, if the key can read it.
    async fn named_cohort(&self, id: u64) -> Result<Cohort, Error> {
        let (project, number) = (self.project().await?.to_string(), id.to_string());
        let path = vec!["api", "projects", &project, "cohorts", &number];
        match self.json(Request::get(path)).await {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::MissingScope(_) | ErrorKind::NotFound
                ) =>
            {
                Ok(Cohort {
                    id,
                    name: None,
                    count: None,
                })
            }
            cohort => cohort,
        }
    }

    async fn cohort_numbers(&self, person: Uuid) -> Result<Vec<u64>, Error> {
        let query = |text| {
            let query = HogQl::new(text)
                .value("p", person.to_string())
                .value("n", MAX_COHORTS);
            self.query::<(u64,)>(query.node())
        };
        let (dynamic, fixed) = tokio::try_join!(
            query(
                "select cohort_id from cohort_people where person_id = {p} order by cohort_id limit {n}"
            ),
            query(
                "select cohort_id from static_cohort_people where person_id = {p} order by cohort_id limit {n}"
            ),
        )?;
        let rows = dynamic.results.into_iter().chain(fixed.results);
        let mut cohorts: Vec<u64> = rows.map(|(cohort,)| cohort).collect();
        cohorts.sort_unstable();
        cohorts.dedup();
        Ok(cohorts)
    }
}
