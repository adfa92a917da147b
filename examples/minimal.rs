//! The baseline of `cargo bench`: the smallest MCP server that the protocol library allows.
//!
//! `minimal` serves over stdio, `minimal --http ADDRESS` over Streamable HTTP. Its tool `hello` returns a short text;
//! `fetch` requests a URL first. `minimal --direct` is not a server: for each input line `COUNT IN_FLIGHT URL` it requests
//! the URL `COUNT` times and prints `done`.

use std::error::Error;
use std::sync::{Arc, LazyLock};

use futures::StreamExt;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::stdio_pipes;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
struct Minimal;

impl ServerHandler for Minimal {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut schema = JsonObject::new();
        schema.insert("type".to_owned(), "object".into());
        let schema = Arc::new(schema);
        Ok(ListToolsResult::with_all_items(vec![
            Tool::new("hello", "Return a greeting.", Arc::clone(&schema)),
            Tool::new(
                "fetch",
                "Request `url` and return the size of the response.",
                schema,
            ),
        ]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = match request.name.as_ref() {
            "hello" => "hello".to_owned(),
            "fetch" => {
                let arguments = request.arguments.unwrap_or_default();
                let url = arguments.get("url").and_then(|url| url.as_str());
                let bytes = get(url.unwrap_or_default()).await;
                let bytes =
                    bytes.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
                format!("{bytes} bytes")
            }
            _ => return Err(ErrorData::invalid_params("unknown tool", None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

/// Created on the first request, so that it adds no memory to a server that sends none.
static HTTP: LazyLock<Result<reqwest::Client, String>> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy();
    client.build().map_err(|error| error.to_string())
});

/// Requests a URL and returns the size of the response in bytes.
async fn get(url: &str) -> Result<usize, BoxError> {
    let http = HTTP.as_ref().map_err(String::as_str)?;
    let response = http.get(url).send().await?.error_for_status()?;
    Ok(response.bytes().await?.len())
}

async fn serve_stdio() -> Result<(), BoxError> {
    Minimal.serve(stdio_pipes()).await?.waiting().await?;
    Ok(())
}

async fn serve_http(address: &str) -> Result<(), BoxError> {
    let config = StreamableHttpServerConfig::default().with_json_response(true);
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(|| Ok(Minimal), sessions, config);
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, axum::Router::new().nest_service("/mcp", mcp)).await?;
    Ok(())
}

async fn direct() -> Result<(), BoxError> {
    let (reader, mut writer) = stdio_pipes();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let [count, in_flight, url] = *line.split(' ').collect::<Vec<_>>() else {
            return Err("expected a line COUNT IN_FLIGHT URL".into());
        };
        let requests = (0..count.parse::<usize>()?).map(|_| get(url));
        let mut responses = futures::stream::iter(requests).buffer_unordered(in_flight.parse()?);
        while let Some(response) = responses.next().await {
            response?;
        }
        writer.write_all(b"done\n").await?;
        writer.flush().await?;
    }
    Ok(())
}

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match *arguments {
            [] => serve_stdio().await,
            ["--http", address] => serve_http(address).await,
            ["--direct"] => direct().await,
            _ => Err("usage: minimal [--http ADDRESS | --direct]".into()),
        }
    })
}
