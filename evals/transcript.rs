//! What went over the wire between a client and the server: recorded as it passes, and read for what it says of tools,
//! questions and approvals. Understands the protocol with a handshake and without.

use serde_json::{Map, Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Error, ErrorKind,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A message and who sent it.
#[derive(Debug, Clone)]
pub struct Line {
    pub client: bool,
    pub message: Value,
}

impl Line {
    /// As a line of a file.
    #[must_use]
    pub fn text(&self) -> String {
        let from = if self.client { "client" } else { "server" };
        json!({"from": from, "message": self.message}).to_string()
    }

    /// From a line of a file.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            client: line.get("from")? == "client",
            message: line.get("message")?.clone(),
        })
    }
}

/// Passes messages on, both ways, and tells of each before it is passed on, until the server has closed its side.
///
/// # Errors
/// When a side cannot be written to, or says what is no message.
pub async fn record(
    client: (
        impl AsyncRead + Unpin + Send,
        impl AsyncWrite + Unpin + Send,
    ),
    server: (
        impl AsyncRead + Unpin + Send,
        impl AsyncWrite + Unpin + Send,
    ),
    mut keep: impl FnMut(Line) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let ((from_client, to_client), (from_server, to_server)) = (client, server);
    let (tell, mut told) = unbounded_channel();
    let there = pass(from_client, to_server, true, tell.clone());
    let back = pass(from_server, to_client, false, tell);
    let keeping = async {
        while let Some(line) = told.recv().await {
            keep(line)?;
        }
        Ok(())
    };
    let passing = async {
        tokio::pin!(there);
        tokio::select! {
            back = back => back,
            // The client is done; the server may not be.
            Err(error) = &mut there => Err(error),
        }
    };
    let (passed, kept) = tokio::join!(passing, keeping);
    passed.and(kept)
}

async fn pass(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    client: bool,
    tell: UnboundedSender<Line>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await? {
        let message = serde_json::from_str(&line)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
        // Nobody to tell means that keeping has failed, which is told elsewhere.
        let _ = tell.send(Line { client, message });
        to.write_all(format!("{line}\n").as_bytes()).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

/// A tool call and its answer.
#[derive(Debug, Clone)]
pub struct Call {
    pub tool: String,
    pub arguments: Map<String, Value>,
    pub answer: Option<Answer>,
    /// What the human was asked before it, and whether the answer was yes.
    pub asked: Vec<(String, bool)>,
}

/// What a tool said.
#[derive(Debug, Clone)]
pub struct Answer {
    pub text: String,
    pub structured: Value,
    pub is_error: bool,
    /// An error of the protocol: there is no such tool.
    pub is_unknown: bool,
}

/// A yes to a deletion.
#[derive(Debug, Clone)]
pub struct Approval {
    /// What it was said to.
    pub question: String,
    /// A token shows that the assistant was told to ask, and not that anybody was.
    pub by_token: bool,
}

/// What a conversation says.
#[derive(Debug, Default)]
pub struct Transcript {
    pub calls: Vec<Call>,
    pub approvals: Vec<Approval>,
}

impl Transcript {
    /// Reads a conversation.
    #[must_use]
    pub fn read(lines: &[Line]) -> Self {
        let mut reading = Reading::default();
        for line in lines {
            reading.take(line);
        }
        reading.transcript
    }

    /// Everything that the human was asked, and whether the answer was yes.
    pub fn asked(&self) -> impl Iterator<Item = &(String, bool)> {
        self.calls.iter().flat_map(|call| &call.asked)
    }
}

/// A conversation that is being read.
#[derive(Default)]
struct Reading {
    transcript: Transcript,
    /// Ids of the client's requests, and the calls that they belong to.
    open: Vec<(Value, usize)>,
    /// Ids of the server's questions, and their words.
    questions: Vec<(Value, String)>,
    /// States that were sealed for a question: the state, the words, and the call.
    states: Vec<(Value, String, usize)>,
}

impl Reading {
    fn take(&mut self, line: &Line) {
        let message = &line.message;
        let (id, method) = (&message["id"], message["method"].as_str());
        match (line.client, method) {
            (true, Some("tools/call")) => self.call(id, &message["params"]),
            (false, Some("elicitation/create")) => {
                let question = text(&message["params"]["message"]);
                self.questions.push((id.clone(), question));
            }
            (true, None) => self.reply(id, &message["result"]),
            (false, None) => self.answer(id, message),
            _ => {}
        }
    }

    /// A call, or a call that comes again with what the human said.
    fn call(&mut self, id: &Value, params: &Value) {
        let state = &params["requestState"];
        let known = self.states.iter().find(|(known, ..)| known == state);
        if let Some((_, question, call)) = known.cloned() {
            let replies = params["inputResponses"].as_object();
            for reply in replies.into_iter().flat_map(Map::values) {
                self.heard(call, &question, reply);
            }
            self.open.push((id.clone(), call));
            return;
        }
        let arguments = params["arguments"].as_object().cloned();
        let arguments = arguments.unwrap_or_default();
        let token = arguments.get("confirmation").and_then(Value::as_str);
        // A token is one yes, however often it comes back.
        let came_before = |token: &str| {
            let mut calls = self.transcript.calls.iter();
            calls.any(|call| {
                call.arguments
                    .get("confirmation")
                    .is_some_and(|used| used == token)
            })
        };
        if let Some(token) = token.filter(|token| !came_before(token)) {
            let answers = self.transcript.calls.iter();
            let mut answers = answers.filter_map(|call| call.answer.as_ref());
            let shown = answers.rfind(|answer| answer.text.contains(token));
            if let Some(shown) = shown {
                let question = shown.text.clone();
                self.transcript.approvals.push(Approval {
                    question,
                    by_token: true,
                });
            }
        }
        self.open.push((id.clone(), self.transcript.calls.len()));
        self.transcript.calls.push(Call {
            tool: text(&params["name"]),
            arguments,
            answer: None,
            asked: Vec::new(),
        });
    }

    /// The client's answer to a question, while the call waits.
    fn reply(&mut self, id: &Value, reply: &Value) {
        let Some(at) = self.questions.iter().position(|(asked, _)| asked == id) else {
            return;
        };
        let (_, question) = self.questions.remove(at);
        // One question is open at a time, and it is about the call that waits.
        if let Some((_, call)) = self.open.last().cloned() {
            self.heard(call, &question, reply);
        }
    }

    fn heard(&mut self, call: usize, question: &str, reply: &Value) {
        let ticked = |content: &Map<String, Value>| content.values().any(|tick| *tick == true);
        let agrees =
            reply["action"] == "accept" && reply["content"].as_object().is_some_and(ticked);
        if let Some(call) = self.transcript.calls.get_mut(call) {
            call.asked.push((question.to_owned(), agrees));
        }
        if agrees {
            self.transcript.approvals.push(Approval {
                question: question.to_owned(),
                by_token: false,
            });
        }
    }

    /// The server's answer to a call.
    fn answer(&mut self, id: &Value, message: &Value) {
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
        let failed = &message["error"];
        if let Some(call) = self.transcript.calls.get_mut(call) {
            call.answer = Some(Answer {
                text: if failed.is_null() {
                    texts.concat()
                } else {
                    text(&failed["message"])
                },
                structured: result["structuredContent"].clone(),
                is_error: result["isError"] == true,
                is_unknown: !failed.is_null(),
            });
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
