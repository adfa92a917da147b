//! Tasks of the evals given to a simulated model, over both forms of API.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::evals::harness::model::conversation::{Api, Usage};
use crate::evals::harness::model::endpoint::Endpoint;
use crate::evals::harness::model::report;
use crate::evals::harness::model::run::{TaskRun, run_task};
use crate::evals::suite;
use crate::process::binary;

const KEY: &str = "sk-eval-secret-0123456789";
const MAX_TURNS: usize = 8;

/// What the simulated model does in a turn.
#[derive(Clone)]
enum Move {
    /// Calls a tool. The argument `<token>` is the confirmation token of the last result.
    Call(&'static str, Value),
    /// Calls a tool with these arguments as text.
    CallWith(&'static str, &'static str),
    Say(&'static str),
    /// The endpoint fails.
    Fail(StatusCode),
}
use Move::{Call, CallWith, Fail, Say};

/// The simulated endpoint.
#[derive(Clone, Default)]
struct Model {
    moves: Arc<Mutex<VecDeque<Move>>>,
    /// Plays the last move forever.
    endless: bool,
    received: Arc<Mutex<Vec<(Uri, HeaderMap, Value)>>>,
}

async fn reply(
    State(model): State<Model>,
    uri: Uri,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let mut moves = model.moves.lock().unwrap();
    let next = match moves.len() {
        0 => Say("I am done."),
        1 if model.endless => moves[0].clone(),
        _ => moves.pop_front().unwrap(),
    };
    let anthropic = uri.path().ends_with("/messages");
    let response = match next {
        Fail(status) => {
            let headers = [("retry-after", "0")];
            return (status, headers, format!("bad key {KEY}")).into_response();
        }
        Say(text) if anthropic => json!({"content": [{"type": "text", "text": text}]}),
        Say(text) => json!({"choices": [{"message": {"role": "assistant", "content": text}}]}),
        Call(tool, arguments) => {
            let arguments = arguments.to_string().replace("<token>", &token(&body));
            call(anthropic, tool, &arguments)
        }
        CallWith(tool, arguments) => call(anthropic, tool, arguments),
    };
    let mut response = response;
    response["usage"] = if anthropic {
        json!({"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 10})
    } else {
        json!({"prompt_tokens": 100, "completion_tokens": 10})
    };
    model.received.lock().unwrap().push((uri, headers, body));
    axum::Json(response).into_response()
}

fn call(anthropic: bool, tool: &str, arguments: &str) -> Value {
    if anthropic {
        let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
        json!({"content": [
            {"type": "text", "text": "I will look."},
            {"type": "tool_use", "id": "call-1", "name": tool, "input": input},
        ]})
    } else {
        let function = json!({"name": tool, "arguments": arguments});
        json!({"choices": [{"message": {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call-1", "type": "function", "function": function},
        ]}}]})
    }
}

/// The text of the last tool result in a request.
fn last_result(body: &Value) -> String {
    let messages = body["messages"].as_array().unwrap();
    let mut texts = messages.iter().filter_map(|message| {
        let text = match message["role"].as_str()? {
            "tool" => &message["content"],
            "user" => &message["content"][0]["content"],
            _ => return None,
        };
        text.as_str()
    });
    texts.next_back().unwrap_or_default().to_owned()
}

fn token(body: &Value) -> String {
    let text = last_result(body);
    let token = text.split("confirmation \"").nth(1);
    let token = token.and_then(|rest| rest.split('"').next());
    token.unwrap_or_default().to_owned()
}

/// Starts the simulated endpoint.
async fn serve(model: &Model) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/chat/completions", post(reply))
        .route("/v1/messages", post(reply))
        .with_state(model.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A run of one task.
struct Played {
    run: TaskRun,
    transcript: String,
    received: Vec<(Uri, HeaderMap, Value)>,
}

impl Played {
    fn failed(&self) -> Vec<&str> {
        let findings = self.run.findings.iter();
        let failed = findings.filter(|finding| !finding.passed);
        failed.map(|finding| finding.description.as_str()).collect()
    }
}

async fn play(api: Api, task: &str, moves: &[Move]) -> Played {
    play_model(api, task, moves, false).await
}

async fn play_model(api: Api, id: &str, moves: &[Move], endless: bool) -> Played {
    let model = Model {
        moves: Arc::new(Mutex::new(moves.iter().cloned().collect())),
        endless,
        ..Model::default()
    };
    let url = serve(&model).await;
    let endpoint = Endpoint::new(&url, api, "simulated", Some(SecretString::from(KEY))).unwrap();
    let suite = suite();
    let task = suite.task(id).unwrap();
    let folder = format!("eval-{}", uuid::Uuid::new_v4());
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let run = run_task(&suite, task, &endpoint, MAX_TURNS, binary(&[]), &out).await;
    let transcript = std::fs::read_to_string(out.join(format!("{id}.jsonl"))).unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    let received = model.received.lock().unwrap().clone();
    Played {
        run: run.unwrap(),
        transcript,
        received,
    }
}

fn ada() -> Move {
    Call("persons-list", json!({"email": "ada@example.com"}))
}

#[tokio::test]
async fn both_apis_get_the_tools_and_results_as_a_client_gives_them() {
    for api in [Api::OpenAi, Api::Anthropic] {
        let played = play(api, "find-by-email", &[ada(), Say("Since 2 March 2026.")]).await;
        assert_eq!(played.failed(), Vec::<&str>::new());
        let run = &played.run;
        assert_eq!((run.calls, run.turns), (1, 2));
        assert_eq!((run.usage.input, run.usage.output), (200, 20));
        assert_eq!(run.final_message, "Since 2 March 2026.");

        let (uri, headers, body) = &played.received[1];
        assert_eq!(body["model"], "simulated");
        let result = last_result(body);
        assert!(result.starts_with("1 person"), "{result}");
        let tool = &body["tools"][0];
        let (tool, schema, system) = match api {
            Api::OpenAi => {
                assert_eq!(uri.path(), "/v1/chat/completions");
                assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
                let tool = &tool["function"];
                (tool, &tool["parameters"], &body["messages"][0]["content"])
            }
            Api::Anthropic => {
                assert_eq!(uri.path(), "/v1/messages");
                assert_eq!(headers["x-api-key"], KEY);
                (tool, &tool["input_schema"], &body["system"])
            }
        };
        assert_eq!(tool["name"], "persons-list");
        assert_eq!(schema["type"], "object");
        let system = system.as_str().unwrap();
        assert!(
            system.contains("PostHog") && system.contains("Today is 2026-"),
            "{system}"
        );

        assert!(!played.transcript.contains(KEY));
        let lines: Vec<Value> = played
            .transcript
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let has = |field: &str| lines.iter().filter(|line| !line[field].is_null()).count();
        assert_eq!((has("conversation"), has("result")), (4, 1));
        assert!(has("message") > 4);
        let result = &lines.last().unwrap()["result"];
        assert_eq!(result["passed"], true);
        assert_eq!(result["input_tokens"], 200);
    }
}

#[tokio::test]
async fn user_of_the_task_confirms_or_declines() {
    let delete = |id: &str, events: bool| {
        let arguments =
            json!({"distinct_ids": [id], "delete_events": events, "delete_recordings": events});
        Call("persons-bulk-delete", arguments)
    };
    for api in [Api::OpenAi, Api::Anthropic] {
        // Asks in the chat first, then the client asks.
        let moves = [
            Say("Shall I?"),
            delete("ada@example.com", true),
            Say("Queued."),
        ];
        let played = play(api, "erase-person", &moves).await;
        assert_eq!(played.failed(), Vec::<&str>::new());
        let body = &played.received[1].2;
        assert_eq!(
            body["messages"].as_array().unwrap().last().unwrap()["content"],
            "Yes, go ahead."
        );

        let moves = [delete("margaret@example.com", false), Say("You declined.")];
        let played = play(api, "user-declines", &moves).await;
        assert_eq!(played.failed(), Vec::<&str>::new());
        assert!(last_result(&played.received[1].2).contains("the user declined"));
    }
}

#[tokio::test]
async fn token_counts_only_after_the_user_replied() {
    let ask = || Call("persons-bulk-delete", json!({"distinct_ids": ["qa-1"]}));
    let arguments = json!({"distinct_ids": ["qa-1"], "confirmation": "<token>"});
    let confirm = || Call("persons-bulk-delete", arguments.clone());
    let task = "erase-without-elicitation";
    let moves = [ask(), Say("This would be deleted. Shall I?"), confirm()];
    let played = play(Api::OpenAi, task, &moves).await;
    assert_eq!(played.failed(), Vec::<&str>::new());
    let played = play(Api::Anthropic, task, &[ask(), confirm()]).await;
    assert_eq!(
        played.failed(),
        ["the user replied before the token was used"]
    );
}

#[tokio::test]
async fn wrong_calls_and_endless_models_fail_the_task() {
    let moves = [
        CallWith("persons-list", "{\"email\": "),
        Call("persons-guess", json!({})),
        Call(
            "persons-retrieve",
            json!({"distinct_id": "ada@example.com"}),
        ),
    ];
    let played = play(Api::OpenAi, "find-by-email", &moves).await;
    assert_eq!(
        played.failed(),
        [
            "persons-list was called",
            "no unexpected tools: [\"persons-guess\"]"
        ]
    );
    let problem = last_result(&played.received[1].2);
    assert!(
        problem.starts_with("The arguments are not a JSON object"),
        "{problem}"
    );

    let played = play_model(Api::Anthropic, "find-by-email", &[ada()], true).await;
    assert_eq!(
        played.failed(),
        ["the model did not end its turn within 8 requests"]
    );
    assert_eq!((played.run.turns, played.run.calls), (MAX_TURNS, MAX_TURNS));
}

#[tokio::test]
async fn endpoint_is_retried_and_its_errors_never_show_the_key() {
    let limited = Fail(StatusCode::TOO_MANY_REQUESTS);
    let busy = Fail(StatusCode::SERVICE_UNAVAILABLE);
    let played = play(Api::OpenAi, "find-by-email", &[limited, ada(), busy]).await;
    assert_eq!(played.failed(), Vec::<&str>::new());
    let denied = Fail(StatusCode::UNAUTHORIZED);
    let played = play(Api::Anthropic, "find-by-email", &[denied]).await;
    let failed = played.failed();
    assert!(
        failed[0] == "The endpoint returned 401 Unauthorized: bad key [API key]",
        "{failed:?}"
    );
    assert!(!played.transcript.contains(KEY));
}

#[tokio::test]
async fn report_has_a_row_per_task_and_totals() {
    let run = |task: &str, passed: bool| TaskRun {
        task: task.to_owned(),
        findings: vec![crate::evals::harness::score::Finding {
            passed,
            description: "2 calls, at most 1".to_owned(),
        }],
        calls: 2,
        turns: 3,
        usage: Usage {
            input: 1000,
            output: 50,
        },
        final_message: String::new(),
    };
    let runs = [run("one", true), run("two", false)];
    let rows: Vec<String> = runs.iter().map(report::task_row).collect();
    let table = format!(
        "{}\n{}\n{}",
        report::heading(),
        rows.join("\n"),
        report::footer("m", &runs)
    );
    insta::assert_snapshot!(table, @r"
    task                               result  calls  turns  tokens in      out
    one                                passed      2      3       1000       50
    two                                FAILED      2      3       1000       50
        2 calls, at most 1
    m: 1 of 2 tasks passed, 4 calls, 2000 tokens in, 100 out.
    The final messages are not judged: each transcript ends with the message and with what it must say.
    ");
    let summary = report::summary("m", &runs);
    assert_eq!(summary["passed"], 1);
    assert_eq!(summary["input_tokens"], 2000);
}
