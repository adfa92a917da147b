//! The history of persons: activity, properties over time, deletions.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::insights::InsightArguments;
use crate::person::{Person, PersonId, any_depth, cut_to, null_as_default};
use crate::properties::Properties;
use crate::request::{Request, persons};
use crate::untrusted::Untrusted;

/// One page of the activity log.
#[derive(Debug, Deserialize)]
pub struct ActivityPage {
    /// Newest first.
    pub results: Vec<Activity>,
    next: Option<String>,
    /// The number of all entries.
    #[serde(default)]
    pub total_count: Option<u64>,
    /// Whether rows beyond the limit were dropped.
    #[serde(skip)]
    cut: bool,
}

impl ActivityPage {
    /// Whether there is a next page.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some() || self.cut
    }
}

/// One entry of the activity log.
#[derive(Debug, Deserialize)]
pub struct Activity {
    /// `updated`, `delete_property`, `split_person`, `deleted` or another verb.
    pub activity: Untrusted<String>,
    /// ISO 8601.
    pub created_at: Untrusted<String>,
    /// Who did it.
    #[serde(default)]
    pub user: Option<Actor>,
    /// The person's numeric id.
    #[serde(default, deserialize_with = "number_from_text")]
    pub item_id: Option<u64>,
    /// What changed.
    #[serde(default)]
    pub detail: Option<Detail>,
}

/// Who did something.
#[derive(Debug, Deserialize)]
pub struct Actor {
    /// First name; "System" for PostHog itself.
    #[serde(default)]
    first_name: Option<Untrusted<String>>,
    /// E-mail; none for the system.
    #[serde(default)]
    email: Option<Untrusted<String>>,
    /// Whether it was PostHog itself.
    #[serde(default)]
    is_system: bool,
}

impl Actor {
    /// The name and the e-mail, as far as they are known; "System" for PostHog itself.
    #[must_use]
    pub fn label(&self) -> Untrusted<String> {
        if self.is_system {
            return "System".to_owned().into();
        }
        let name = self.first_name.clone().unwrap_or_default();
        match self.email.clone() {
            None => name,
            Some(email) if name == *"" => email,
            Some(email) => name.map(|name| format!("{name} <{}>", email.expose_untrusted())),
        }
    }
}

/// The details of an entry.
#[derive(Debug, Deserialize)]
pub struct Detail {
    /// The person's name at the time; the UUID for a deletion.
    #[serde(default)]
    pub name: Option<Untrusted<String>>,
    /// Changed fields. A property write is logged without its values.
    #[serde(default, deserialize_with = "null_as_default")]
    pub changes: Vec<Change>,
    /// Who was merged into whom.
    #[serde(default)]
    pub merge: Option<Merge>,
}

/// A merge.
#[derive(Debug, Deserialize)]
pub struct Merge {
    /// The persons that are gone: one, or several in the entry of the person that stays.
    #[serde(default, deserialize_with = "merged_persons")]
    pub source: Vec<MergedPerson>,
    /// The person that stays; at most one.
    #[serde(default, deserialize_with = "merged_persons")]
    pub target: Vec<MergedPerson>,
}

/// A person of a merge, as it was then.
#[derive(Debug, Deserialize)]
pub struct MergedPerson {
    /// The UUID.
    #[serde(default)]
    pub uuid: Option<Untrusted<String>>,
    /// The display name, where it is text.
    #[serde(default, deserialize_with = "text")]
    pub name: Option<Untrusted<String>>,
}

/// One changed field.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// `changed`, `deleted`, ...
    #[serde(default)]
    pub action: Option<Untrusted<String>>,
    /// The field's name.
    #[serde(default)]
    pub field: Option<Untrusted<String>>,
    /// The value before, where it is logged.
    #[serde(default, deserialize_with = "any_depth")]
    pub before: Untrusted<Value>,
    /// The value after, where it is logged.
    #[serde(default, deserialize_with = "any_depth")]
    pub after: Untrusted<Value>,
}

/// The changes of the properties that an insight depends on.
#[derive(Debug, Deserialize)]
pub struct PropertiesTimeline {
    /// One point per change.
    #[serde(default, deserialize_with = "null_as_default")]
    pub points: Vec<TimelinePoint>,
    /// The keys of these properties.
    #[serde(default, deserialize_with = "null_as_default")]
    pub crucial_property_keys: Vec<Untrusted<String>>,
    /// ISO 8601.
    #[serde(default)]
    pub effective_date_from: Option<Untrusted<String>>,
    /// ISO 8601.
    #[serde(default)]
    pub effective_date_to: Option<Untrusted<String>>,
}

/// The values from a moment on.
#[derive(Debug, Deserialize)]
pub struct TimelinePoint {
    /// ISO 8601.
    pub timestamp: Untrusted<String>,
    /// The values.
    #[serde(default)]
    pub properties: Properties,
    /// The number of matching events with these values.
    #[serde(default)]
    pub relevant_event_count: u64,
}

/// A person and a moment.
#[derive(Debug)]
pub struct PropertiesAtTimeQuery {
    /// The person.
    pub subject: PropertiesAtTimeSubject,
    /// ISO 8601.
    pub timestamp: String,
    /// Also apply `$set_once`.
    pub include_set_once: bool,
}

/// A person, by either of two ids.
#[derive(Debug, Clone)]
pub enum PropertiesAtTimeSubject {
    /// One of the person's distinct ids.
    DistinctId(String),
    /// The person's UUID.
    Person(Uuid),
}

/// Which deletions to list.
#[derive(Debug)]
pub struct DeletionStatusQuery {
    /// Only those of this person.
    pub person_uuid: Option<Uuid>,
    /// `pending`, `completed` or `all`.
    pub status: Option<&'static str>,
    /// Rows per page.
    pub limit: u32,
    /// Rows to skip.
    pub offset: u32,
}

/// One page of deletions.
#[derive(Debug, Deserialize)]
pub struct DeletionStatusPage {
    /// The number of all matching rows.
    pub count: u64,
    next: Option<String>,
    /// Newest first.
    pub results: Vec<DeletionStatus>,
    /// Whether rows beyond the limit were dropped.
    #[serde(skip)]
    cut: bool,
}

impl DeletionStatusPage {
    /// Whether there is a next page.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some() || self.cut
    }
}

/// The deletion of a person's events. The deletion of the person itself has no row.
#[derive(Debug, Deserialize)]
pub struct DeletionStatus {
    /// The person.
    pub person_uuid: Untrusted<String>,
    /// When it was requested first; a repeated request keeps the old row.
    pub created_at: Untrusted<String>,
    /// `pending` or `completed`.
    pub status: Untrusted<String>,
    /// When it was done.
    #[serde(default)]
    pub delete_verified_at: Option<Untrusted<String>>,
}

/// Activity sends a number as text; other text counts as no number.
fn number_from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// One person or a list of them. What has another shape is left out: the page is worth more than this detail.
fn merged_persons<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<MergedPerson>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let items = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_else(|_| vec![raw]);
    Ok(items
        .into_iter()
        .filter_map(|item| serde_json::from_str(item.get()).ok())
        .collect())
}

/// Text, or nothing.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Untrusted<String>>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

impl Client {
    /// `GET persons/{id}/activity/`, or `GET persons/activity/` for the whole project.
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
        let mut page: ActivityPage = self.json(request).await?;
        page.cut = cut_to(&mut page.results, limit);
        Ok(page)
    }

    /// `GET persons/{id}/properties_timeline/`. Does not support keys with scopes.
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
        self.or_failing("properties_at_time", self.json(request).await)
            .await
    }

    /// `GET persons/deletion_status/`.
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
        let mut page: DeletionStatusPage = self.json(request).await?;
        page.cut = cut_to(&mut page.results, query.limit);
        Ok(page)
    }
}
