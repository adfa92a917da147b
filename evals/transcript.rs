//! Records the messages between a client and the server, and extracts tool calls, elicitations and approvals from them.
//! Supports the protocol with and without a handshake.

use serde_json::{Map, Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Error, ErrorKind,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A protocol message and its sender.
#[derive(Debug, Clone)]
pub struct RecordedMessage {
    pub from_client: bool,
    pub message: Value,
}

impl RecordedMessage {
    /// Serializes to a line of the transcript file.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let from = if self.from_client { "client" } else { "server" };
        json!({"from": from, "message": self.message}).to_string()
    }

    /// Parses a line of the transcript file.
    #[must_use]
    pub fn from_json_line(text: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            from_client: line.get("from")? == "client",
            message: line.get("message")?.clone(),
        })
    }
}

/// Relays messages in both directions until the server closes its output. `sink` gets each message before it is relayed.
///
/// # Errors
/// If writing to either side fails, or a line is not JSON.
pub async fn record(
    client: (
        impl AsyncRead + Unpin + Send,
        impl AsyncWrite + Unpin + Send,
    ),
    server: (
        impl AsyncRead + Unpin + Send,
        impl AsyncWrite + Unpin + Send,
    ),
    mut sink: impl FnMut(RecordedMessage) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let ((from_client, to_client), (from_server, to_server)) = (client, server);
    let (sender, mut receiver) = unbounded_channel();
    let to_server = relay(from_client, to_server, true, sender.clone());
    let to_client = relay(from_server, to_client, false, sender);
    let recording = async {
        while let Some(message) = receiver.recv().await {
            sink(message)?;
        }
        Ok(())
    };
    let relaying = async {
        tokio::pin!(to_server);
        tokio::select! {
            result = to_client => result,
            // The client closing its side is no reason to stop: the server may still respond.
            Err(error) = &mut to_server => Err(error),
        }
    };
    let (relayed, recorded) = tokio::join!(relaying, recording);
    relayed.and(recorded)
}

async fn relay(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    from_client: bool,
    sender: UnboundedSender<RecordedMessage>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await? {
        let message = serde_json::from_str(&line)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        // Fails only if the sink failed, which `record` reports.
        let _ = sender.send(RecordedMessage {
            from_client,
            message,
        });
        to.write_all(format!("{line}\n").as_bytes()).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

/// A tool call and its result.
#[derive(Debug, Clone)]
pub struct RecordedCall {
    pub tool: String,
    pub arguments: Map<String, Value>,
    pub result: Option<RecordedResult>,
    /// The elicitations during the call, and whether the user approved.
    pub elicitations: Vec<(String, bool)>,
}

/// A tool result, or the protocol error that replaced it.
#[derive(Debug, Clone)]
pub struct RecordedResult {
    pub text: String,
    pub structured: Value,
    pub is_error: bool,
    /// A protocol error: the tool does not exist.
    pub is_unknown_tool: bool,
}

/// A confirmation of a deletion or a split.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The confirmation text.
    pub question: String,
    /// Confirmed by token. Does not prove that the user saw the preview.
    pub by_token: bool,
}

/// The calls and approvals of a session.
#[derive(Debug, Default)]
pub struct Transcript {
    pub calls: Vec<RecordedCall>,
    pub approvals: Vec<Approval>,
}

impl Transcript {
    /// Builds a transcript from the recorded messages.
    #[must_use]
    pub fn from_messages(messages: &[RecordedMessage]) -> Self {
        let mut builder = TranscriptBuilder::default();
        for message in messages {
            builder.add(message);
        }
        builder.transcript
    }

    /// All elicitations, and whether the user approved.
    pub fn elicitations(&self) -> impl Iterator<Item = &(String, bool)> {
        self.calls.iter().flat_map(|call| &call.elicitations)
    }
}

#[derive(Default)]
struct TranscriptBuilder {
    transcript: Transcript,
    /// Ids of the client's requests in flight, and the indexes of their calls.
    open: Vec<(Value, usize)>,
    /// Ids of the server's elicitations in flight, and their texts.
    questions: Vec<(Value, String)>,
    /// `requestState` of each `input_required` result, with the elicitation's text and the index of the call.
    states: Vec<(Value, String, usize)>,
}

impl TranscriptBuilder {
    fn add(&mut self, recorded: &RecordedMessage) {
        let message = &recorded.message;
        let (id, method) = (&message["id"], message["method"].as_str());
        match (recorded.from_client, method) {
            (true, Some("tools/call")) => self.add_call(id, &message["params"]),
            (false, Some("elicitation/create")) => {
                let question = text(&message["params"]["message"]);
                self.questions.push((id.clone(), question));
            }
            (true, None) => self.add_elicitation_reply(id, &message["result"]),
            (false, None) => self.add_result(id, message),
            _ => {}
        }
    }

    /// A new call, or one that is repeated with the user's input.
    fn add_call(&mut self, id: &Value, params: &Value) {
        let state = &params["requestState"];
        let known = self.states.iter().find(|(known, ..)| known == state);
        if let Some((_, question, call)) = known.cloned() {
            let replies = params["inputResponses"].as_object();
            for reply in replies.into_iter().flat_map(Map::values) {
                self.add_decision(call, &question, reply);
            }
            self.open.push((id.clone(), call));
            return;
        }
        let arguments = params["arguments"].as_object().cloned();
        let arguments = arguments.unwrap_or_default();
        let token = arguments.get("confirmation").and_then(Value::as_str);
        // A token is one approval, however often it is sent.
        let already_used = |token: &str| {
            let mut calls = self.transcript.calls.iter();
            calls.any(|call| {
                call.arguments
                    .get("confirmation")
                    .is_some_and(|used| used == token)
            })
        };
        if let Some(token) = token.filter(|token| !already_used(token)) {
            let calls = self.transcript.calls.iter();
            let mut results = calls.filter_map(|call| call.result.as_ref());
            let preview = results.rfind(|result| result.text.contains(token));
            if let Some(preview) = preview {
                let question = preview.text.clone();
                self.transcript.approvals.push(Approval {
                    question,
                    by_token: true,
                });
            }
        }
        self.open.push((id.clone(), self.transcript.calls.len()));
        self.transcript.calls.push(RecordedCall {
            tool: text(&params["name"]),
            arguments,
            result: None,
            elicitations: Vec::new(),
        });
    }

    /// The client's response to `elicitation/create`, while the call is in flight.
    fn add_elicitation_reply(&mut self, id: &Value, reply: &Value) {
        let Some(at) = self
            .questions
            .iter()
            .position(|(question_id, _)| question_id == id)
        else {
            return;
        };
        let (_, question) = self.questions.remove(at);
        // At most one elicitation is in flight; it belongs to the latest call.
        if let Some((_, call)) = self.open.last().cloned() {
            self.add_decision(call, &question, reply);
        }
    }

    fn add_decision(&mut self, call: usize, question: &str, reply: &Value) {
        let confirmed = |content: &Map<String, Value>| content.values().any(|value| *value == true);
        let approved =
            reply["action"] == "accept" && reply["content"].as_object().is_some_and(confirmed);
        if let Some(call) = self.transcript.calls.get_mut(call) {
            call.elicitations.push((question.to_owned(), approved));
        }
        if approved {
            self.transcript.approvals.push(Approval {
                question: question.to_owned(),
                by_token: false,
            });
        }
    }

    /// The server's response to a call.
    fn add_result(&mut self, id: &Value, message: &Value) {
        let Some(at) = self.open.iter().position(|(open, _)| open == id) else {
            return;
        };
        let (_, call) = self.open.remove(at);
        let result = &message["result"];
        if result["resultType"] == "input_required" {
            let requests = result["inputRequests"].as_object();
            for request in requests.into_iter().flat_map(Map::values) {
                let question = text(&request["params"]["message"]);
                let state = result["requestState"].clone();
                self.states.push((state, question, call));
            }
            return;
        }
        let blocks = result["content"].as_array().into_iter().flatten();
        let texts: Vec<String> = blocks.map(|block| text(&block["text"])).collect();
        let error = &message["error"];
        if let Some(call) = self.transcript.calls.get_mut(call) {
            call.result = Some(RecordedResult {
                text: if error.is_null() {
                    texts.concat()
                } else {
                    text(&error["message"])
                },
                structured: result["structuredContent"].clone(),
                is_error: result["isError"] == true,
                is_unknown_tool: !error.is_null(),
            });
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
