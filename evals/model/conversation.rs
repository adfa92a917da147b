//! A conversation with a model, in the form of its API.
//!
//! Invariant: knows nothing about HTTP and nothing about MCP but a tool's name, description and input schema.

use std::ops::AddAssign;

use clap::ValueEnum;
use rmcp::model::Tool;
use serde_json::{Map, Value, json};

/// The most that a model may write in one reply; the Anthropic API requires a limit.
const MAX_TOKENS: u32 = 8192;

/// The form of requests and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// Chat completions with tools
    #[value(name = "openai")]
    OpenAi,
    /// Messages with tools
    Anthropic,
}

/// Everything that the next request contains.
pub struct Conversation {
    api: Api,
    system: String,
    tools: Vec<Value>,
    pub messages: Vec<Value>,
}

/// What the model replied.
pub struct Reply {
    pub text: String,
    /// Empty at the end of its turn.
    pub calls: Vec<RequestedCall>,
    pub usage: Usage,
}

/// A tool call that the model requests.
pub struct RequestedCall {
    pub id: String,
    pub tool: String,
    /// Or what is wrong with them.
    pub arguments: Result<Map<String, Value>, String>,
}

/// The result of a tool call, as most clients pass it to a model.
pub struct CallText {
    pub id: String,
    pub text: String,
    pub is_error: bool,
}

/// Tokens as the endpoint counts them; zero where it does not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
    }
}

impl Conversation {
    #[must_use]
    pub fn new(api: Api, system: String, tools: &[Tool]) -> Self {
        let tools = tools.iter().map(|tool| match api {
            Api::OpenAi => json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.input_schema,
            }}),
            Api::Anthropic => json!({
                "name": tool.name, "description": tool.description, "input_schema": tool.input_schema,
            }),
        });
        Self {
            api,
            system,
            tools: tools.collect(),
            messages: Vec::new(),
        }
    }

    pub fn push_user(&mut self, text: &str) {
        self.messages.push(json!({"role": "user", "content": text}));
    }

    /// The body of the next request.
    #[must_use]
    pub fn body(&self, model: &str) -> Value {
        match self.api {
            Api::OpenAi => {
                let system = json!({"role": "system", "content": self.system});
                let messages = std::iter::once(&system).chain(&self.messages);
                json!({"model": model, "messages": messages.collect::<Vec<_>>(), "tools": self.tools})
            }
            Api::Anthropic => json!({
                "model": model, "max_tokens": MAX_TOKENS, "system": self.system, "messages": self.messages,
                "tools": self.tools,
            }),
        }
    }

    /// Adds the model's reply.
    ///
    /// # Errors
    /// If the response has no message.
    pub fn push_reply(&mut self, response: &Value) -> Result<Reply, String> {
        let no_message = || format!("no message in the response: {response}");
        let (message, reply) = match self.api {
            Api::OpenAi => {
                let message = response.pointer("/choices/0/message");
                let message = message.ok_or_else(no_message)?;
                (message.clone(), openai_reply(message, &response["usage"]))
            }
            Api::Anthropic => {
                let content = response["content"].as_array().ok_or_else(no_message)?;
                let message = json!({"role": "assistant", "content": content});
                (message, anthropic_reply(content, &response["usage"]))
            }
        };
        self.messages.push(message);
        Ok(reply)
    }

    /// Adds the results of all calls of the last reply.
    pub fn push_results(&mut self, results: &[CallText]) {
        match self.api {
            Api::OpenAi => self.messages.extend(results.iter().map(
                |result| json!({"role": "tool", "tool_call_id": result.id, "content": result.text}),
            )),
            Api::Anthropic => {
                let blocks = results.iter().map(|result| {
                    json!({
                        "type": "tool_result", "tool_use_id": result.id, "content": result.text,
                        "is_error": result.is_error,
                    })
                });
                let blocks: Vec<Value> = blocks.collect();
                self.messages
                    .push(json!({"role": "user", "content": blocks}));
            }
        }
    }
}

fn openai_reply(message: &Value, usage: &Value) -> Reply {
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let calls = calls.map(|call| RequestedCall {
        id: text(&call["id"]),
        tool: text(&call["function"]["name"]),
        arguments: match call["function"]["arguments"].as_str() {
            // Some models leave out the arguments of a call without any.
            None | Some("") => Ok(Map::new()),
            Some(arguments) => serde_json::from_str(arguments).map_err(|error| error.to_string()),
        },
    });
    Reply {
        text: text(&message["content"]),
        calls: calls.collect(),
        usage: Usage {
            input: usage["prompt_tokens"].as_u64().unwrap_or_default(),
            output: usage["completion_tokens"].as_u64().unwrap_or_default(),
        },
    }
}

fn anthropic_reply(content: &[Value], usage: &Value) -> Reply {
    let of_type = |kind: &'static str| content.iter().filter(move |block| block["type"] == kind);
    let calls = of_type("tool_use").map(|block| RequestedCall {
        id: text(&block["id"]),
        tool: text(&block["name"]),
        arguments: match &block["input"] {
            Value::Object(arguments) => Ok(arguments.clone()),
            other => Err(format!("not an object: {other}")),
        },
    });
    let counts = [
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    ];
    let input = counts.iter().filter_map(|name| usage[name].as_u64());
    Reply {
        text: of_type("text").map(|block| text(&block["text"])).collect(),
        calls: calls.collect(),
        usage: Usage {
            input: input.sum(),
            output: usage["output_tokens"].as_u64().unwrap_or_default(),
        },
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
