//! Hosts that cannot be reached, or that redirect.

use posthog_sandbox::FaultKind;
use serde_json::json;

use super::faults::{LIST, connect_to};
use crate::connect;
use crate::result_invariants::read_calls;
use crate::stdio::sandbox;

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = sandbox().await;
    for status in [301, 302, 307, 308] {
        let to = format!("{}/api/projects/1/persons/", elsewhere.url());
        let redirect = FaultKind::Response {
            status,
            content_type: "text/html".to_owned(),
            body: String::new(),
            headers: vec![("location".to_owned(), to)],
        };
        let session = connect_to(redirect).await;
        for (tool, arguments) in read_calls() {
            let error = session.error(tool, arguments).await;
            assert_eq!(
                error,
                "PostHog at http://sandbox redirects to another address; the redirect is not followed, so that the API key is sent \
                 nowhere else. The user must set POSTHOG_HOST to the final address."
            );
            assert_eq!(session.requests().len(), 1, "{tool}");
        }
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn unreachable_host_is_reported_with_what_to_check() {
    let session = connect().await;
    session.sandbox.stop();
    let error = session.error(LIST, json!({})).await;
    assert!(
        error.starts_with("Could not connect to http://sandbox: "),
        "{error}"
    );
    assert!(error.ends_with("Check POSTHOG_HOST, the network, the proxy settings and, for a private certificate, --ca-cert."), "{error}");
}
