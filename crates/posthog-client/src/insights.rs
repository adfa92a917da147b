//! The persons of a funnel, a trend or a lifecycle. These endpoints do not support keys with scopes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::Error;
use crate::person::{Person, cut_to};
use crate::request::{Request, persons};
use crate::url::Query;

/// The parameters of an insight under the API's names. They are passed through unchecked.
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

/// One page of the persons of an insight.
#[derive(Debug)]
pub struct ActorPage {
    /// The persons, in the insight's order.
    pub people: Vec<Person>,
    /// Whether there is a next page.
    pub has_next: bool,
    /// Persons that the insight counts and that were deleted.
    pub missing_persons: u64,
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
        }
    }
}

impl Client {
    /// `GET persons/funnel/` where every argument is a scalar, else `POST persons/funnel/`.
    pub async fn funnel(&self, arguments: &InsightArguments) -> Result<ActorPage, Error> {
        /// PostHog reads these from the query even with a body.
        const ALWAYS_QUERY: [&str; 2] = ["entrance_period_start", "drop_off"];
        let project = self.project().await?.to_string();
        let path = persons(&project, &["funnel"]);
        let request = if arguments.is_scalar() {
            Request::get(path).query(arguments.query())
        } else {
            let (query, body): (Map<_, _>, Map<_, _>) = arguments
                .0
                .clone()
                .into_iter()
                .partition(|(name, _)| ALWAYS_QUERY.contains(&name.as_str()));
            Request::read_by_post(path, Value::Object(body)).query(InsightArguments(query).query())
        };
        let page = self.json(request).await?;
        Ok(ActorPage::new(page, arguments))
    }

    /// `GET persons/trends/`, sorted by the value at the data point, descending.
    pub async fn trends(&self, arguments: &InsightArguments) -> Result<ActorPage, Error> {
        self.actors("trends", arguments).await
    }

    /// `GET persons/lifecycle/`.
    pub async fn lifecycle(&self, arguments: &InsightArguments) -> Result<ActorPage, Error> {
        self.or_failing("lifecycle", self.actors("lifecycle", arguments).await)
            .await
    }

    async fn actors(
        &self,
        insight: &'static str,
        arguments: &InsightArguments,
    ) -> Result<ActorPage, Error> {
        let project = self.project().await?.to_string();
        let request = Request::get(persons(&project, &[insight])).query(arguments.query());
        let page = self.json(request).await?;
        Ok(ActorPage::new(page, arguments))
    }
}
