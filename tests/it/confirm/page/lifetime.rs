//! How long a page can be answered, how many there are, and when the listener is closed.

use std::time::Duration;

use super::super::support::*;
use super::browser::*;
use crate::wire::TIMEOUT;
use crate::writing::{QA, writes};
use crate::{Session, Setup, connect_with};
use posthog_persons_mcp::approval::ApprovalOptions;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

async fn short_lived() -> Session {
    connect_with(Setup {
        confirmation_ttl: Duration::from_secs(1),
        ..setup(impatient())
    })
    .await
}

/// Waits in real time: the seal reads the system clock.
#[tokio::test]
async fn page_expires_with_and_without_an_answer() {
    let session = short_lived().await;
    for approves in [false, true] {
        let page = OpenPage::of(&session, TOOL, deletion()).await;
        let form = page.browser.form().await;
        if approves {
            page.browser.send(&form, "approve").await;
        }
        sleep(Duration::from_millis(1200)).await;
        let refused = session
            .error(TOOL, with_token(deletion(), &page.token))
            .await;
        assert_eq!(
            refused,
            "Invalid confirmation: it has expired. Nothing was sent. Call again without it to request a new confirmation."
        );
        assert_eq!(page.browser.heading().await, "Expired");
        page.browser.send(&form, "approve").await;
        assert_eq!(page.browser.heading().await, "Expired");
        assert_eq!(writes(&session), no_requests());
    }
}

#[tokio::test]
async fn waiting_call_ends_when_the_page_expires() {
    let session = connect_with(Setup {
        confirmation_ttl: Duration::from_secs(1),
        ..setup(ApprovalOptions::default())
    })
    .await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    let refused = session
        .error(TOOL, with_token(deletion(), &page.token))
        .await;
    assert!(refused.contains("it has expired"), "{refused}");
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn eight_pages_are_open_at_a_time() {
    let session = connect_with(setup(impatient())).await;
    let mut pages = Vec::new();
    for _ in 0..8 {
        pages.push(OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await);
    }
    let refused = session.error(TOOL, deletion()).await;
    assert_eq!(
        refused,
        "Nothing was sent: 8 approval pages are open already; the user has to answer one of them, or wait until they expire."
    );
    pages[3].browser.decline().await;
    OpenPage::of(&session, TOOL, deletion()).await;
    assert_eq!(writes(&session), no_requests());
}

/// Who opens connections and sends nothing keeps no person from the page.
#[tokio::test]
async fn silent_connections_give_way() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    let mut silent = Vec::new();
    // If none gave way, the page would be served after several times the time that each may take.
    for _ in 0..256 {
        silent.push(TcpStream::connect(&page.browser.host).await.unwrap());
    }
    page.browser.decline().await;
    assert_eq!(page.browser.heading().await, "Declined");
    // The oldest are closed.
    let mut byte = [0];
    let read = timeout(TIMEOUT, silent[0].read(&mut byte)).await;
    assert!(matches!(read.expect("it is closed"), Ok(0) | Err(_)));
}

/// Nothing listens before the first question and after the last outcome.
#[tokio::test]
async fn listener_lives_as_long_as_there_is_a_page() {
    let session = connect_with(setup(ApprovalOptions {
        linger: Duration::from_millis(1),
        ..impatient()
    }))
    .await;
    for _ in 0..2 {
        let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
        let form = page.browser.form().await;
        page.browser.send(&form, "decline").await;
        let closed = async {
            while TcpStream::connect(&page.browser.host).await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(TIMEOUT, closed).await.expect("the listener closes");
        let refused = session
            .error(TOOL, with_token(json!({"ids": [QA[0]]}), &page.token))
            .await;
        assert!(refused.starts_with(STALE), "{refused}");
    }
    assert_eq!(writes(&session), no_requests());
}

#[tokio::test]
async fn page_that_cannot_be_served_is_no_confirmation() {
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let session = connect_with(setup(ApprovalOptions {
        bind: taken.local_addr().unwrap(),
        ..impatient()
    }))
    .await;
    let refused = session.error(TOOL, deletion()).await;
    assert!(
        refused
            .starts_with("Nothing was sent: the approval page could not be served on 127.0.0.1:"),
        "{refused}"
    );
    drop(taken);
    OpenPage::of(&session, TOOL, deletion()).await;
    assert_eq!(writes(&session), no_requests());
}

/// In a container the browser reaches the page at another address than it is served on.
#[tokio::test]
async fn page_at_another_address() {
    let session = connect_with(setup(ApprovalOptions {
        url: Some("http://approvals.example:8810".parse().unwrap()),
        ..impatient()
    }))
    .await;
    let result = session.result(TOOL, deletion()).await;
    let text = crate::text(&result);
    assert!(text.contains("\nhttp://approvals.example:8810/"), "{text}");
}
