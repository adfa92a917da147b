//! Exported files over HTTP: a link for the caller that exported, for a while.

use posthog_sandbox::{Fault, FaultKind};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{JOHN, MARY, McpClient, Setup, caller, result_text, team, team_with};
use crate::exports::Archive;
use crate::wire::versions;

/// Exports a person and returns the path of the link.
async fn exported(team: &super::Team, key: Option<&str>, version: &'static str) -> (String, Value) {
    let mut client = McpClient::begin(&caller(team.address, key), version).await;
    let arguments = json!({"distinct_id": "ada@example.com"});
    let result = client.call("persons-export", &arguments).await;
    let uri = result["structuredContent"]["file"]["uri"].as_str();
    let uri = uri.unwrap_or_else(|| panic!("{result}"));
    let base = format!("http://{}", team.address);
    (uri.strip_prefix(&base).unwrap().to_owned(), result)
}

#[tokio::test]
async fn link_is_for_the_caller_that_exported() {
    let team = team().await;
    for version in versions() {
        let (path, result) = exported(&team, Some(MARY), version).await;
        let links = result["content"].as_array().unwrap().len() - 1;
        assert_eq!(
            links,
            usize::from(version >= "2025-06-18"),
            "{version}: {result}"
        );
        assert!(result_text(&result).contains(&path), "{result}");
        let expires = result["structuredContent"]["file"]["expires_at"].as_str();
        assert!(result_text(&result).contains(expires.unwrap()), "{result}");
        let mary = caller(team.address, Some(MARY));
        let response = mary.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/zip");
        assert_eq!(header("cache-control"), "no-store");
        let name = result["structuredContent"]["file"]["name"]
            .as_str()
            .unwrap();
        assert_eq!(
            header("content-disposition"),
            format!("attachment; filename=\"{name}\"")
        );
        let length: usize = header("content-length").parse().unwrap();
        let bytes = response.bytes().await.unwrap();
        assert_eq!(bytes.len(), length);
        assert!(Archive::read(&bytes).events().len() > 5);

        let other = caller(team.address, Some(JOHN));
        let unknown = format!("/exports/{}", uuid::Uuid::new_v4());
        for (caller, path) in [
            (&other, &path),
            (&mary, &unknown),
            (&mary, &"/exports/x".to_owned()),
        ] {
            let response = caller.request(Method::GET, path).send().await.unwrap();
            assert_eq!(response.status(), 404, "{path}");
            assert_eq!(
                response.text().await.unwrap(),
                "No such export, or its link has expired\n"
            );
        }
        let nobody = caller(team.address, None);
        let response = nobody.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 401);
    }
    // The files are gone with the process.
    assert!(!team.exports.names().is_empty());
    team.stop.cancel();
    team.served.await.unwrap().unwrap();
    assert_eq!(team.exports.names(), Vec::<String>::new());
}

#[tokio::test]
async fn links_of_a_caller_are_limited_and_end_with_its_key() {
    const MAX_LINKS: usize = 16;
    let team = team().await;
    let (of_other, _) = exported(&team, Some(JOHN), "2025-11-25").await;
    let mut paths = Vec::new();
    for _ in 0..=MAX_LINKS {
        paths.push(exported(&team, Some(MARY), "2025-11-25").await.0);
    }
    let mary = caller(team.address, Some(MARY));
    let status = async |path: &str| mary.send(mary.request(Method::GET, path)).await.status();
    assert_eq!(status(&paths[0]).await, 404);
    assert_eq!(status(&paths[1]).await, 200);
    assert_eq!(team.exports.names().len(), MAX_LINKS + 1);
    // Not in parts, and not otherwise than by its address.
    let range = mary
        .request(Method::GET, &paths[1])
        .header("range", "bytes=0-9");
    assert_eq!(mary.send(range).await.status(), 200);
    for path in [
        "/exports/",
        "/exports/%2e%2e%2fhealthz",
        "/exports/..%2fserved",
    ] {
        assert_eq!(status(path).await, 404, "{path}");
    }
    let rejected = json!({"type": "authentication_error", "code": "authentication_failed", "detail": "No.", "attr": null});
    let rejected = FaultKind::json(403, &rejected);
    team.sandbox.inject(Fault::once("/persons/", rejected));
    mary.call("persons-retrieve", &json!({"id": crate::ADA}))
        .await;
    assert_eq!(status(&paths[1]).await, 401);
    let john = caller(team.address, Some(JOHN));
    let response = john.send(john.request(Method::GET, &of_other)).await;
    assert_eq!(response.status(), 200);
}

/// A key that was revoked after the export downloads nothing, though no call has noticed; PostHog's silence proves nothing.
#[tokio::test]
async fn download_asks_whether_the_key_is_still_accepted() {
    let team = team().await;
    let (path, _) = exported(&team, Some(MARY), "2025-11-25").await;
    let mary = caller(team.address, Some(MARY));
    let status = async || mary.send(mary.request(Method::GET, &path)).await.status();
    let own_key = "/personal_api_keys/";
    let silent = FaultKind::json(500, &json!({}));
    team.sandbox.inject(Fault::always(own_key, silent));
    assert_eq!(status().await, 200);
    team.sandbox.clear_faults();
    let revoked = json!({"type": "authentication_error", "code": "authentication_failed", "detail": "No.", "attr": null});
    let revoked = FaultKind::json(401, &revoked);
    team.sandbox.inject(Fault::once(own_key, revoked));
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn link_works_for_fifteen_minutes() {
    let team = team().await;
    let (path, _) = exported(&team, Some(MARY), "2025-11-25").await;
    let status = async || {
        // A connection of its own: the time that passes closes idle ones.
        let mary = caller(team.address, Some(MARY));
        let response = mary.request(Method::GET, &path).send().await.unwrap();
        response.status().as_u16()
    };
    let advance = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    advance(15 * 60 - 10).await;
    assert_eq!(status().await, 200);
    assert_eq!(team.exports.names().len(), 1);
    advance(20).await;
    assert_eq!(status().await, 404);
    assert_eq!(team.exports.names(), Vec::<String>::new());
}

#[tokio::test]
async fn server_key_serves_links_with_the_token() {
    const TOKEN: &str = "a-token-of-the-team-0123456789abcdef";
    let team = team_with(Setup {
        shared: Some(Some(TOKEN)),
        ..Setup::default()
    })
    .await;
    let (path, _) = exported(&team, Some(TOKEN), "2025-11-25").await;
    for (token, status) in [(TOKEN, 200), ("another-token", 401)] {
        let caller = caller(team.address, Some(token));
        let response = caller.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), status);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn served_files_are_their_owners_alone_and_removed_at_start() {
    use std::os::unix::fs::PermissionsExt;
    let team = team().await;
    exported(&team, Some(MARY), "2025-11-25").await;
    let file = team.exports.file();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A file of a process that was killed; that of one that runs stays.
    let left = team
        .exports
        .0
        .join("served-6ba7b810-9dad-41d1-80b4-00c04fd430c8.zip");
    std::fs::write(&left, "left").unwrap();
    team.exports.served_at("http://127.0.0.1:1");
    assert!(file.exists() && !left.exists());
}
