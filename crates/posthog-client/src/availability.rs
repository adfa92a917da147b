//! What a PostHog serves, seen before a call fails on it.

use serde_json::Value;
use tokio::time::timeout_at;

use crate::error::{Error, ErrorKind};
use crate::failing_endpoint::refused;
use crate::feature::{Feature, Support};
use crate::key_info::KeyInspector;

/// Whether PostHog serves an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Served,
    /// It does not have it.
    Missing,
    /// It has it, and fails on every request.
    Failing,
    /// That could not be determined.
    Unknown,
}

impl KeyInspector {
    /// Whether PostHog serves an endpoint below the persons, by a request that reads no person.
    pub async fn availability(&self, endpoint: &'static str, project: u64) -> Availability {
        let number = project.to_string();
        let response = self.read::<Value>(refused(&number, endpoint)).await;
        match response.as_ref().map_err(Error::kind) {
            Ok(_) | Err(ErrorKind::Invalid { .. } | ErrorKind::NotFound) => Availability::Served,
            Err(ErrorKind::Unsupported(_)) => Availability::Missing,
            Err(ErrorKind::Server { status: 500 }) => Availability::Failing,
            Err(_) => Availability::Unknown,
        }
    }

    /// Whether PostHog knows a field. An instance can take seconds to list its fields.
    pub async fn support(&self, feature: Feature) -> Support {
        let support = self.client.support(feature);
        match timeout_at(self.deadline, support).await {
            Ok(Ok(support)) => support,
            _ => Support::Unknown,
        }
    }
}
