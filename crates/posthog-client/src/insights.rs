//! The persons of an insight: by the query API or, where that is closed to the key or missing, by the endpoint that the
//! insight had before. Keys with scopes have access to the former alone.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::person::{Person, cut_to};
use crate::query::{ActorPage, ActorsQuery, is_closed};
use crate::request::{Request, persons};
use crate::url::Query;

/// An insight that has an endpoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insight {
    /// `persons/funnel/`
    Funnel,
    /// `persons/trends/`
    Trends,
    /// `persons/lifecycle/`
    Lifecycle,
}

/// The parameters of an insight's endpoint under the API's names. They are passed through unchecked.
#[derive(Debug)]
pub struct InsightArguments(Map<String, Value>);

impl InsightArguments {
    /// From the fields of a struct; those without a value are omitted.
    ///
    /// # Errors
    /// When it does not serialize as an object.
    pub fn of(fields: &impl Serialize) -> Result<Self, serde_json::Error> {
        let fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(fields)?)?;
        Ok(Self(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .collect(),
        ))
    }

    /// As query pairs: lists and objects as JSON text.
    pub(crate) fn query(&self) -> Query {
        self.0
            .iter()
            .map(|(name, value)| pair(name, value))
            .collect()
    }

    fn limit(&self) -> Option<u32> {
        self.0.get("limit")?.as_u64()?.try_into().ok()
    }

    fn is_scalar(&self) -> bool {
        !self
            .0
            .values()
            .any(|value| value.is_array() || value.is_object())
    }
}

fn pair(name: &str, value: &Value) -> (std::borrow::Cow<'static, str>, String) {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (name.to_owned().into(), text)
}

#[derive(Deserialize)]
struct RawActorPage {
    results: Vec<Bucket>,
    next: Option<String>,
    #[serde(default)]
    missing_persons: Option<u64>,
}

#[derive(Deserialize)]
struct Bucket {
    people: Vec<Person>,
}

impl ActorPage {
    fn new(page: RawActorPage, arguments: &InsightArguments) -> Self {
        let buckets = page.results.into_iter();
        let mut people: Vec<Person> = buckets.flat_map(|bucket| bucket.people).collect();
        let cut = arguments
            .limit()
            .is_some_and(|limit| cut_to(&mut people, limit));
        Self {
            people,
            has_next: page.next.is_some() || cut,
            missing_persons: page.missing_persons.unwrap_or(0),
            ..Self::default()
        }
    }
}

impl Client {
    /// The persons of an insight: by the query API, else by the insight's endpoint, with these arguments.
    ///
    /// # Errors
    /// Where neither is open to the key, the error of the query, which names the scope that opens it.
    pub async fn insight_persons(
        &self,
        query: &ActorsQuery,
        insight: Insight,
        arguments: &InsightArguments,
    ) -> Result<ActorPage, Error> {
        match self.actors(query).await {
            Err(closed) if is_closed(&closed) => {
                let page = self.insight_endpoint(insight, arguments).await;
                page.map_err(|error| unless_closed(error, closed))
            }
            result => result,
        }
    }

    /// `GET persons/{insight}/`, or `POST persons/funnel/` for a funnel with lists. Does not support keys with scopes.
    async fn insight_endpoint(
        &self,
        insight: Insight,
        arguments: &InsightArguments,
    ) -> Result<ActorPage, Error> {
        /// PostHog reads these from the query even with a body.
        const ALWAYS_QUERY: [&str; 2] = ["entrance_period_start", "drop_off"];
        let project = self.project().await?.to_string();
        let name = match insight {
            Insight::Funnel => "funnel",
            Insight::Trends => "trends",
            Insight::Lifecycle => "lifecycle",
        };
        let path = persons(&project, &[name]);
        let request = if insight != Insight::Funnel || arguments.is_scalar() {
            Request::get(path).query(arguments.query())
        } else {
            let (query, body): (Map<_, _>, Map<_, _>) = arguments
                .0
                .clone()
                .into_iter()
                .partition(|(name, _)| ALWAYS_QUERY.contains(&name.as_str()));
            Request::read_by_post(path, Value::Object(body)).query(InsightArguments(query).query())
        };
        let page = self.json(request).await;
        let page = page.map(|page| ActorPage::new(page, arguments));
        match insight {
            Insight::Lifecycle => self.or_failing(name, page).await,
            Insight::Funnel | Insight::Trends => page,
        }
    }
}

/// The error of an endpoint that was called because a query was not possible: the reason of the latter, where the endpoint
/// is closed as well and a scope would open the query API.
pub(crate) fn unless_closed(error: Error, query: Error) -> Error {
    let scope_is_missing = matches!(query.kind(), ErrorKind::MissingScope(_));
    if scope_is_missing && is_closed(&error) {
        query
    } else {
        error
    }
}
