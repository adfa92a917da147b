//! What the listener refuses: no request but the form of the page itself answers.

use super::super::support::*;
use super::browser::*;
use crate::connect_with;
use crate::writing::{QA, writes};
use serde_json::json;

/// Nobody has answered yet, and the person still can.
async fn assert_open(browser: &Browser, what: &str) {
    assert_eq!(
        browser.heading().await,
        "Delete 1 person for good?",
        "{what}"
    );
}

#[tokio::test]
async fn only_the_form_of_the_page_answers() {
    let session = connect_with(setup(impatient())).await;
    let qa = |number: usize| json!({"ids": [QA[number]]});
    let page = OpenPage::of(&session, TOOL, qa(0)).await;
    let other = OpenPage::of(&session, TOOL, qa(1)).await;
    let (browser, form) = (&page.browser, page.browser.form().await);
    let (host, origin) = (&*browser.host, &*browser.origin());
    let port = host.split_once(':').unwrap().1;
    let foreign_form = other.browser.form().await;
    let approve = |form: &str| format!("form={form}&answer=approve");
    let good = approve(&form);

    for (what, headers, body, status) in [
        (
            "no form token",
            vec![("Host", host), ("Origin", origin)],
            "answer=approve".to_owned(),
            403,
        ),
        (
            "an empty one",
            vec![("Host", host), ("Origin", origin)],
            approve(""),
            403,
        ),
        (
            "that of another page",
            vec![("Host", host), ("Origin", origin)],
            approve(&foreign_form),
            403,
        ),
        (
            "no answer",
            vec![("Host", host), ("Origin", origin)],
            format!("form={form}"),
            400,
        ),
        (
            "another answer",
            vec![("Host", host), ("Origin", origin)],
            format!("form={form}&answer=yes"),
            400,
        ),
        ("no origin", vec![("Host", host)], good.clone(), 403),
        (
            "origin null",
            vec![("Host", host), ("Origin", "null")],
            good.clone(),
            403,
        ),
        (
            "a foreign origin",
            vec![("Host", host), ("Origin", "https://evil.example")],
            good.clone(),
            403,
        ),
        (
            "another port",
            vec![("Host", host), ("Origin", "http://127.0.0.1:1")],
            good.clone(),
            403,
        ),
        (
            "another scheme",
            vec![("Host", host), ("Origin", &*format!("https://{host}"))],
            good.clone(),
            403,
        ),
        (
            "two origins",
            vec![
                ("Host", host),
                ("Origin", origin),
                ("Origin", "https://evil.example"),
            ],
            good.clone(),
            403,
        ),
        (
            "a foreign host",
            vec![("Host", "evil.example"), ("Origin", origin)],
            good.clone(),
            403,
        ),
        (
            "a foreign host with the port",
            vec![
                ("Host", &*format!("evil.example:{port}")),
                ("Origin", &*format!("http://evil.example:{port}")),
            ],
            good.clone(),
            403,
        ),
        (
            "the name localhost",
            vec![
                ("Host", &*format!("localhost:{port}")),
                ("Origin", &*format!("http://localhost:{port}")),
            ],
            good.clone(),
            403,
        ),
    ] {
        let response = browser
            .exchange("POST", &browser.path, &headers, &body)
            .await;
        assert_eq!(response.status, status, "{what}: {}", response.body);
        assert_open(browser, what).await;
    }
    let long = format!("{good}&more={}", "x".repeat(10_000));
    assert_eq!(
        browser
            .send(&form, &long[long.find("approve").unwrap()..])
            .await
            .status,
        413
    );
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let headers = [("Host", host), ("Origin", origin), ("Content-Length", "0")];
        let response = browser.exchange(method, &browser.path, &headers, "").await;
        assert_eq!(response.status, 405, "{method}");
    }
    assert_open(browser, "methods").await;

    // The token does not confirm what another page was answered about.
    other.browser.approve().await;
    let waiting = session.result(TOOL, with_token(qa(0), &page.token)).await;
    assert_eq!(
        waiting.structured_content.unwrap()["status"],
        "confirmation_required"
    );
    assert_eq!(writes(&session), no_requests());
    // And after all this, the person can still answer.
    browser.approve().await;
    session.call(TOOL, with_token(qa(0), &page.token)).await;
    assert_eq!(writes(&session), [DELETE]);
}

#[tokio::test]
async fn visits_change_nothing() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    let (browser, form) = (&page.browser, page.browser.form().await);
    let headers = [("Host", &*browser.host)];
    for query in [
        String::new(),
        format!("?form={form}&answer=approve"),
        "?answer=approve".to_owned(),
    ] {
        for method in ["GET", "HEAD"] {
            let path = format!("{}{query}", browser.path);
            let response = browser.exchange(method, &path, &headers, "").await;
            assert_eq!(response.status, 200);
        }
    }
    assert_open(browser, "visits").await;
    let foreign = [("Host", "evil.example")];
    let response = browser.exchange("GET", &browser.path, &foreign, "").await;
    assert_eq!(response.status, 403);
    assert!(!response.body.contains("qa-1"));
}

/// Without JavaScript the end is shown in UTC; the page's script reads the moment.
#[tokio::test]
async fn page_names_the_moment_until_which_it_can_be_answered() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    let html = page.browser.load().await.body;
    let (_, rest) = html.split_once("<time datetime=\"").unwrap();
    let (moment, rest) = rest.split_once("\">").unwrap();
    let (shown, _) = rest.split_once("</time>, once.").unwrap();
    let moment: chrono::DateTime<chrono::Utc> = moment.parse().unwrap();
    assert_eq!(shown, moment.format("%H:%M:%S UTC").to_string());
}

#[tokio::test]
async fn first_answer_counts() {
    let session = connect_with(setup(impatient())).await;
    for (first, second, heading) in [
        ("decline", "approve", "Declined"),
        ("approve", "decline", "Approved"),
        ("approve", "approve", "Approved"),
    ] {
        let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
        let form = page.browser.form().await;
        for answer in [first, second] {
            assert_eq!(page.browser.send(&form, answer).await.status, 303);
        }
        assert_eq!(page.browser.heading().await, heading);
    }
}

#[tokio::test]
async fn wrong_addresses_have_no_question() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    let browser = &page.browser;
    let headers = [("Host", &*browser.host)];
    let cut = &browser.path[..browser.path.len() - 1];
    let double = format!("{}/x", browser.path);
    for path in [
        "/",
        "/00000000000000000000000000000000",
        cut,
        &double,
        "/..",
        "/%2e%2e/",
    ] {
        let response = browser.exchange("GET", path, &headers, "").await;
        assert_eq!(response.status, 404, "{path}");
        assert!(!response.body.contains("qa-1"), "{path}");
    }
    let at_another = Browser {
        path: "/00000000000000000000000000000000".to_owned(),
        ..browser.clone()
    };
    let form = browser.form().await;
    assert_eq!(at_another.send(&form, "approve").await.status, 404);
    assert_open(browser, "addresses").await;
}

#[tokio::test]
async fn responses_have_the_headers_that_protect_them() {
    let session = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, json!({"ids": [QA[0]]})).await;
    let browser = &page.browser;
    let headers = [("Host", &*browser.host)];
    for path in [&*browser.path, "/style.css", "/script.js", "/nothing"] {
        let response = browser.exchange("GET", path, &headers, "").await;
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "referrer-policy: same-origin",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
        ] {
            assert!(response.head.contains(header), "{path}: {}", response.head);
        }
    }
}

/// A token of another server, of another call, a changed one, and one that is none.
#[tokio::test]
async fn foreign_and_forged_tokens_are_rejected() {
    let session = connect_with(setup(impatient())).await;
    let elsewhere = connect_with(setup(impatient())).await;
    let page = OpenPage::of(&session, TOOL, deletion()).await;
    let foreign = OpenPage::of(&elsewhere, TOOL, deletion()).await;
    let split_page = OpenPage::of(&session, "persons-split", split()).await;
    for page in [&page, &foreign, &split_page] {
        page.browser.approve().await;
    }
    let genuine = page.token.as_str().unwrap();
    let mut changed = genuine.as_bytes().to_vec();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = json!(String::from_utf8(changed).unwrap());
    let address = json!(format!("{}{}", page.browser.origin(), page.browser.path));
    let secret = json!(&page.browser.path[1..]);
    for token in [
        &foreign.token,
        &split_page.token,
        &changed,
        &address,
        &secret,
        &json!("yes"),
    ] {
        let refused = session.error(TOOL, with_token(deletion(), token)).await;
        assert!(refused.starts_with(STALE), "{token}: {refused}");
        assert_eq!(writes(&session), no_requests(), "{token}");
    }
    let mut more = with_token(deletion(), &page.token);
    more["delete_recordings"] = json!(true);
    let refused = session.error(TOOL, more).await;
    assert!(refused.contains("`delete_recordings`"), "{refused}");
    assert_eq!(writes(&session), no_requests());
    session
        .call(TOOL, with_token(deletion(), &page.token))
        .await;
    assert_eq!(writes(&session), [DELETE]);
}
