//! A plain HTTP client, for tests that send requests themselves.

use std::sync::Arc;

use reqwest::Client;
use rustls::crypto::ring;

/// A plain HTTP client. reqwest still requires a TLS provider; it is set for this client only, as a process-wide
/// default would also apply to the server under test.
pub(crate) fn client() -> Client {
    let provider = Arc::new(ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = Client::builder().tls_backend_preconfigured(tls);
    client.build().unwrap()
}
