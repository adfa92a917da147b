//! A client in this process: it talks to the server in lines of JSON, as an assistant's does.
//!
//! By hand, and not with the protocol library: what that knows of clients would make the binary half a megabyte larger,
//! and serve these two commands alone.

use anyhow::{anyhow, bail};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};

use crate::server::Server;
use crate::stdio;

/// A conversation, and the human at its side.
pub(super) struct McpClient<H> {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    last_id: u64,
    human: Option<H>,
}

impl<H: AsyncFnMut(String) -> bool> McpClient<H> {
    /// Begins a conversation. Without a human, the server is told that nobody can be asked.
    pub(super) async fn connect(server: Server, human: Option<H>) -> anyhow::Result<Self> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(stdio::serve(server, reader, writer));
        let (reader, writer) = tokio::io::split(ours);
        let asks = human.is_some();
        let mut client = Self {
            lines: BufReader::new(reader).lines(),
            writer,
            last_id: 0,
            human,
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

    /// Asks for something and waits for the result. What the server asks meanwhile, the human answers.
    ///
    /// # Errors
    /// With the server's words, where it gives an error in place of a result.
    pub(super) async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request).await?;
        while let Some(line) = self.lines.next_line().await? {
            let mut message: Value = serde_json::from_str(&line)?;
            if text(&message, "/method") == Some("elicitation/create") {
                self.answer(&message).await?;
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

    async fn answer(&mut self, question: &Value) -> anyhow::Result<()> {
        let words = text(question, "/params/message").unwrap_or_default();
        let agrees = match &mut self.human {
            Some(human) => human(words.to_owned()).await,
            None => false,
        };
        let result = if agrees {
            json!({"action": "accept", "content": {"confirm": true}})
        } else {
            json!({"action": "decline"})
        };
        let answer = json!({"jsonrpc": "2.0", "id": question.get("id"), "result": result});
        self.send(&answer).await
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

    /// The text, ending with a line break.
    pub(super) fn text(&self) -> String {
        let blocks = self.0.get("content").and_then(Value::as_array);
        let mut all = String::new();
        for block in blocks.into_iter().flatten() {
            all.push_str(text(block, "/text").unwrap_or_default());
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
