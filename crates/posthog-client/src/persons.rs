//! Lists, single persons, batches, property values and cohorts.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::filter::Filter;
use crate::filter_form;
use crate::person::{Cohort, Person, PersonId, PersonPage, PropertyValues, null_as_default};
use crate::persons_query::PersonsQuery;
use crate::request::{Request, persons};
use crate::response::looks_like_html;
use crate::untrusted::Untrusted;
use crate::url::Query;

/// The API silently drops further ids of a batch.
pub const BATCH_SIZE: usize = 200;
/// Distinct ids of a person in the list at most.
pub const LISTED_DISTINCT_IDS: usize = 1000;
/// Distinct ids of a person in a batch at most.
pub const MINIMAL_DISTINCT_IDS: usize = 10;

/// E-mails in one filter: it is part of a URL.
const EMAILS_PER_REQUEST: usize = 40;
/// Persons of one page of the list.
const MAX_PERSONS_PER_REQUEST: u32 = 1000;
/// Concurrent requests of one call.
const CONCURRENCY: usize = 8;
/// Persons looked up one by one at most, where the key does not support batches.
const MAX_SINGLE_LOOKUPS: usize = BATCH_SIZE;

impl PersonsQuery {
    fn conditions(&self) -> Query {
        let mut query = Query::new();
        let texts = [
            ("search", &self.search),
            ("email", &self.email),
            ("distinct_id", &self.distinct_id),
        ];
        for (name, text) in texts {
            query.extend(text.iter().map(|text| (name.into(), text.clone())));
        }
        if !self.properties.is_empty() {
            let filters = filter_form::portable(&self.properties, Utc::now());
            query.push(("properties".into(), filters.to_string()));
        }
        query
    }
}

/// An endpoint that looks persons up by a list of ids.
struct BatchEndpoint {
    action: &'static str,
    /// The name of the list.
    field: &'static str,
}

impl Client {
    /// `GET persons/`, newest first. It does not know what [`PersonsQuery::needs_query_api`] needs.
    pub async fn persons(&self, query: &PersonsQuery) -> Result<PersonPage, Error> {
        let project = self.project().await?.to_string();
        let mut pairs = query.conditions();
        pairs.push(("limit".into(), query.limit.to_string()));
        pairs.push(("offset".into(), query.offset.to_string()));
        if query.include_total {
            // PostHog checks the presence only, so that `false` would count as true.
            pairs.push(("include_total".into(), "true".to_owned()));
        }
        let page: PersonPage = self
            .json(Request::get(persons(&project, &[])).query(pairs))
            .await?;
        Ok(page.cut_to(query.limit))
    }

    /// `GET cohorts/{id}/persons/`, in the rows of [`Client::persons`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown cohort.
    pub async fn cohort_members(
        &self,
        cohort: u64,
        limit: u32,
        offset: u32,
    ) -> Result<PersonPage, Error> {
        let (project, cohort) = (self.project().await?.to_string(), cohort.to_string());
        let path = vec!["api", "projects", &project, "cohorts", &cohort, "persons"];
        let query = vec![
            ("limit".into(), limit.to_string()),
            ("offset".into(), offset.to_string()),
        ];
        let page: PersonPage = self.json(Request::get(path).query(query)).await?;
        Ok(page.cut_to(limit))
    }

    /// `GET persons/?format=csv`, at most `max_bytes` of it, and whether it was truncated.
    ///
    /// The API ignores limit and offset here.
    pub async fn persons_csv(
        &self,
        query: &PersonsQuery,
        max_bytes: usize,
    ) -> Result<(Untrusted<String>, bool), Error> {
        let project = self.project().await?.to_string();
        let mut pairs = query.conditions();
        pairs.push(("format".into(), "csv".to_owned()));
        let mut request = Request::get(persons(&project, &[])).query(pairs);
        request.accept = "text/csv";
        // One byte more shows whether the file is longer.
        request.max_bytes = Some(max_bytes + 1);
        let mut body = self.send(&request).await?.into_bytes();
        let truncated = body.len() > max_bytes;
        body.truncate(max_bytes);
        if looks_like_html(&body) {
            let error = Error::new(ErrorKind::InvalidResponse);
            return Err(error.with_reason("it is a web page, not CSV"));
        }
        match String::from_utf8(body) {
            Ok(text) => Ok((text.into(), truncated)),
            Err(error) if truncated && error.utf8_error().error_len().is_none() => {
                let whole = error.utf8_error().valid_up_to();
                let mut body = error.into_bytes();
                body.truncate(whole);
                Ok((String::from_utf8(body).unwrap_or_default().into(), true))
            }
            Err(_) => {
                Err(Error::new(ErrorKind::InvalidResponse).with_reason("it is not UTF-8 text"))
            }
        }
    }

    /// The address of a person's page in PostHog.
    ///
    /// # Errors
    /// When the client's project cannot be determined.
    pub async fn person_url(&self, uuid: Uuid) -> Result<String, Error> {
        let project = self.project().await?.to_string();
        let uuid = uuid.to_string();
        let path = ["project", &project, "persons", &uuid];
        Ok(self
            .inner
            .connection
            .address(&path, false)
            .map_err(|error| Error::new(ErrorKind::InvalidRequest).with_reason(error.to_string()))?
            .into())
    }

    /// `GET persons/{id}/`, with all distinct ids, which can be more than a hundred thousand.
    pub async fn person(&self, id: &PersonId) -> Result<Person, Error> {
        let project = self.project().await?.to_string();
        let request = Request::get(persons(&project, &[id.as_str()])).with_subject(id.to_string());
        self.json(request).await
    }

    /// `GET persons/?distinct_id=`: the person with this distinct id, with at most [`LISTED_DISTINCT_IDS`] of them.
    pub async fn person_by_distinct_id(&self, distinct_id: &str) -> Result<Person, Error> {
        let project = self.project().await?.to_string();
        let query = vec![("distinct_id".into(), distinct_id.to_owned())];
        let request = Request::get(persons(&project, &[])).query(query);
        let page: PersonPage = self.json(request).await?;
        let person = page.results.into_iter().next();
        let person = person
            .ok_or_else(|| Error::new(ErrorKind::NotFound).with_subject(Some(distinct_id)))?;
        // A cache that ignores the query has the first page for every distinct id, and a write would go to the wrong person.
        let ids = &person.distinct_ids;
        let is_complete = !ids.is_empty() && ids.len() < MINIMAL_DISTINCT_IDS;
        if is_complete && !ids.iter().any(|id| *id == *distinct_id) {
            return Err(Error::new(ErrorKind::InvalidResponse)
                .with_reason("it is about a person without this distinct id"));
        }
        Ok(person)
    }

    /// `POST persons/batch_by_distinct_ids/`, in as many requests as needed. Ids without a person are missing from the map.
    ///
    /// # Errors
    /// One failed request fails the whole.
    pub async fn persons_by_distinct_ids(
        &self,
        distinct_ids: &[Untrusted<String>],
    ) -> Result<HashMap<Untrusted<String>, Person>, Error> {
        let batch = BatchEndpoint {
            action: "batch_by_distinct_ids",
            field: "distinct_ids",
        };
        match self
            .batch(&batch, distinct_ids, |id| json!(id.expose_untrusted()))
            .await
        {
            Err(error) if is_missing(&error) => {
                self.one_by_one(distinct_ids, error, |id| {
                    self.person_by_distinct_id(id.expose_untrusted())
                })
                .await
            }
            persons => persons,
        }
    }

    /// `POST persons/batch_by_uuids/`, as [`Client::persons_by_distinct_ids`].
    ///
    /// # Errors
    /// One failed request fails the whole.
    pub async fn persons_by_uuids(&self, uuids: &[Uuid]) -> Result<HashMap<Uuid, Person>, Error> {
        let batch = BatchEndpoint {
            action: "batch_by_uuids",
            field: "uuids",
        };
        match self.batch(&batch, uuids, |uuid| json!(uuid)).await {
            Err(error) if is_missing(&error) => {
                self.one_by_one(uuids, error, |uuid| async move {
                    self.person(&PersonId::from(*uuid)).await
                })
                .await
            }
            persons => persons,
        }
    }

    /// `GET persons/`, filtered by the property `email` in any letter case: the persons of each e-mail, in the order given.
    pub async fn persons_by_emails(
        &self,
        emails: &[String],
    ) -> Result<Vec<(String, Vec<Person>)>, Error> {
        let mut requests = Vec::new();
        for chunk in emails.chunks(EMAILS_PER_REQUEST) {
            let query = PersonsQuery {
                properties: vec![Filter::email_in_any_case(chunk)],
                limit: MAX_PERSONS_PER_REQUEST,
                ..PersonsQuery::default()
            };
            requests.push(async move { self.persons(&query).await });
        }
        let pages: Vec<PersonPage> = stream::iter(requests)
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let mut found: HashMap<String, Vec<Person>> = HashMap::new();
        for person in pages.into_iter().flat_map(|page| page.results) {
            if let Some(email) = person.email() {
                let email = email.trim().to_lowercase();
                found.entry(email).or_default().push(person);
            }
        }
        let of = |email: &String| {
            found
                .get(&email.to_lowercase())
                .cloned()
                .unwrap_or_default()
        };
        Ok(emails
            .iter()
            .map(|email| (email.clone(), of(email)))
            .collect())
    }

    async fn batch<K: Eq + Hash + DeserializeOwned>(
        &self,
        endpoint: &BatchEndpoint,
        ids: &[K],
        json: impl Fn(&K) -> Value,
    ) -> Result<HashMap<K, Person>, Error> {
        #[derive(Deserialize)]
        #[serde(bound(deserialize = "K: Eq + Hash + Deserialize<'de>"))]
        struct Batch<K> {
            #[serde(deserialize_with = "null_as_default")]
            results: HashMap<K, Person>,
        }
        let project = self.project().await?.to_string();
        let mut requests = Vec::new();
        for chunk in ids.chunks(BATCH_SIZE) {
            let ids: Vec<Value> = chunk.iter().map(&json).collect();
            let body = json!({ endpoint.field: ids });
            let request = Request::read_by_post(persons(&project, &[endpoint.action]), body);
            requests.push(async move {
                let batch: Batch<K> = self.json(request).await?;
                // Only the persons that were asked for, whatever else a response holds.
                let mut results = batch.results;
                results.retain(|id, _| chunk.contains(id));
                Ok(results)
            });
        }
        stream::iter(requests)
            .buffer_unordered(CONCURRENCY)
            .try_fold(
                HashMap::new(),
                |mut all, batch: HashMap<K, Person>| async move {
                    all.extend(batch);
                    Ok(all)
                },
            )
            .await
    }

    /// Looks persons up one by one: some PostHog versions do not serve batches to scoped keys.
    async fn one_by_one<'a, K: Eq + Hash + Clone, F>(
        &self,
        ids: &'a [K],
        unsupported: Error,
        person: impl Fn(&'a K) -> F,
    ) -> Result<HashMap<K, Person>, Error>
    where
        F: Future<Output = Result<Person, Error>>,
    {
        if ids.len() > MAX_SINGLE_LOOKUPS {
            return Err(unsupported.with_reason(format!(
                "this key does not support batches, and at most {MAX_SINGLE_LOOKUPS} persons are looked up one by one"
            )));
        }
        let mut lookups = Vec::new();
        for id in ids {
            let lookup = person(id);
            lookups.push(async move {
                match lookup.await {
                    Ok(person) => Ok(Some((id.clone(), person))),
                    Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            });
        }
        stream::iter(lookups)
            .buffer_unordered(CONCURRENCY)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }

    /// `GET persons/values/`: the most frequent values of a property; with `value`, those that contain it.
    ///
    /// An unknown key is not an error: it has no values.
    pub async fn property_values(
        &self,
        key: &str,
        value: Option<&str>,
    ) -> Result<PropertyValues, Error> {
        let project = self.project().await?.to_string();
        let mut query = vec![("key".into(), key.to_owned())];
        query.extend(value.map(|value| ("value".into(), value.to_owned())));
        self.json(Request::get(persons(&project, &["values"])).query(query))
            .await
    }

    /// `GET persons/cohorts/`: the cohorts a person was in when they were last calculated.
    pub async fn person_cohorts(&self, id: &PersonId) -> Result<Vec<Cohort>, Error> {
        #[derive(Deserialize)]
        struct Cohorts {
            results: Vec<Cohort>,
        }
        let project = self.project().await?.to_string();
        let request = Request::get(persons(&project, &["cohorts"]))
            .query(vec![("person_id".into(), id.to_string())])
            .with_subject(id.to_string());
        let cohorts: Result<Cohorts, Error> = self.json(request).await;
        let cohorts = self.or_failing("cohorts", cohorts).await?;
        Ok(cohorts.results)
    }
}

/// Whether the batch endpoints are missing or closed: until 2026 they did not exist, which PostHog tells keys with scopes
/// in the words for a closed endpoint.
fn is_missing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ScopedKeysUnsupported | ErrorKind::Unsupported(Unsupported::Endpoint { .. })
    )
}
