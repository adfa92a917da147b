//! An MCP client in this process, for `call` and `demo`.
//!
//! Not rmcp's client, which would make the binary half a megabyte larger.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

use crate::server::Server;
use crate::stdio;

/// A conversation, and the user at its side.
pub(super) struct McpClient<H> {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    last_id: u64,
    user: Option<H>,
}

impl<H: AsyncFnMut(String) -> bool> McpClient<H> {
    /// Initializes a session. Without a user, the client does not declare elicitation.
    pub(super) async fn connect(server: Server, user: Option<H>) -> anyhow::Result<Self> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(stdio::serve(server, reader, writer));
        let (reader, writer) = tokio::io::split(ours);
        let asks = user.is_some();
        let mut client = Self {
            lines: BufReader::new(reader).lines(),
            writer,
            last_id: 0,
            user,
        };
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": if asks { json!({"elicitation": {}}) } else { json!({}) },
            "clientInfo": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
        });
        client.request("initialize", hello).await?;
        let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        client.send(&begun).await?;
        Ok(client)
    }

    /// Sends a request and waits for its result. The user replies to elicitations in the meantime.
    ///
    /// # Errors
    /// With the server's words, where it gives an error in place of a result.
    pub(super) async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.request_with_progress(method, params, &mut |_| {})
            .await
    }

    async fn request_with_progress(
        &mut self,
        method: &str,
        params: Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request).await?;
        while let Some(line) = self.lines.next_line().await? {
            let mut message: Value = serde_json::from_str(&line)?;
            if text(&message, "/method") == Some("elicitation/create") {
                self.reply(&message).await?;
            } else if text(&message, "/method") == Some("notifications/progress") {
                message.get("params").into_iter().for_each(&mut *progress);
            } else if message.get("id").and_then(Value::as_u64) == Some(id) {
                return match text(&message, "/error/message") {
                    Some(error) => Err(anyhow!("{error}")),
                    None => Ok(message
                        .get_mut("result")
                        .map(Value::take)
                        .unwrap_or_default()),
                };
            }
        }
        bail!("the server closed the connection")
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// As [`McpClient::request`]. That the tool failed is a result.
    pub(super) async fn call(
        &mut self,
        tool: &str,
        arguments: &Value,
    ) -> anyhow::Result<CallResult> {
        let params = json!({"name": tool, "arguments": arguments});
        self.request("tools/call", params).await.map(CallResult)
    }

    /// The same, with each notification about its progress.
    ///
    /// # Errors
    /// As [`McpClient::call`].
    pub(super) async fn call_with_progress(
        &mut self,
        tool: &str,
        arguments: &Value,
        progress: &mut (dyn FnMut(&Value) + Send),
    ) -> anyhow::Result<CallResult> {
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": tool}});
        let result = self.request_with_progress("tools/call", params, progress);
        result.await.map(CallResult)
    }

    async fn reply(&mut self, elicitation: &Value) -> anyhow::Result<()> {
        let words = text(elicitation, "/params/message").unwrap_or_default();
        let agrees = match &mut self.user {
            Some(user) => user(words.to_owned()).await,
            None => false,
        };
        let result = if agrees {
            json!({"action": "accept", "content": {"confirm": true}})
        } else {
            json!({"action": "decline"})
        };
        let reply = json!({"jsonrpc": "2.0", "id": elicitation.get("id"), "result": result});
        self.send(&reply).await
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        let line = format!("{message}\n");
        self.writer.write_all(line.as_bytes()).await?;
        Ok(())
    }
}

/// What a tool answered.
pub(super) struct CallResult(Value);

impl CallResult {
    pub(super) fn is_error(&self) -> bool {
        self.0.get("isError") == Some(&Value::Bool(true))
    }

    /// The facts as fields, where there are any.
    pub(super) fn structured(&self) -> Option<&Value> {
        self.0.get("structuredContent")
    }

    /// Prints the result: its fields as JSON if they are wanted, else its text.
    pub(super) fn print(&self, json: bool) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        match self.structured() {
            Some(structured) if json => {
                serde_json::to_writer_pretty(&mut out, structured)?;
                writeln!(out)?;
            }
            // Standard output is for JSON alone.
            _ if json => eprint!("{}", self.text()),
            _ => write!(out, "{}", self.text())?,
        }
        out.flush()?;
        Ok(if self.is_error() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// The text, ending with a line break.
    pub(super) fn text(&self) -> String {
        let blocks = self.0.get("content").and_then(Value::as_array);
        let mut all = String::new();
        let texts = blocks.into_iter().flatten();
        for block in texts.filter_map(|block| text(block, "/text")) {
            all.push_str(block);
            if !all.ends_with('\n') {
                all.push('\n');
            }
        }
        all
    }
}

/// The text at a place of a message.
pub(super) fn text<'a>(message: &'a Value, place: &str) -> Option<&'a str> {
    message.pointer(place)?.as_str()
}
