//! A PostHog with an untrusted certificate, or without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::process::{ProcessOutput, run};
use crate::stdio::connected;

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/untrusted.pem");

/// A server in its own thread, and its number of connections.
fn serve(serve_one: impl Fn(TcpStream) + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counting.fetch_add(1, Ordering::SeqCst);
            serve_one(stream);
        }
    });
    (address, count)
}

fn secure(config: &Arc<ServerConfig>, mut stream: TcpStream) -> std::io::Result<()> {
    const BODY: &str = r#"{"results": [], "next": null, "previous": null}"#;
    let mut connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = Stream::new(&mut connection, &mut stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    let length = BODY.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{BODY}"
    )
}

fn untrusted() -> (SocketAddr, Arc<AtomicUsize>) {
    let provider = Arc::new(ring::default_provider());
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_file(CERTIFICATE).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    serve(move |stream| {
        // Clients that do not trust the certificate close the connection.
        let _ = secure(&config, stream);
    })
}

async fn list(address: SocketAddr, arguments: &[&str]) -> ProcessOutput {
    let arguments = [&["call", "persons-list"], arguments].concat();
    let host = format!("https://{address}");
    run(connected(&arguments, &host, "phx_test"), "").await
}

#[tokio::test]
async fn untrusted_certificate_is_reported_and_not_retried() {
    let (address, connections) = untrusted();
    let ended = list(address, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let output = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        output.contains("Could not establish a TLS connection to https://"),
        "{output}"
    );
    assert!(output.contains("UnknownIssuer"), "{output}");
    assert!(output.contains("Nothing was sent"), "{output}");
    assert!(output.contains("--ca-cert"), "{output}");
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn ca_cert_fixes_an_untrusted_certificate() {
    let (address, connections) = untrusted();
    let ended = list(address, &["--ca-cert", CERTIFICATE]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn server_without_tls_is_reported_and_not_retried() {
    let (address, connections) = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.read(&mut [0; 4096]);
    });
    let ended = list(address, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let output = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        output.contains("Could not establish a TLS connection to https://"),
        "{output}"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
