//! What happened to persons: activity, properties over time, deletions.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::insights::InsightArguments;
use crate::person::{Person, PersonId};
use crate::person::{any_depth, null_as_default, object_of_any_depth};
use crate::request::{Request, persons};

/// One page of the activity log.
#[derive(Debug, Deserialize)]
pub struct ActivityPage {
    /// Newest first.
    pub results: Vec<Activity>,
    next: Option<String>,
    /// All entries.
    #[serde(default)]
    pub total_count: Option<u64>,
}

impl ActivityPage {
    /// Whether PostHog says that there is more.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

/// One entry of the activity log.
#[derive(Debug, Deserialize)]
pub struct Activity {
    /// `updated`, `delete_property`, `split_person`, `deleted`, and what PostHog adds.
    pub activity: String,
    /// ISO 8601.
    pub created_at: String,
    /// Who did it.
    #[serde(default)]
    pub user: Option<Actor>,
    /// The person's numeric id, as text.
    #[serde(default)]
    pub item_id: Option<String>,
    /// What changed.
    #[serde(default)]
    pub detail: Option<Detail>,
}

/// Who did something.
#[derive(Debug, Deserialize)]
pub struct Actor {
    /// First name; "System" for PostHog itself.
    #[serde(default)]
    pub first_name: Option<String>,
    /// E-mail; none for the system.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether it was PostHog itself.
    #[serde(default)]
    pub is_system: bool,
}

/// What an entry says beyond its verb.
#[derive(Debug, Deserialize)]
pub struct Detail {
    /// The person's name at the time; the UUID for a deletion.
    #[serde(default)]
    pub name: Option<String>,
    /// Changed fields. A property write is logged without its values.
    #[serde(default, deserialize_with = "null_as_default")]
    pub changes: Vec<Change>,
}

/// One changed field.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// `changed`, `deleted`, ...
    #[serde(default)]
    pub action: Option<String>,
    /// The field's name.
    #[serde(default)]
    pub field: Option<String>,
    /// The value before, where it is logged.
    #[serde(default, deserialize_with = "any_depth")]
    pub before: Value,
    /// The value after, where it is logged.
    #[serde(default, deserialize_with = "any_depth")]
    pub after: Value,
}

/// How the properties that an insight depends on changed.
#[derive(Debug, Deserialize)]
pub struct PropertiesTimeline {
    /// One point per change.
    #[serde(default, deserialize_with = "null_as_default")]
    pub points: Vec<TimelinePoint>,
    /// The properties looked at.
    #[serde(default, deserialize_with = "null_as_default")]
    pub crucial_property_keys: Vec<String>,
    /// ISO 8601.
    #[serde(default)]
    pub effective_date_from: Option<String>,
    /// ISO 8601.
    #[serde(default)]
    pub effective_date_to: Option<String>,
}

/// Properties that held from a moment on.
#[derive(Debug, Deserialize)]
pub struct TimelinePoint {
    /// ISO 8601.
    pub timestamp: String,
    /// The values.
    #[serde(default, deserialize_with = "object_of_any_depth")]
    pub properties: Map<String, Value>,
    /// Matching events while they held.
    #[serde(default)]
    pub relevant_event_count: u64,
}

/// Whose properties, and when.
#[derive(Debug)]
pub struct PropertiesAtTimeQuery {
    /// The person.
    pub subject: PropertiesAtTimeSubject,
    /// ISO 8601.
    pub timestamp: String,
    /// Also apply `$set_once`.
    pub include_set_once: bool,
}

/// A person, by one of two names.
#[derive(Debug)]
pub enum PropertiesAtTimeSubject {
    /// One of the person's distinct ids.
    DistinctId(String),
    /// The person's UUID.
    Person(Uuid),
}

/// Which deletions to show.
#[derive(Debug)]
pub struct DeletionStatusQuery {
    /// Of this person only.
    pub person_uuid: Option<Uuid>,
    /// `pending`, `completed` or `all`.
    pub status: Option<&'static str>,
    /// Rows a page.
    pub limit: u32,
    /// Rows to skip.
    pub offset: u32,
}

/// One page of deletions.
#[derive(Debug, Deserialize)]
pub struct DeletionStatusPage {
    /// All rows that match.
    pub count: u64,
    next: Option<String>,
    /// Newest first.
    pub results: Vec<DeletionStatus>,
}

impl DeletionStatusPage {
    /// Whether PostHog says that there is more.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

/// The deletion of one person's events. The profile's own deletion has no such row.
#[derive(Debug, Deserialize)]
pub struct DeletionStatus {
    /// The person.
    pub person_uuid: String,
    /// When it was asked for first; a repeated request keeps the old row.
    pub created_at: String,
    /// `pending` or `completed`.
    pub status: String,
    /// When it was done.
    #[serde(default)]
    pub delete_verified_at: Option<String>,
}

impl Client {
    /// `GET persons/{id}/activity/`, or `GET persons/activity/` for the whole project.
    ///
    /// # Errors
    /// As PostHog and the network give them.
    pub async fn activity(
        &self,
        id: Option<&PersonId>,
        limit: u32,
        page: u32,
    ) -> Result<ActivityPage, Error> {
        let project = self.project().await?.to_string();
        let path = match id {
            Some(id) => persons(&project, &[id.as_str(), "activity"]),
            None => persons(&project, &["activity"]),
        };
        let query = vec![
            ("limit".into(), limit.to_string()),
            ("page".into(), page.to_string()),
        ];
        let mut request = Request::get(path).query(query);
        request.subject = id.map(PersonId::to_string);
        self.json(request).await
    }

    /// `GET persons/{id}/properties_timeline/`. Closed to scoped keys.
    ///
    /// # Errors
    /// As PostHog and the network give them.
    pub async fn properties_timeline(
        &self,
        id: &PersonId,
        arguments: &InsightArguments,
    ) -> Result<PropertiesTimeline, Error> {
        let project = self.project().await?.to_string();
        let request = Request::get(persons(&project, &[id.as_str(), "properties_timeline"]))
            .query(arguments.query())
            .with_subject(id.to_string());
        self.json(request).await
    }

    /// `GET persons/properties_at_time/`.
    ///
    /// # Errors
    /// As PostHog and the network give them.
    pub async fn properties_at_time(&self, query: &PropertiesAtTimeQuery) -> Result<Person, Error> {
        let project = self.project().await?.to_string();
        let (name, subject) = match &query.subject {
            PropertiesAtTimeSubject::DistinctId(id) => ("distinct_id", id.clone()),
            PropertiesAtTimeSubject::Person(uuid) => ("person_id", uuid.to_string()),
        };
        let mut pairs = vec![
            (name.into(), subject.clone()),
            ("timestamp".into(), query.timestamp.clone()),
        ];
        if query.include_set_once {
            pairs.push(("include_set_once".into(), "true".to_owned()));
        }
        let request = Request::get(persons(&project, &["properties_at_time"]))
            .query(pairs)
            .with_subject(subject);
        self.json(request).await
    }

    /// `GET persons/deletion_status/`.
    ///
    /// # Errors
    /// As PostHog and the network give them.
    pub async fn deletion_status(
        &self,
        query: &DeletionStatusQuery,
    ) -> Result<DeletionStatusPage, Error> {
        let project = self.project().await?.to_string();
        let mut pairs = vec![
            ("limit".into(), query.limit.to_string()),
            ("offset".into(), query.offset.to_string()),
        ];
        if let Some(uuid) = query.person_uuid {
            pairs.push(("person_uuid".into(), uuid.to_string()));
        }
        if let Some(status) = query.status {
            pairs.push(("status".into(), status.to_owned()));
        }
        let request = Request::get(persons(&project, &["deletion_status"])).query(pairs);
        self.json(request).await
    }
}
