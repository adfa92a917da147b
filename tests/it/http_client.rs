//! A client of plain HTTP, for tests that talk to a server by hand.

use std::sync::Arc;

use reqwest::Client;
use rustls::crypto::ring;

/// A client of plain HTTP, which wants to know its cryptography all the same. It is told here and not for the whole
/// process, where it would help the server under test as well.
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
