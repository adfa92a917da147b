//! The protocol in one process: with and without a handshake, cancellation, concurrent calls, malformed calls, panics.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use posthog_client::{Client, Connection, ConnectionOptions, Project, RequiredScopes};
use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::policy::{Effect, Toolset};
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::stdio;
use posthog_persons_mcp::tools::{Context, Tool, ToolDefinition, ToolError, ToolOutcome, catalog};
use posthog_sandbox::Sandbox;
use rmcp::model::{
    CacheScope, CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest,
    ListToolsRequest, ListToolsResult, ProtocolVersion, ServerResult,
};
use rmcp::service::{PeerRequestOptions, RunningService, ServiceError};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{DuplexStream, ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::upstream::{ResponseTiming, Upstream};
use crate::wire::{JsonRpcClient, TIMEOUT, WITH_HANDSHAKE, WITHOUT_HANDSHAKE, versions};
use crate::{ADA, Setup, connect, connect_with, text};

fn with_handshake() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

fn without_handshake() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

fn context(host: &str) -> Context {
    let connection = Connection::new(&ConnectionOptions::new(host.parse().unwrap())).unwrap();
    let key = SecretString::from(Sandbox::KEY);
    Context {
        posthog: Client::new(Arc::new(connection), key, Project::Number(Sandbox::PROJECT)),
        exports: None,
        limits: OutputOptions {
            structured: true,
            ..OutputOptions::default()
        },
    }
}

fn server(host: &str) -> Server {
    Server::new(catalog(), context(host), WriteGuards::default())
}

/// Serves over an in-memory pipe; returns the client's end.
fn serve(server: Server) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(stdio::serve(server, reader, writer));
    ours
}

async fn client(host: &str, lifecycle: ClientLifecycleMode) -> RunningService<RoleClient, ()> {
    ().serve_with_lifecycle(serve(server(host)), lifecycle)
        .await
        .unwrap()
}

type Pipe = JsonRpcClient<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

/// A server and a client at the level of JSON-RPC messages.
async fn raw_client(host: &str, version: &'static str) -> Pipe {
    let (reader, writer) = tokio::io::split(serve(server(host)));
    JsonRpcClient::begin(version, reader, writer).await.0
}

fn call(tool: &'static str, arguments: &Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone())
}

async fn list(client: &RunningService<RoleClient, ()>) -> ListToolsResult {
    let request = ClientRequest::ListToolsRequest(ListToolsRequest::default());
    match client.send_request(request).await.unwrap() {
        ServerResult::ListToolsResult(list) => list,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_protocol_version_offers_the_same_tools_and_results() {
    let session = connect().await;
    let mut seen = Vec::new();
    for lifecycle in [with_handshake(), without_handshake()] {
        let client = client(&session.sandbox.url(), lifecycle).await;
        let tools = list(&client).await.tools;
        let arguments = json!({"id": ADA, "select": ["plan"]});
        let called = client.call_tool(call("persons-retrieve", &arguments)).await;
        let called = called.unwrap();
        assert_eq!(called.is_error, Some(false), "{}", text(&called));

        let rejected = client.call_tool(call("persons-retrieve", &json!({}))).await;
        let rejected = rejected.unwrap();
        assert_eq!(rejected.is_error, Some(true));

        let unknown = client.call_tool(call("persons-unknown", &json!({}))).await;
        let Err(ServiceError::McpError(unknown)) = unknown else {
            panic!("{unknown:?}")
        };
        assert_eq!(unknown.code.0, -32602);
        seen.push((
            tools,
            text(&called),
            called.structured_content,
            text(&rejected),
        ));
        client.cancel().await.unwrap();
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(session.sandbox.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn tool_list_is_cacheable_by_its_client_only() {
    let list_of = async |lifecycle| list(&client("http://127.0.0.1:1", lifecycle).await).await;
    let list = list_of(without_handshake()).await;
    assert_eq!(list.cache_scope, Some(CacheScope::Private));
    assert!(list.ttl_ms.is_some_and(|time| time > 0));
    let list = list_of(with_handshake()).await;
    assert_eq!((list.cache_scope, list.ttl_ms), (None, None));
}

#[tokio::test]
async fn no_request_is_sent_before_the_first_call() {
    let session = connect().await;
    for lifecycle in [with_handshake(), without_handshake()] {
        let client = client(&session.sandbox.url(), lifecycle).await;
        list(&client).await;
        client.cancel().await.unwrap();
    }
    assert_eq!(session.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn cancelled_call_closes_its_connection_to_posthog() {
    for lifecycle in [with_handshake(), without_handshake()] {
        let upstream = Upstream::start(ResponseTiming::Never).await;
        let client = client(&upstream.url(), lifecycle).await;
        let request = CallToolRequest::new(call("persons-list", &json!({})));
        let request = ClientRequest::CallToolRequest(request);
        let pending = client
            .send_cancellable_request(request, PeerRequestOptions::no_options())
            .await
            .unwrap();
        upstream.wait_until(|counts| counts.waiting == 1).await;
        pending.cancel(Some("enough".to_owned())).await.unwrap();
        upstream.wait_until(|counts| counts.disconnected == 1).await;
        assert_eq!(
            upstream.counts().requests,
            1,
            "retried after the cancellation"
        );
    }
}

#[tokio::test]
async fn cancelled_call_releases_its_slot() {
    let upstream = Upstream::start(ResponseTiming::Never).await;
    let client = client(&upstream.url(), with_handshake()).await;
    let mut pending = Vec::new();
    for _ in 0..9 {
        let request = CallToolRequest::new(call("persons-list", &json!({})));
        let request = ClientRequest::CallToolRequest(request);
        let options = PeerRequestOptions::no_options();
        pending.push(
            client
                .send_cancellable_request(request, options)
                .await
                .unwrap(),
        );
    }
    upstream.wait_until(|counts| counts.waiting == 8).await;
    // Any of the nine may be the queued one. Cancelling one of the others releases a slot for it.
    let first = pending.swap_remove(0);
    first.cancel(None).await.unwrap();
    upstream.wait_until(|counts| counts.requests == 9).await;
    assert_eq!(upstream.counts().max_waiting, 8);
}

#[tokio::test]
async fn at_most_eight_requests_are_concurrent_and_all_calls_complete() {
    let upstream = Upstream::start(ResponseTiming::After(Duration::from_millis(50))).await;
    let client = client(&upstream.url(), without_handshake()).await;
    let calls = (0..200).map(|_| client.call_tool(call("persons-list", &json!({}))));
    let results: Vec<CallToolResult> = timeout(TIMEOUT, join_all(calls))
        .await
        .expect("responses in time")
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for response in &results {
        assert_eq!(response.is_error, Some(false), "{}", text(response));
    }
    let counts = upstream.counts();
    assert_eq!((results.len(), counts.requests), (200, 200));
    assert_eq!(counts.max_waiting, 8);
    // Connections are reused. The pool may open one although another becomes idle at that moment.
    assert!(counts.connections <= 2 * 64, "{counts:?}");
}

#[tokio::test]
async fn malformed_call_is_rejected_as_invalid_params() {
    for version in versions() {
        let mut wire = raw_client("http://127.0.0.1:1", version).await;
        for params in [
            json!({}),
            json!({"arguments": {}}),
            json!({"name": 7, "arguments": {}}),
            json!({"name": "persons-list", "arguments": []}),
            json!({"name": "persons-list", "arguments": "{}"}),
        ] {
            let response = wire.send_request("tools/call", params.clone()).await;
            let code = &response["error"]["code"];
            assert_eq!(code, -32602, "{version} {params}: {response}");
        }
        let response = wire.send_request("persons/list", json!({})).await;
        assert_eq!(response["error"]["code"], -32601, "{version}: {response}");
        let response = wire.send_request("tools/list", json!({})).await;
        assert!(response["result"].is_object(), "{version}: {response}");
    }
}

#[tokio::test]
async fn stateless_request_requires_a_version() {
    let mut wire = raw_client("http://127.0.0.1:1", WITHOUT_HANDSHAKE).await;
    assert!(wire.send_request("tools/list", json!({})).await["result"].is_object());
    wire.send(&json!({"jsonrpc": "2.0", "id": 70, "method": "tools/list", "params": {}}))
        .await;
    let response = wire.receive().await.unwrap();
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&json!(70), &json!(-32602))
    );
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2199-01-01",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let later =
        json!({"jsonrpc": "2.0", "id": 71, "method": "tools/list", "params": {"_meta": meta}});
    wire.send(&later).await;
    let response = wire.receive().await.unwrap();
    assert_eq!(
        (&response["id"], &response["error"]["code"]),
        (&json!(71), &json!(-32022))
    );
}

#[tokio::test]
async fn arguments_can_be_omitted_or_null() {
    let session = connect().await;
    for version in [WITH_HANDSHAKE[0], WITHOUT_HANDSHAKE] {
        let mut wire = raw_client(&session.sandbox.url(), version).await;
        for params in [
            json!({"name": "persons-list"}),
            json!({"name": "persons-list", "arguments": null}),
        ] {
            let response = wire.send_request("tools/call", params).await;
            assert_eq!(
                response["result"]["isError"], false,
                "{version}: {response}"
            );
        }
    }
}

#[tokio::test]
async fn page_of_1000_persons_is_complete_within_the_budget() {
    let session = connect_with(Setup::persons(1_500).budget(8_000_000)).await;
    let page = session
        .call("persons-list", json!({"limit": 1000, "select": ["*"]}))
        .await;
    let bytes = page.to_string().len();
    assert!(bytes > 5 * 64 * 1024, "{bytes} fit into the pipe's buffer");
    assert_eq!(page["next_offset"], 1000);
}

#[tokio::test]
async fn paging_by_next_offset_returns_every_person() {
    let session = connect_with(Setup::persons(1_500).budget(80_000)).await;
    let all = json!({"limit": 1, "include_total": true});
    let total = session.call("persons-list", all).await["count"]
        .as_u64()
        .unwrap();
    let mut offset = 0;
    let mut returned = Vec::new();
    loop {
        let arguments = json!({"limit": 1000, "offset": offset});
        let result = session.result("persons-list", arguments).await;
        assert!(text(&result).len() <= 80_000, "{}", text(&result).len());
        let page = result.structured_content.unwrap();
        assert!(
            page.to_string().len() <= 80_000,
            "{}",
            page.to_string().len()
        );
        for row in page["results"].as_array().unwrap() {
            returned.push(row["uuid"].as_str().unwrap().to_owned());
        }
        match page["next_offset"].as_u64() {
            Some(next) => {
                assert!(next > offset, "{next} after {offset}");
                offset = next;
            }
            None => break,
        }
    }
    let total_returned = returned.len();
    returned.sort_unstable();
    returned.dedup();
    assert_eq!(
        returned.len(),
        total_returned,
        "a person was returned twice"
    );
    let returned = returned.len() as u64;
    // The count includes a deleted person that is no longer listed.
    assert!(
        (total - 1..=total).contains(&returned),
        "{returned} of {total}"
    );
}

#[tokio::test]
async fn large_result_does_not_delay_a_small_one() {
    let session = connect_with(Setup::persons(1_000).budget(8_000_000)).await;
    let large = json!({"limit": 1000, "select": ["*"]});
    let calls = (0..8).map(|_| session.call("persons-list", large.clone()));
    let small = session.call("persons-retrieve", json!({"id": ADA}));
    let (pages, person) = timeout(TIMEOUT, futures::future::join(join_all(calls), small))
        .await
        .expect("responses in time");
    assert_eq!(person["uuid"], ADA);
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]));
}

/// A tool that panics.
struct Panicking;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Never {}

impl Tool for Panicking {
    type Input = Nothing;
    type Output = Never;
    const NAME: &'static str = "stumbling";
    const TITLE: &'static str = "Stumbling";
    const DESCRIPTION: &'static str = "Panics.";
    const SEARCH_HINT: &'static str = "panic";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::Persons;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const EXAMPLE: &'static str = "{}";

    async fn call(_: &Context, _: Nothing) -> Result<ToolOutcome<Never>, ToolError> {
        panic!("ada@example.com stumbled")
    }
}

#[tokio::test]
async fn panicking_tool_returns_an_error_and_the_server_keeps_serving() {
    let context = context("http://127.0.0.1:1");
    let server = Server::new(
        vec![ToolDefinition::new::<Panicking>()],
        context,
        WriteGuards::default(),
    );
    for version in versions() {
        let (reader, writer) = tokio::io::split(serve(server.clone()));
        let (mut wire, _) = JsonRpcClient::begin(version, reader, writer).await;
        // More calls than there are slots: a panic releases its slot.
        for _ in 0..100 {
            let params = json!({"name": "stumbling", "arguments": {}});
            let response = wire.send_request("tools/call", params).await;
            assert_eq!(response["error"]["code"], -32603, "{version}: {response}");
            assert!(!response.to_string().contains("ada@"), "{response}");
        }
        assert!(wire.send_request("tools/list", json!({})).await["result"].is_object());
    }
}
