//! Sends a query.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::response::QueryResponse;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Unsupported};
use crate::rate_limit::Quota;
use crate::request::Request;

/// Computed now: by default, PostHog responds from a cache that does not see the last minutes.
const REFRESH: &str = "force_blocking";

impl Client {
    /// `POST query/` with a node.
    pub(crate) async fn query<Row: DeserializeOwned>(
        &self,
        node: Value,
    ) -> Result<QueryResponse<Row>, Error> {
        self.query_within(node, None).await
    }

    /// The same with a limit for the size of the response, in bytes.
    pub(crate) async fn query_within<Row: DeserializeOwned>(
        &self,
        node: Value,
        size_limit: Option<usize>,
    ) -> Result<QueryResponse<Row>, Error> {
        let project = self.project().await?.to_string();
        let path = vec!["api", "projects", &project, "query"];
        let mut request = Request::read_by_post(path, json!({ "query": node, "refresh": REFRESH }));
        request.quota = Quota::Query;
        request.size_limit = size_limit;
        self.json(request)
            .await
            .map_err(|error| match error.kind() {
                // The path has no id: what is missing is the endpoint.
                ErrorKind::NotFound => Error::new(ErrorKind::Unsupported(Unsupported::Endpoint {
                    endpoint: "query".to_owned(),
                }))
                .of_query(),
                _ => error.of_query(),
            })
    }
}

/// Whether a query failed because the key or this PostHog cannot make queries at all.
pub(crate) fn is_closed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::MissingScope(_)
            | ErrorKind::ScopedKeysUnsupported
            | ErrorKind::Unsupported(Unsupported::Endpoint { .. })
    )
}
