//! Endpoints that some versions of PostHog have and cannot serve.
//!
//! Their handlers do not take the project that the router passes, and fail with 500 before they read anything. A failure
//! of the moment looks the same, so two requests that a working PostHog refuses at once tell the two apart: one to the same
//! endpoint, and one to another.

use uuid::Uuid;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::request::{Request, persons};

const FAILED: ErrorKind = ErrorKind::Server { status: 500 };

impl Client {
    /// The result of a request to an endpoint; a 500 becomes [`Unsupported::FailingEndpoint`] if the endpoint never works.
    pub(crate) async fn or_failing<T>(
        &self,
        endpoint: &'static str,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        let error = match result {
            Err(error) if *error.kind() == FAILED => error,
            other => return other,
        };
        let project = self.project().await?.to_string();
        if self.always_fails(&project, endpoint).await {
            let failing = Unsupported::FailingEndpoint { endpoint };
            return Err(Error::new(ErrorKind::Unsupported(failing)));
        }
        Err(error)
    }

    /// Whether an endpoint fails where others do not.
    async fn always_fails(&self, project: &str, endpoint: &'static str) -> bool {
        let nobody = Uuid::new_v4().to_string();
        let (here, elsewhere) = (
            refused(project, endpoint),
            Request::get(persons(project, &[&nobody])),
        );
        let (here, elsewhere) = tokio::join!(self.send_once(&here), self.send_once(&elsewhere));
        let has_failed =
            |result: &Result<_, Error>| matches!(result, Err(error) if *error.kind() == FAILED);
        has_failed(&here) && matches!(elsewhere, Err(error) if *error.kind() == ErrorKind::NotFound)
    }
}

/// A request that a working endpoint refuses, and that reads no person.
pub(crate) fn refused<'a>(project: &'a str, endpoint: &'static str) -> Request<'a> {
    let request = Request::get(persons(project, &[endpoint]));
    match endpoint {
        // Without a person it fails on every version; an unknown one is not found.
        "cohorts" => request.query(vec![("person_id".into(), Uuid::new_v4().to_string())]),
        // It needs no argument. One row is enough.
        "deletion_status" => request.query(vec![("limit".into(), "1".to_owned())]),
        _ => request,
    }
}
