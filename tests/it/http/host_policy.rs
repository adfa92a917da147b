//! The checks of `Host` and `Origin`, on every route.

use posthog_persons_mcp::http::HostPolicy;
use serde_json::json;

use super::{
    Caller, FullResponse, MARY, Method, PROTECTED_ROUTES, PUBLIC_ROUTES, Setup, Team, send_raw,
    team_with,
};

fn named() -> Setup {
    Setup {
        host_policy: HostPolicy {
            hosts: vec![
                "mcp.example.com".to_owned(),
                "other.example:8443".to_owned(),
            ],
            origins: vec!["https://app.example.com".to_owned()],
        },
        ..Setup::default()
    }
}

/// Every route, and one that does not exist.
fn routes() -> impl Iterator<Item = (Method, &'static str)> {
    let open = PUBLIC_ROUTES.iter().map(|path| (Method::GET, *path));
    let none = [(Method::GET, "/"), (Method::OPTIONS, "/mcp")];
    PROTECTED_ROUTES.into_iter().chain(open).chain(none)
}

async fn send_to(caller: &Caller, method: &Method, path: &str) -> FullResponse {
    let request = caller.request(method.clone(), path);
    let response = caller.send(request.json(&json!({}))).await;
    if path == "/sse" && response.status() == 200 {
        // This response would not end.
        return FullResponse {
            status: 200,
            headers: response.headers().clone(),
            text: String::new(),
        };
    }
    FullResponse::of(response).await
}

const FOREIGN_HOSTS: [&str; 8] = [
    "evil.example",
    "evil.example:8808",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "mcp.example.com.evil.example",
    "other.example",
    "0.0.0.0",
    "localhost@evil.example",
];

const FOREIGN_ORIGINS: [&str; 8] = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "https://app.example.com:444",
    "null",
    "file://",
    "localhost",
];

async fn assert_rejected_on_every_route(team: &Team, header: &'static str, values: &[&str]) {
    for value in values {
        // Rejected before authentication, with or without a valid credential.
        let caller = team.caller(MARY).with_header(header, value);
        let anonymous = Caller {
            bearer: None,
            ..caller.clone()
        };
        for (method, path) in routes() {
            for caller in [&caller, &anonymous] {
                let reply = send_to(caller, &method, path).await;
                assert_eq!(reply.status, 403, "{method} {path} {header}: {value}");
            }
        }
    }
    assert!(team.sandbox.requests().is_empty());
}

#[tokio::test]
async fn foreign_host_is_rejected_on_every_route() {
    let team = team_with(named()).await;
    assert_rejected_on_every_route(&team, "host", &FOREIGN_HOSTS).await;
}

#[tokio::test]
async fn foreign_origin_is_rejected_on_every_route() {
    let team = team_with(named()).await;
    assert_rejected_on_every_route(&team, "origin", &FOREIGN_ORIGINS).await;
}

#[tokio::test]
async fn one_foreign_origin_among_several_is_rejected() {
    let team = team_with(named()).await;
    for origins in [
        ["http://localhost", "https://evil.example"],
        ["https://evil.example", "http://localhost"],
    ] {
        let caller = team.caller(MARY);
        let caller = caller.with_header("origin", origins[0]);
        let caller = caller.with_header("origin", origins[1]);
        for (method, path) in routes() {
            let reply = send_to(&caller, &method, path).await;
            assert_eq!(reply.status, 403, "{method} {path} {origins:?}");
        }
    }
}

#[tokio::test]
async fn loopback_and_allowed_hosts_and_origins_are_accepted() {
    let team = team_with(named()).await;
    for (header, value) in [
        ("host", "localhost"),
        ("host", "LocalHost:1"),
        ("host", "127.0.0.1:8808"),
        ("host", "[::1]:8808"),
        ("host", "mcp.example.com"),
        ("host", "MCP.example.com:443"),
        ("host", "other.example:8443"),
        ("origin", "http://localhost:6274"),
        ("origin", "http://127.0.0.1"),
        ("origin", "http://[::1]:3000"),
        ("origin", "https://app.example.com"),
    ] {
        let caller = team.caller(MARY).with_header(header, value);
        for (method, path) in routes() {
            let reply = send_to(&caller, &method, path).await;
            assert_ne!(reply.status, 403, "{method} {path} {header}: {value}");
        }
        assert!(!caller.tool_names().await.is_empty(), "{header}: {value}");
    }
}

#[tokio::test]
async fn missing_or_duplicate_host_is_rejected() {
    let team = team_with(Setup::default()).await;
    for hosts in [
        "",
        "host:\r\n",
        "host: localhost\r\nhost: localhost\r\n",
        "host: localhost\r\nhost: evil.example\r\n",
        "host: evil.example\r\nhost: localhost\r\n",
    ] {
        for path in PUBLIC_ROUTES.into_iter().chain(["/mcp", "/sse"]) {
            for version in ["1.0", "1.1"] {
                let head = format!(
                    "GET {path} HTTP/{version}\r\n{hosts}connection: close\r\nauthorization: Bearer {MARY}\r\n\
                     accept: text/event-stream\r\n\r\n"
                );
                let message = send_raw(team.address, &head).await;
                let status = message.split(' ').nth(1).unwrap_or_default();
                assert!(
                    matches!(status, "400" | "403"),
                    "{path} {hosts:?}: {message}"
                );
            }
        }
    }
}

async fn assert_rejected(line: &str, hosts: &str) {
    let team = team_with(Setup::default()).await;
    let head = format!("GET {line}/healthz HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
    let message = send_raw(team.address, &head).await;
    let status = message.split(' ').nth(1).unwrap_or_default();
    assert!(
        matches!(status, "400" | "403"),
        "{line} {hosts:?}: {message}"
    );
}

#[tokio::test]
async fn host_in_the_request_line_does_not_hide_a_foreign_host_header() {
    assert_rejected("http://localhost", "host: evil.example\r\n").await;
    assert_rejected("http://evil.example", "host: evil.example\r\n").await;
    assert_rejected("http://evil.example", "").await;
}

#[tokio::test]
async fn foreign_host_in_the_request_line_is_rejected() {
    assert_rejected("http://evil.example", "host: localhost\r\n").await;
}

#[tokio::test]
async fn duplicate_host_is_rejected_with_any_request_line() {
    let foreign = "host: evil.example\r\n".repeat(2);
    assert_rejected("http://localhost", &foreign).await;
}
