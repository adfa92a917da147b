//! Hosts that are not reached, or are not PostHog.

use std::time::Duration;

use posthog_persons_mcp::commands::doctor::{Doctor, Status};
use posthog_persons_mcp::tools::offered_by_default;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{
    UNREACHABLE, check, checks, config, doctor, examined, finding, printed, respond_with, sandbox,
};

#[tokio::test]
async fn unreachable_host_is_reported_with_its_cause() {
    let long = format!("http://{}", "a".repeat(70));
    let sandbox = sandbox().await;
    let not_tls = sandbox.url().replace("http", "https");
    for (host, text, advice) in [
        (
            UNREACHABLE,
            "connection refused",
            "Check POSTHOG_HOST, its port",
        ),
        (
            &long,
            "the host name does not resolve",
            "Check the spelling of POSTHOG_HOST",
        ),
        (&not_tls, "TLS failed: ", "serves https"),
    ] {
        let page = printed(doctor(host, "phx_test", &["--allow-insecure-http"]), 1).await;
        let check = check(&page, "host");
        assert!(
            check.starts_with("PROBLEM host no connection to "),
            "{page}"
        );
        assert!(check.contains(text) && check.contains(advice), "{page}");
    }
    let page = printed(doctor("http://posthog.example", "phx_test", &[]), 1).await;
    assert!(check(&page, "host").contains("uses plain HTTP"), "{page}");
}

#[tokio::test]
async fn proxy_is_named_without_its_password() {
    let mut command = doctor("https://posthog.example", "phx_test", &[]);
    command.env("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:1");
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let page = printed(command, 1).await;
    let host = check(&page, "host");
    assert!(
        host.contains("through the proxy 127.0.0.1:1: connection refused"),
        "{page}"
    );
    assert!(host.contains("NO_PROXY"), "{page}");
    assert!(!page.contains("hunter2"), "{page}");
}

#[tokio::test]
async fn proxy_rejection_is_distinguished_from_an_unreachable_host() {
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = proxy.local_addr().unwrap();
    let mut command = doctor("https://posthog.example", "phx_test", &[]);
    command.env("HTTPS_PROXY", format!("http://{address}"));
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let refusing = async {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        let response = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(response).await.unwrap();
    };
    let ((), page) = tokio::join!(refusing, printed(command, 1));
    let host = check(&page, "host");
    let text = format!("through the proxy {address}: the proxy rejected the connection: ");
    assert!(host.contains(&text), "{page}");
}

#[tokio::test]
async fn key_is_not_sent_to_a_server_that_is_not_posthog() {
    let page = "<!doctype html><html>Welcome</html>";
    for (status, headers, text) in [
        (200, &[][..], "is not PostHog's API (status 200)"),
        (
            401,
            &[],
            "A login page or a firewall may be in front of it.",
        ),
        (
            302,
            &[("location", "https://posthog.example/login?a=b")],
            "set POSTHOG_HOST=https://posthog.example",
        ),
        (
            302,
            &[("location", "/login")],
            "redirects to another page of the same host",
        ),
        (502, &[], "failed (status 502)"),
    ] {
        let sandbox = sandbox().await;
        respond_with(&sandbox, status, "text/html", page, headers);
        let page = examined(&sandbox, Sandbox::KEY, &[], 1).await;
        let host = check(&page, "host");
        assert!(
            host.starts_with("PROBLEM host") && host.contains(text),
            "{page}"
        );
        assert_eq!(
            checks(&page).lines().last(),
            page.lines().rev().nth(2),
            "{page}"
        );
        let requests = sandbox.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].header("authorization"), None);
    }
}

#[tokio::test]
async fn clock_skew_is_a_warning() {
    for (date, text) in [
        ("Tue, 01 Jan 2019 00:00:00 GMT", "ahead of PostHog's"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "behind PostHog's"),
    ] {
        let sandbox = sandbox().await;
        let body = json!({"type": "authentication_error", "code": "not_authenticated", "detail": "No.", "attr": null});
        respond_with(
            &sandbox,
            401,
            "application/json",
            &body.to_string(),
            &[("date", date)],
        );
        let page = examined(&sandbox, Sandbox::KEY, &[], 1).await;
        let clock = check(&page, "clock");
        assert!(
            clock.starts_with("warning clock this machine's clock is "),
            "{page}"
        );
        assert!(clock.contains(text), "{page}");
    }
}

#[tokio::test]
async fn stalled_requests_time_out() {
    let sandbox = sandbox().await;
    // Every request after the first probe.
    for path in ["/personal_api_keys/", "/users/"] {
        sandbox.inject(Fault {
            path_contains: path.to_owned(),
            times: usize::MAX,
            kind: FaultKind::Stall,
        });
    }
    let impatient = |milliseconds| Doctor {
        request_timeout: Duration::from_millis(milliseconds),
        ..Doctor::default()
    };
    let config = config(&sandbox.url(), Sandbox::KEY);
    let report = impatient(50).examine(&config).await;
    assert!(
        finding(&report, "host")
            .1
            .ends_with(": no response in time"),
        "{report}"
    );
    sandbox.clear_faults();
    sandbox.inject(Fault {
        path_contains: "/projects/".to_owned(),
        times: usize::MAX,
        kind: FaultKind::Stall,
    });
    let report = impatient(2000).examine(&config).await;
    assert_eq!(
        finding(&report, "project"),
        (
            Status::Warning,
            "1, Difference Engine; could not determine whether the key has access".to_owned(),
            String::new()
        )
    );
}

#[tokio::test]
async fn failed_probes_are_a_problem() {
    let sandbox = sandbox().await;
    for path in ["/personal_api_keys/", "/projects/"] {
        sandbox.inject(Fault {
            path_contains: path.to_owned(),
            times: usize::MAX,
            kind: FaultKind::ServerError { status: 503 },
        });
    }
    let page = examined(&sandbox, Sandbox::KEY, &[], 1).await;
    let all = offered_by_default().len();
    assert_eq!(
        check(&page, "tools"),
        format!("PROBLEM tools 0 of {all} will work; {all} could not be determined")
    );
}
