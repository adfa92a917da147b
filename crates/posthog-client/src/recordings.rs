//! Session recordings: which there are of a person, never what they show.

use serde::Deserialize;
use serde_json::Number;
use uuid::Uuid;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::person::cut_to;
use crate::query::TimeRange;
use crate::request::Request;
use crate::untrusted::Untrusted;

/// A page of recordings.
#[derive(Debug, Deserialize)]
pub struct RecordingPage {
    /// Newest first.
    pub results: Vec<Recording>,
    /// Whether there is a next page.
    #[serde(default)]
    pub has_next: bool,
}

/// What a recording is known by.
#[derive(Debug, Deserialize)]
pub struct Recording {
    /// That of the session.
    pub id: Untrusted<String>,
    /// The distinct id that it was sent with.
    #[serde(default)]
    pub distinct_id: Untrusted<String>,
    /// ISO 8601.
    #[serde(default)]
    pub start_time: Option<Untrusted<String>>,
    /// ISO 8601.
    #[serde(default)]
    pub end_time: Option<Untrusted<String>>,
    /// In seconds.
    #[serde(default)]
    pub recording_duration: Option<Number>,
    /// The first address.
    #[serde(default)]
    pub start_url: Option<Untrusted<String>>,
}

impl Client {
    /// `GET session_recordings/?person_uuid=`: the recordings of a person within a range.
    pub async fn recordings(
        &self,
        person: Uuid,
        range: TimeRange,
        limit: u32,
        offset: u32,
    ) -> Result<RecordingPage, Error> {
        let project = self.project().await?.to_string();
        let path = vec!["api", "projects", &project, "session_recordings"];
        let query = vec![
            ("person_uuid".into(), person.to_string()),
            // Without a start the list has the last three days.
            ("date_from".into(), range.from()),
            ("date_to".into(), range.until()),
            ("limit".into(), limit.to_string()),
            ("offset".into(), offset.to_string()),
        ];
        let mut page: RecordingPage = self.json(Request::get(path).query(query)).await?;
        page.has_next |= cut_to(&mut page.results, limit);
        Ok(page)
    }

    /// The address of a recording in PostHog.
    ///
    /// # Errors
    /// When the client's project cannot be determined.
    pub async fn recording_url(&self, id: &Untrusted<String>) -> Result<String, Error> {
        let project = self.project().await?.to_string();
        let path = ["project", &project, "replay", id.expose_untrusted()];
        let address = self.inner.connection.address(&path, false);
        address
            .map(Into::into)
            .map_err(|error| Error::new(ErrorKind::InvalidRequest).with_reason(error.to_string()))
    }
}
