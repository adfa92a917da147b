//! A browser at the level of HTTP messages, and sessions whose confirmations go through the page.

use std::time::Duration;

use posthog_persons_mcp::approval::{ApprovalOptions, Approvals};
use posthog_persons_mcp::policy::Confirm;
use rmcp::ClientLifecycleMode;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::TIMEOUT;
use crate::{Session, Setup, connect_with, text};

/// Pages for whose answer a call hardly waits.
pub(super) fn impatient() -> ApprovalOptions {
    ApprovalOptions {
        wait: Duration::from_millis(20),
        ..ApprovalOptions::default()
    }
}

/// A client that cannot ask.
pub(super) fn setup(options: ApprovalOptions) -> Setup {
    Setup {
        confirm: Some(Confirm::Auto),
        approvals: Some(Approvals::new(options)),
        ..Setup::default()
    }
}

pub(super) async fn session(lifecycle: ClientLifecycleMode) -> Session {
    connect_with(Setup {
        lifecycle,
        ..setup(impatient())
    })
    .await
}

/// A page that the user has the address of, and the token that the assistant has.
pub(super) struct OpenPage {
    pub(super) browser: Browser,
    pub(super) token: Value,
}

impl OpenPage {
    /// Makes the first call.
    pub(super) async fn of(session: &Session, tool: &'static str, arguments: Value) -> Self {
        let result = session.result(tool, arguments).await;
        let fields = result.structured_content.as_ref();
        let fields = fields.unwrap_or_else(|| panic!("{}", text(&result)));
        assert_eq!(fields["status"], "confirmation_required");
        Self {
            browser: Browser::of(&text(&result)),
            token: fields["confirmation"].clone(),
        }
    }
}

/// A browser at one page.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    /// Host and port.
    pub(super) host: String,
    pub(super) path: String,
}

pub(super) struct Response {
    pub(super) status: u16,
    /// The headers, in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

impl Browser {
    /// At the address that a result names, on a line of its own.
    pub(super) fn of(result: &str) -> Self {
        let mut addresses = result
            .lines()
            .filter_map(|line| line.strip_prefix("http://"));
        let address = addresses.next().unwrap_or_else(|| panic!("{result}"));
        let (host, path) = address.split_once('/').unwrap();
        Self {
            host: host.to_owned(),
            path: format!("/{path}"),
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    /// A request as it is, with its own `Host`.
    pub(super) async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if method == "POST" {
            let length = body.len();
            request += &format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n"
            );
        }
        request += &format!("\r\n{body}");
        let exchange = async {
            let mut stream = TcpStream::connect(&self.host).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            response
        };
        let response = timeout(TIMEOUT, exchange)
            .await
            .expect("a response in time");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        Response {
            status: status.parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(super) async fn load(&self) -> Response {
        let host = [("Host", &*self.host)];
        self.exchange("GET", &self.path, &host, "").await
    }

    /// The heading of the page.
    pub(super) async fn heading(&self) -> String {
        let page = self.load().await;
        assert_eq!(page.status, 200);
        let (_, rest) = page.body.split_once("<h1>").unwrap();
        rest.split_once("</h1>").unwrap().0.to_owned()
    }

    /// The hidden token of the form.
    pub(super) async fn form(&self) -> String {
        let page = self.load().await.body;
        let (_, rest) = page
            .split_once("name=\"form\" value=\"")
            .unwrap_or_else(|| panic!("{page}"));
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// Sends the form.
    pub(super) async fn send(&self, form: &str, answer: &str) -> Response {
        let headers = [("Host", &*self.host), ("Origin", &*self.origin())];
        let body = format!("form={form}&answer={answer}");
        self.exchange("POST", &self.path, &headers, &body).await
    }

    /// Loads the page and presses a button.
    pub(super) async fn answer(&self, answer: &str) {
        let form = self.form().await;
        let response = self.send(&form, answer).await;
        assert_eq!(response.status, 303, "{}", response.body);
        let location = format!("location: {}", self.path);
        assert!(response.head.contains(&location), "{}", response.head);
    }

    pub(super) async fn approve(&self) {
        self.answer("approve").await;
    }

    pub(super) async fn decline(&self) {
        self.answer("decline").await;
    }
}
