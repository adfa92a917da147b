//! Changes and deletions. None of them is retried once PostHog may have received it.
//!
//! PostHog accepts most writes with 202 and applies them asynchronously; each method says how to verify the result.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::{Uuid, uuid};

use crate::client::Client;
use crate::decode::decode;
use crate::error::{Error, ErrorKind};
use crate::feature::Feature;
use crate::person::PersonId;
use crate::person::null_as_default;
use crate::rate_limit::Quota;
use crate::request::{Request, persons};
use crate::untrusted::Untrusted;

/// The API rejects more persons in one deletion.
pub const MAX_DELETED: usize = 1000;

/// A deletion of persons and their data.
#[derive(Debug, Clone)]
pub struct BulkDeletion {
    /// The persons, at most [`MAX_DELETED`].
    pub uuids: Vec<Uuid>,
    /// Also delete their events, in the weekly batch.
    pub delete_events: bool,
    /// Also delete their recordings.
    pub delete_recordings: bool,
    /// Keep the persons themselves.
    pub keep_person: bool,
}

impl BulkDeletion {
    /// The fields of it that an older PostHog ignores.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        [
            (self.keep_person, Feature::KeepPerson),
            (self.delete_recordings, Feature::DeleteRecordings),
        ]
        .into_iter()
        .filter_map(|(used, feature)| used.then_some(feature))
    }
}

/// What PostHog reports about a deletion.
#[derive(Debug, Deserialize)]
pub struct BulkDeletionSummary {
    /// Persons found.
    pub persons_found: u64,
    /// Persons deleted immediately. Zero is a success where deletions are queued.
    pub persons_deleted: u64,
    /// Persons queued for deletion; newer versions only.
    #[serde(default)]
    pub persons_queued_for_deletion: Option<u64>,
    /// Whether events will be deleted.
    #[serde(default)]
    pub events_queued_for_deletion: bool,
    /// Whether recordings will be deleted.
    #[serde(default)]
    pub recordings_queued_for_deletion: bool,
    /// Persons that were not deleted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub deletion_errors: Vec<DeletionError>,
}

/// A person that was not deleted.
#[derive(Debug, Deserialize)]
pub struct DeletionError {
    /// The person.
    #[serde(default)]
    pub person_uuid: Option<Untrusted<String>>,
    /// The step that failed; newer versions only.
    #[serde(default)]
    pub step: Option<Untrusted<String>>,
}

/// The UUID that ingestion and splits give to the person of a distinct id.
///
/// A live distinct id can belong to another person: a merge keeps the UUID of one person and moves the distinct ids of
/// the other.
fn derived_uuid(project: u64, distinct_id: &Untrusted<String>) -> Uuid {
    derive(&format!("{project}:{}", distinct_id.expose_untrusted()))
}

/// The UUID of the person that a distinct id moves to when it is split off `source`.
///
/// The distinct id from which the UUID of `source` itself was derived gets another derivation.
#[must_use]
pub fn split_uuid(project: u64, distinct_id: &Untrusted<String>, source: Uuid) -> Uuid {
    let default = derived_uuid(project, distinct_id);
    if source == default {
        derive(&format!(
            "{project}:{}:split",
            distinct_id.expose_untrusted()
        ))
    } else {
        default
    }
}

/// Whether a person's UUID was derived from this distinct id.
#[must_use]
pub fn is_creator(project: u64, distinct_id: &Untrusted<String>, person: Uuid) -> bool {
    derived_uuid(project, distinct_id) == person
}

fn derive(name: &str) -> Uuid {
    const NAMESPACE: Uuid = uuid!("932979b4-65c3-4424-8467-0b66ec27bc22");
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

impl Request<'_> {
    fn write(mut self, method: Method, body: Value) -> Self {
        self.method = method;
        self.body = Some(body);
        self.idempotent = false;
        self
    }
}

impl Client {
    /// `PATCH persons/{id}/`: sets these properties and leaves the others.
    ///
    /// Applied within seconds; PostHog reports no failure. Read the person to verify.
    pub async fn update_properties(
        &self,
        id: &PersonId,
        properties: &Map<String, Value>,
    ) -> Result<(), Error> {
        let body = json!({ "properties": properties });
        self.write_to_person(Method::PATCH, id, None, body).await
    }

    /// `POST persons/{id}/update_property/`: sets one property.
    ///
    /// Applied within seconds; PostHog reports no failure. Read the person to verify.
    pub async fn set_property(&self, id: &PersonId, key: &str, value: &Value) -> Result<(), Error> {
        let body = json!({ "key": key, "value": value });
        self.write_to_person(Method::POST, id, Some("update_property"), body)
            .await
    }

    /// `POST persons/{id}/delete_property/`: removes one property.
    ///
    /// Applied within seconds. PostHog responds with 500 for a person that does not exist.
    pub async fn delete_property(&self, id: &PersonId, key: &str) -> Result<(), Error> {
        let body = json!({ "$unset": key });
        self.write_to_person(Method::POST, id, Some("delete_property"), body)
            .await
    }

    /// `POST persons/{id}/split/`: moves each of these distinct ids to a new person of its own.
    ///
    /// Applied within seconds. [`split_uuid`] gives the new person of each.
    pub async fn split(
        &self,
        id: &PersonId,
        distinct_ids: &[Untrusted<String>],
    ) -> Result<(), Error> {
        self.require(Feature::PartialSplit).await?;
        let distinct_ids: Vec<_> = distinct_ids
            .iter()
            .map(Untrusted::expose_untrusted)
            .collect();
        let body = json!({ "distinct_ids_to_split": distinct_ids });
        self.write_to_person(Method::POST, id, Some("split"), body)
            .await
    }

    /// `POST persons/{id}/split/`: moves every distinct id but this one to a new person of its own, on any version.
    ///
    /// # Errors
    /// As PostHog and the network give them.
    pub async fn split_all_but(
        &self,
        id: &PersonId,
        main_distinct_id: &Untrusted<String>,
    ) -> Result<(), Error> {
        let body = json!({ "main_distinct_id": main_distinct_id.expose_untrusted() });
        self.write_to_person(Method::POST, id, Some("split"), body)
            .await
    }

    /// `POST persons/bulk_delete/`.
    ///
    /// Persons are deleted within minutes, events in the weekly batch. `None` where PostHog does not say what it deletes.
    pub async fn bulk_delete(
        &self,
        deletion: &BulkDeletion,
    ) -> Result<Option<BulkDeletionSummary>, Error> {
        for feature in deletion.features() {
            self.require(feature).await?;
        }
        let project = self.project().await?.to_string();
        // JSON booleans: PostHog treats the string "false" as true.
        let body = json!({
            "ids": deletion.uuids.iter().map(Uuid::to_string).collect::<Vec<_>>(),
            "delete_events": deletion.delete_events,
            "delete_recordings": deletion.delete_recordings,
            "keep_person": deletion.keep_person,
        });
        let mut request =
            Request::get(persons(&project, &["bulk_delete"])).write(Method::POST, body);
        request.quota = Quota::Delete;
        // A deletion that failed for some persons can have the status of a failure, and the summary as its body.
        request.is_result = |body| decode::<BulkDeletionSummary>(body).is_ok();
        let body = self.send(&request).await?;
        if body.trim_ascii().is_empty() {
            // Until April 2026 PostHog accepted a deletion without a word.
            return Ok(None);
        }
        decode(&body).map(Some)
    }

    /// `POST persons/reset_person_distinct_id/`: makes a distinct id visible that was deleted and is in use again.
    ///
    /// The response does not depend on whether it had an effect.
    pub async fn reset_distinct_id(&self, distinct_id: &str) -> Result<(), Error> {
        let project = self.project().await?.to_string();
        let body = json!({ "distinct_id": distinct_id });
        let request = Request::get(persons(&project, &["reset_person_distinct_id"]))
            .write(Method::POST, body)
            .with_subject(distinct_id);
        self.send_write(&request).await
    }

    async fn write_to_person(
        &self,
        method: Method,
        id: &PersonId,
        action: Option<&str>,
        body: Value,
    ) -> Result<(), Error> {
        let project = self.project().await?.to_string();
        let mut path = persons(&project, &[id.as_str()]);
        path.extend(action);
        let request = Request::get(path)
            .write(method, body)
            .with_subject(id.to_string());
        self.send_write(&request).await
    }

    /// Sends a write whose success has no body, or an object. Other bodies do not come from the API.
    async fn send_write(&self, request: &Request<'_>) -> Result<(), Error> {
        let body = self.send(request).await?;
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        match decode::<Map<String, Value>>(&body)?.get("success") {
            Some(Value::Bool(false)) => Err(Error::new(ErrorKind::NotPerformed)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_derived_as_posthog_does() {
        for (project, distinct_id, uuid, split) in [
            (
                280_817,
                "6e9a624b-9339-4d07-8c46-8cd05dfa04e1",
                "51410cf7-1a40-508b-ba2b-68727dca2a9b",
                None,
            ),
            (
                280_817,
                "fe015367-2197-4e02-b176-3b59b4be3e7a",
                "b9079019-d999-5662-9dc8-ac23a2f009ed",
                None,
            ),
            (
                280_817,
                "789cb67e-646b-4d98-ba5d-7cf3369aa79d",
                "52d93905-50b7-5765-b90a-f56f7a8faa15",
                None,
            ),
            (
                281_083,
                "837ca992-d8a3-45da-8265-4be9d59ac223",
                "c3eea7d9-7e7f-5c41-8e54-1928997d8a8f",
                None,
            ),
            (
                281_083,
                "5def6e20-dd13-46cb-af16-792e5f0d950a",
                "b19a5ec2-d056-5379-8131-dbb8cfc032d1",
                None,
            ),
            (
                1,
                "1",
                "e3a558b1-99c1-5119-b407-62f7e747d46b",
                Some("c7bb1a3d-d39e-53d5-95b6-7f7244329504"),
            ),
            (
                1,
                "distinct_id",
                "90f26d77-1832-5e44-8796-eec309e68010",
                Some("343be193-5fd8-52bb-819d-3968f1f26a8e"),
            ),
            (
                2,
                "user@example.com",
                "689656f4-631a-57af-9696-0bf9b099affd",
                Some("7666c304-ce56-5701-8ee2-a39cbeb79e25"),
            ),
            (
                1,
                "a/b c?d",
                "c540f39d-0fab-5639-b93e-9e7ee797d9af",
                Some("d87d68d7-1af8-5bfd-a230-8ea8a4b26722"),
            ),
            (
                1,
                "größe-ünïcode-😀",
                "273390c7-8f91-5e0c-94bd-a09ef8d3cf30",
                Some("fa736e7e-7d57-5fda-aaef-ac62c6bb21a4"),
            ),
        ] {
            let distinct_id = Untrusted::from(distinct_id.to_owned());
            let derived = Uuid::try_parse(uuid).unwrap();
            assert_eq!(derived_uuid(project, &distinct_id), derived);
            assert!(is_creator(project, &distinct_id, derived));
            let elsewhere = uuid!("ada0ada0-1815-4852-8000-000000000101");
            assert_eq!(split_uuid(project, &distinct_id, elsewhere), derived);
            if let Some(split) = split {
                let moved = split_uuid(project, &distinct_id, derived);
                assert_eq!(moved.to_string(), split);
            }
        }
    }
}
