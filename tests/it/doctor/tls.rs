//! A PostHog with a private certificate: which certificates the doctor accepts.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{check, doctor, printed};

const VALID: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/doctor/valid.pem");
const EXPIRED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/doctor/expired.pem");

/// Serves one TLS connection with the certificate and key of a file; responds 401, as PostHog does without a key.
fn serve(pem: &str) -> String {
    let certificates = CertificateDer::pem_file_iter(pem).unwrap();
    let certificates = certificates.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(pem).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            // A client that does not trust the certificate closes the connection.
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            head.extend(byte);
        }
        let body = r#"{"type": "authentication_error", "code": "not_authenticated", "detail": "No.", "attr": null}"#;
        let length = body.len();
        let response =
            format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {length}\r\n\r\n{body}");
        let _ = stream.get_mut().write_all(response.as_bytes());
    });
    format!("https://{address}")
}

/// The finding about the host.
async fn host(pem: &str, arguments: &[&str]) -> String {
    let page = printed(doctor(&serve(pem), "phx_test", arguments), 1).await;
    check(&page, "host")
}

#[tokio::test]
async fn untrusted_certificate_is_reported_with_ca_cert() {
    let text = host(VALID, &[]).await;
    assert!(text.contains("its certificate is not trusted: "), "{text}");
    assert!(
        text.contains("set --ca-cert to that CA's PEM file"),
        "{text}"
    );
    let text = host(VALID, &["--ca-cert", EXPIRED]).await;
    assert!(
        text.contains("The file in --ca-cert does not contain the CA that signed the certificate."),
        "{text}"
    );
}

#[tokio::test]
async fn certificate_of_a_trusted_ca_is_accepted() {
    let text = host(VALID, &["--ca-cert", VALID]).await;
    assert!(text.starts_with("ok host https://127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn expired_certificate_is_reported() {
    let text = host(EXPIRED, &["--ca-cert", EXPIRED]).await;
    assert!(
        text.contains("its certificate is not valid at this time: "),
        "{text}"
    );
    assert!(text.contains("Check this machine's clock"), "{text}");
}
