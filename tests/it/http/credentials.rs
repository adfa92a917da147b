//! Who calls, and with which key: no key goes further than the request that brought it.

use std::collections::BTreeMap;

use futures::future::join_all;
use posthog_client::Project;
use posthog_persons_mcp::policy::{Confirm, Effect, Policy};
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Key, RecordedRequest, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use super::{
    Caller, Conversation, JOHN, MARY, Method, OPEN, Older, PROTECTED, Process, SESSION, Setup,
    Team, all_tools, binary, binary_at, caller, set, team, team_with,
};
use crate::process::{offered, run};
use crate::wire::{WITH_HANDSHAKE, request};
use crate::{ADA, NOBODY};

const TOKEN: &str = "token_4f8b1d6e93a27c05b8e1d46f0a3972c5";
const AUTH_TOKEN: &str = "POSTHOG_MCP_AUTH_TOKEN";
const STATE_KEY: &str = "POSTHOG_MCP_STATE_KEY";
const KEY: &str = "POSTHOG_PERSONAL_API_KEY";

/// The keys that PostHog saw, in the order of the requests.
fn keys(requests: &[RecordedRequest]) -> Vec<String> {
    let key = |request: &RecordedRequest| {
        let header = request.header("authorization").unwrap_or_default();
        header.trim_start_matches("Bearer ").to_owned()
    };
    requests.iter().map(key).collect()
}

// A key of each request.

#[tokio::test]
async fn each_request_uses_its_own_key_and_no_other() {
    let names: Vec<String> = (0..8)
        .map(|number| format!("phx_somebody_{number}"))
        .collect();
    let mut setup = Setup::default();
    setup
        .sandbox
        .keys
        .extend(names.iter().map(|name| Key::scoped(name, &["*"])));
    let team = team_with(setup).await;
    // Over one client, whose connections all of them share; each asks for a number of their own.
    let shared = caller(team.address, None);
    let calls = (0..64).map(|turn| {
        let key = &names[turn % names.len()];
        let caller = Caller {
            bearer: Some(key.clone()),
            ..shared.clone()
        };
        async move {
            let id = 9_000 + turn;
            caller.call("persons-retrieve", &json!({"id": id})).await;
            (format!("/api/projects/1/persons/{id}/"), key.clone())
        }
    });
    let expected: BTreeMap<String, String> = join_all(calls).await.into_iter().collect();
    let requests = team.sandbox.requests();
    let seen: BTreeMap<String, String> = requests
        .iter()
        .map(|request| request.path.clone())
        .zip(keys(&requests))
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(requests.len(), 64);
}

#[tokio::test]
async fn in_a_session_each_request_uses_its_own_key() {
    let team = team().await;
    let mut mary = Conversation::begin(&team.caller(MARY), WITH_HANDSHAKE[2]).await;
    let mut older = Older::begin(&team.caller(JOHN)).await;
    for id in [101, 102] {
        mary.call("persons-retrieve", &json!({"id": id})).await;
        older.call("persons-retrieve", &json!({"id": id})).await;
    }
    let used = keys(&team.sandbox.requests());
    assert_eq!(used, [MARY, JOHN, MARY, JOHN]);
}

#[tokio::test]
async fn a_key_that_posthog_refuses_is_told_so_and_no_other_is_tried() {
    let team = team().await;
    let wrong = team.caller("phx_wrong_key");
    let result = wrong.call("persons-retrieve", &json!({"id": ADA})).await;
    super::refused(&result, "PostHog at ");
    assert_eq!(keys(&team.sandbox.requests()), ["phx_wrong_key"]);
    let right = team.caller(MARY);
    let result = right.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false);
}

/// The secret part of each key: not even a piece of it is repeated.
fn secret(key: &str) -> &str {
    key.rsplit('_').next().unwrap()
}

#[tokio::test]
async fn no_key_is_in_any_log_line_or_answer_or_number() {
    const WRONG: &str = "phx_wrong_19b3c7d2f05e8a64";
    const PROJECTS: &str = "phc_project_82c5e0f7a94d1b36";
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let sandbox = Sandbox::start(listener, Setup::default().sandbox)
        .await
        .unwrap();
    let mut command = binary_at(&sandbox.url(), &["--log", "trace"]);
    command
        .env("RUST_LOG", "trace")
        .env_remove("POSTHOG_PROJECT_ID");
    let process = Process::start(command).await;
    let mut said = Vec::new();
    for key in [MARY, JOHN, WRONG, PROJECTS] {
        let caller = process.caller(key);
        for request in [
            caller.stateless("tools/list", json!({})),
            caller.calling("persons-retrieve", &json!({"id": ADA})),
            caller.calling("persons-retrieve", &json!({"id": key})),
            caller.calling("persons-bulk-delete", &json!({"ids": [ADA]})),
            caller.calling("persons-nobody-made", &json!({})),
            caller.stateless("no/method", json!({})),
            caller.request(Method::POST, "/mcp").body("{"),
            caller.request(Method::GET, "/mcp").header(SESSION, NOBODY),
            caller.request(Method::POST, "/messages?sessionId=1"),
            caller.request(Method::GET, "/no/route"),
            caller
                .request(Method::GET, "/healthz")
                .header("host", "evil.example"),
        ] {
            let reply = caller.read(request).await;
            said.push(format!("{:?} {}", reply.headers, reply.text));
        }
    }
    let mary = process.caller(MARY);
    for version in WITH_HANDSHAKE {
        let mut session = Conversation::begin(&mary, version).await;
        let result = session.call("persons-retrieve", &json!({"id": ADA})).await;
        said.push(result.to_string());
    }
    let mut older = Older::begin(&mary).await;
    let result = older.call("persons-retrieve", &json!({"id": ADA})).await;
    said.push(result.to_string());
    said.push(mary.get("/metrics").await.text);
    drop(older);
    let log = process.stop().await;
    assert!(log.contains("called"), "{log}");
    for key in [MARY, JOHN, WRONG, PROJECTS] {
        assert!(!log.contains(secret(key)), "{key}: {log}");
        // A tool may quote an argument that it does not take, and here that was a key.
        let elsewhere = said
            .iter()
            .filter(|said| !said.contains("Wrong argument `id`"));
        for said in elsewhere {
            assert!(!said.contains(secret(key)), "{key}: {said}");
        }
    }
    assert!(keys(&sandbox.requests()).contains(&MARY.to_owned()));
}

#[tokio::test]
async fn a_request_without_a_usable_key_learns_where_to_get_one() {
    let team = team().await;
    let long = "x".repeat(2_000);
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer short"),
        Some("Basic bWFyeTpzZWNyZXQ="),
        Some(MARY),
        Some("Bearer phc_sandbox_project_token"),
        Some("Bearer phs_a_flags_secure_key"),
        Some("Bearer phx_mary with a blank"),
        Some(long.as_str()),
    ] {
        let mut nobody = caller(team.address, None);
        if let Some(authorization) = authorization {
            nobody = nobody.saying("authorization", authorization);
        }
        for (method, path) in PROTECTED {
            let reply = nobody
                .read(nobody.request(method.clone(), path).json(&json!({})))
                .await;
            let challenge = reply.challenge();
            let address = format!(
                "Bearer resource_metadata=\"http://{}/.well-known/oauth-protected-resource/mcp\"",
                team.address
            );
            assert!(
                challenge.starts_with(&address),
                "{method} {path} {challenge}"
            );
            assert!(challenge.contains("person:read"), "{challenge}");
        }
    }
    assert!(team.sandbox.requests().is_empty());
}

#[tokio::test]
async fn the_document_names_posthog_and_the_scopes() {
    let team = team().await;
    let nobody = caller(team.address, None);
    let reply = nobody.read(nobody.stateless("tools/list", json!({}))).await;
    let challenge = reply.challenge().to_owned();
    let address = challenge.split('"').nth(1).unwrap();
    let path = address
        .strip_prefix(&format!("http://{}", team.address))
        .unwrap();
    for path in [path, "/.well-known/oauth-protected-resource"] {
        let reply = nobody.get(path).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("content-type"), "application/json");
        let document = reply.json();
        assert_eq!(document["resource"], format!("http://{}/mcp", team.address));
        assert_eq!(
            document["authorization_servers"],
            json!([team.sandbox.url()])
        );
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        let scopes = [
            "activity_log:read",
            "cohort:read",
            "person:read",
            "person:write",
            "user:read",
        ];
        assert_eq!(document["scopes_supported"], json!(scopes));
        let named = format!("scope=\"{}\"", scopes.join(" "));
        assert!(challenge.contains(&named), "{challenge}");
    }
}

#[tokio::test]
async fn no_scope_is_asked_for_that_no_offered_tool_needs() {
    let team = team_with(Setup {
        policy: Policy {
            read_only: true,
            ..Policy::default()
        },
        ..Setup::default()
    })
    .await;
    let path = "/.well-known/oauth-protected-resource";
    let document = caller(team.address, None).get(path).await.json();
    let scopes = document["scopes_supported"].as_array().unwrap();
    assert!(!scopes.contains(&json!("person:write")), "{document}");
}

#[tokio::test]
async fn what_concerns_nobody_needs_no_key() {
    let team = team().await;
    let nobody = caller(team.address, None);
    for path in OPEN {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
}

// The server's key.

async fn guarded() -> Team {
    team_with(Setup {
        shared: Some(Some(TOKEN)),
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn the_token_opens_and_posthog_never_sees_it() {
    let team = guarded().await;
    let somebody = team.caller(TOKEN);
    assert_eq!(somebody.offered().await, all_tools());
    let result = somebody.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(result["isError"], false);
    let mut session = Conversation::begin(&somebody, WITH_HANDSHAKE[1]).await;
    session.call("persons-retrieve", &json!({"id": ADA})).await;
    let mut older = Older::begin(&somebody).await;
    older.call("persons-retrieve", &json!({"id": ADA})).await;
    let requests = team.sandbox.requests();
    assert_eq!(keys(&requests), [Sandbox::KEY; 3]);
    for request in requests {
        let seen = format!("{request:?}");
        assert!(!seen.contains(secret(TOKEN)), "{seen}");
    }
}

#[tokio::test]
async fn without_the_token_nothing_opens() {
    let team = guarded().await;
    let cut = &TOKEN[..TOKEN.len() - 1];
    let longer = format!("{TOKEN}0");
    let other = TOKEN.replace('4', "5");
    let louder = TOKEN.to_uppercase();
    let wrong = [cut, &longer, &other, &louder, MARY, Sandbox::KEY];
    let bearers = wrong.into_iter().map(Some).chain([None]);
    for bearer in bearers {
        let caller = caller(team.address, bearer);
        for (method, path) in PROTECTED {
            let request = caller.request(method.clone(), path).json(&json!({}));
            let reply = caller.read(request).await;
            assert!(reply.challenge().starts_with("Bearer "), "{method} {path}");
        }
    }
    assert!(team.sandbox.requests().is_empty());
}

#[tokio::test]
async fn without_a_token_this_machine_may_call() {
    let team = team_with(Setup {
        shared: Some(None),
        ..Setup::default()
    })
    .await;
    let nobody = caller(team.address, None);
    assert_eq!(nobody.offered().await, all_tools());
    nobody.call("persons-retrieve", &json!({"id": ADA})).await;
    // A key that somebody sends all the same is not used.
    let mary = team.caller(MARY);
    mary.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(keys(&team.sandbox.requests()), [Sandbox::KEY; 2]);
}

/// What a start says that must fail, and that it repeats no secret.
async fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut all = vec!["http"];
    all.extend(arguments);
    let mut command = crate::process::binary(&all);
    command.envs(variables.iter().copied());
    let ended = run(command, "").await;
    let said = ended.refusal().to_owned();
    for (name, value) in variables {
        let shown = !value.trim().is_empty() && said.contains(value);
        assert!(!shown, "{name}: {said}");
    }
    said
}

#[tokio::test]
async fn a_servers_key_beyond_this_machine_wants_a_token() {
    for bind in ["0.0.0.0:0", "[::]:0"] {
        let said = refusal(&["--bind", bind], &[(KEY, MARY)]).await;
        assert!(said.contains(AUTH_TOKEN) && said.contains(bind), "{said}");
        let said = refusal(&["--bind", bind, "--sandbox"], &[]).await;
        assert!(said.contains(AUTH_TOKEN), "{said}");
        let said = refusal(&["--bind", bind], &[(KEY, MARY), (AUTH_TOKEN, " ")]).await;
        assert!(said.contains(AUTH_TOKEN), "{said}");
    }
    // With a token, or with no key to guard, it starts.
    for (key, token) in [(MARY, TOKEN), ("", "")] {
        let mut command = crate::process::binary(&["http", "--bind", "0.0.0.0:0"]);
        command
            .env(KEY, key)
            .env(AUTH_TOKEN, token)
            .env("POSTHOG_HOST", "http://127.0.0.1:1");
        Process::start(command).await.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_guards_nothing_stops_the_start() {
    let said = refusal(&["--bind", "127.0.0.1:0"], &[(AUTH_TOKEN, TOKEN)]).await;
    assert!(said.contains(AUTH_TOKEN), "{said}");
}

#[tokio::test]
async fn what_is_easily_guessed_stops_the_start() {
    let short = &TOKEN[..31];
    for name in [AUTH_TOKEN, STATE_KEY] {
        let said = refusal(&["--bind", "127.0.0.1:0"], &[(KEY, MARY), (name, short)]).await;
        assert!(said.contains(name) && said.contains("31"), "{said}");
    }
    let mut command = binary(&["--sandbox"]);
    let enough = &TOKEN[..32];
    command.env(AUTH_TOKEN, enough).env(STATE_KEY, enough);
    let process = Process::start(command).await;
    assert_eq!(process.caller(enough).offered().await, all_tools());
    let log = process.stop().await;
    assert!(!log.contains(enough), "{log}");
}

#[tokio::test]
async fn neither_the_servers_key_nor_its_token_is_in_any_log_line_or_answer() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let sandbox = Sandbox::start(listener, Setup::default().sandbox)
        .await
        .unwrap();
    let mut command = binary_at(&sandbox.url(), &["--log", "trace"]);
    command
        .env("RUST_LOG", "trace")
        .env(KEY, MARY)
        .env(AUTH_TOKEN, TOKEN);
    let process = Process::start(command).await;
    let mut said = Vec::new();
    for bearer in [TOKEN, MARY, JOHN] {
        let caller = process.caller(bearer);
        for request in [
            caller.calling("persons-retrieve", &json!({"id": ADA})),
            caller.stateless("tools/list", json!({})),
            caller.request(Method::GET, "/metrics"),
            caller.request(Method::GET, "/readyz"),
        ] {
            let reply = caller.read(request).await;
            said.push(format!("{:?} {}", reply.headers, reply.text));
        }
    }
    said.push(process.stop().await);
    for said in said {
        for secret_part in [TOKEN, MARY, JOHN].map(secret) {
            assert!(!said.contains(secret_part), "{said}");
        }
    }
    let mut used = keys(&sandbox.requests());
    // Whether PostHog answers at all is asked without a key.
    used.retain(|key| !key.is_empty());
    assert_eq!(used, [MARY]);
}

// A session and its credential.

#[tokio::test]
async fn a_session_is_closed_to_every_other_credential() {
    let team = team().await;
    let john = team.caller(JOHN);
    for version in WITH_HANDSHAKE {
        let mut marys = Conversation::begin(&team.caller(MARY), version).await;
        let johns = marys.taken_over_by(&john);
        let call = json!({"name": "persons-retrieve", "arguments": {"id": ADA}});
        for message in [
            request(version, 7, "tools/call", call),
            request(version, 7, "initialize", json!({})),
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"action": "accept"}}),
        ] {
            assert_eq!(johns.post(&message).await.status(), 404, "{message}");
        }
        for method in [Method::GET, Method::DELETE] {
            let refused = john.read(johns.request(method.clone())).await;
            assert_eq!(refused.status, 404, "{version} {method}");
        }
        // Nor to somebody without one.
        let nobodys = marys.taken_over_by(&caller(team.address, None));
        let list = request(version, 7, "tools/list", json!({}));
        assert_eq!(nobodys.post(&list).await.status(), 401);
        // It goes on for its owner.
        let person = marys.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{version}");
    }
    let used = keys(&team.sandbox.requests());
    assert_eq!(used, [MARY; WITH_HANDSHAKE.len()]);
}

#[tokio::test]
async fn somebody_elses_session_looks_like_one_that_does_not_exist() {
    let team = team().await;
    let john = team.caller(JOHN);
    let marys = Conversation::begin(&team.caller(MARY), WITH_HANDSHAKE[2]).await;
    let list = request(WITH_HANDSHAKE[2], 7, "tools/list", json!({}));
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let mut seen = Vec::new();
        for session in [marys.session(), NOBODY] {
            let request = john
                .request(method.clone(), "/mcp")
                .header(SESSION, session);
            let reply = john.read(request.json(&list)).await;
            seen.push((reply.status, reply.text));
        }
        assert_eq!(seen[0], seen[1], "{method}");
    }
}

#[tokio::test]
async fn a_stream_takes_messages_of_its_own_credential_alone() {
    let team = team().await;
    let mut marys = Older::begin(&team.caller(MARY)).await;
    let call = json!({"name": "persons-retrieve", "arguments": {"id": ADA}});
    let call = request("2024-11-05", 7, "tools/call", call);
    for (bearer, status) in [(Some(JOHN), 404), (None, 401)] {
        let other = caller(team.address, bearer);
        let post = other.request(Method::POST, &marys.messages).json(&call);
        assert_eq!(other.read(post).await.status, status);
    }
    let person = marys.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(person["isError"], false);
    assert_eq!(keys(&team.sandbox.requests()), [MARY]);
}

// Which project.

#[tokio::test]
async fn the_project_is_found_out_once_for_each_key() {
    let limited = |key, project| {
        let mut key = Key::scoped(key, &["*"]);
        key.scoped_teams = Some(vec![project]);
        key
    };
    let team = team_with(Setup {
        project: Project::Current,
        sandbox: SandboxOptions {
            keys: vec![limited(MARY, 1), limited(JOHN, 2)],
            ..Setup::default().sandbox
        },
        ..Setup::default()
    })
    .await;
    for _ in 0..3 {
        for (key, project) in [(MARY, 1), (JOHN, 2)] {
            let caller = team.caller(key);
            caller.call("persons-retrieve", &json!({"id": 101})).await;
            let mut session = Conversation::begin(&caller, WITH_HANDSHAKE[3]).await;
            session.call("persons-retrieve", &json!({"id": 101})).await;
            let requests = team.sandbox.requests();
            let last = requests.last().unwrap();
            assert!(
                last.path
                    .starts_with(&format!("/api/projects/{project}/persons/")),
                "{}",
                last.path
            );
        }
    }
    let requests = team.sandbox.requests();
    for key in [MARY, JOHN] {
        let of_key = keys(&requests);
        let of_key = requests
            .iter()
            .zip(&of_key)
            .filter(|(_, used)| *used == key);
        let asked = of_key.filter(|(request, _)| request.path.contains("@"));
        let asked: Vec<&str> = asked.map(|(request, _)| request.path.as_str()).collect();
        let once = ["/api/users/@me/", "/api/personal_api_keys/@current/"];
        assert_eq!(asked, once, "{key}");
    }
}

#[tokio::test]
async fn a_request_names_its_project_where_the_server_leaves_it_open() {
    let team = team_with(Setup {
        project: Project::Current,
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY).saying("x-posthog-project-id", "1");
    let person = mary.call("persons-retrieve", &json!({"id": 101})).await;
    assert_eq!(person["isError"], false);
    // Nothing had to be found out, and nothing is remembered for others.
    let paths = |team: &Team| -> Vec<String> {
        let requests = team.sandbox.requests();
        team.sandbox.clear_requests();
        requests.into_iter().map(|request| request.path).collect()
    };
    assert_eq!(paths(&team), ["/api/projects/1/persons/101/"]);
    let other = team.caller(MARY).saying("x-posthog-project-id", "2");
    other.call("persons-retrieve", &json!({"id": 101})).await;
    assert_eq!(paths(&team), ["/api/projects/2/persons/101/"]);
    let open = team.caller(MARY);
    open.call("persons-retrieve", &json!({"id": 101})).await;
    assert_eq!(paths(&team).last().unwrap(), "/api/projects/1/persons/101/");
}

#[tokio::test]
async fn a_request_cannot_leave_the_servers_project() {
    for shared in [None, Some(None)] {
        let team = team_with(Setup {
            shared,
            ..Setup::default()
        })
        .await;
        for (project, status) in [
            ("1", 200),
            ("@current", 200),
            ("2", 403),
            ("0", 400),
            ("1, 2", 400),
            ("../2", 400),
            ("x", 400),
        ] {
            let mary = team.caller(MARY).saying("x-posthog-project-id", project);
            let call = mary.calling("persons-retrieve", &json!({"id": 101}));
            let reply = mary.read(call).await;
            assert_eq!(reply.status, status, "{project}: {}", reply.text);
        }
        for request in team.sandbox.requests() {
            assert_eq!(request.path, "/api/projects/1/persons/101/");
        }
    }
}

// Which tools.

fn readers() -> Vec<String> {
    let tools = catalog().into_iter();
    tools
        .filter(|tool| tool.effect == Effect::Read)
        .map(|tool| tool.name.to_owned())
        .collect()
}

/// The calls that change something.
fn writing() -> [(&'static str, Value); 2] {
    [
        (
            "persons-update",
            json!({"id": ADA, "properties": {"plan": "team"}}),
        ),
        ("persons-bulk-delete", json!({"ids": [ADA]})),
    ]
}

/// That none of these tools can be called.
async fn unknown(caller: &Caller, calls: &[(&str, Value)]) {
    for (tool, arguments) in calls {
        let reply = caller.read(caller.calling(tool, arguments)).await;
        assert_eq!(reply.json()["error"]["code"], -32602, "{}", reply.text);
    }
}

#[tokio::test]
async fn a_request_that_only_reads_is_offered_and_gets_only_that() {
    let team = team_with(Setup {
        confirm: Confirm::Off,
        ..Setup::default()
    })
    .await;
    for word in ["true", "True", "1", "yes", "on"] {
        let narrowed = team.caller(MARY).saying("x-posthog-read-only", word);
        assert_eq!(narrowed.offered().await, readers(), "{word}");
        unknown(&narrowed, &writing()).await;
    }
    for word in ["false", "0", "no", "off", ""] {
        let mary = team.caller(MARY).saying("x-posthog-read-only", word);
        assert_eq!(mary.offered().await, all_tools(), "{word}");
    }
    for word in ["maybe", "true, false", "2"] {
        let mary = team.caller(MARY).saying("x-posthog-read-only", word);
        let reply = mary.read(mary.stateless("tools/list", json!({}))).await;
        assert_eq!(reply.status, 400, "{word}: {}", reply.text);
    }
    assert_eq!(team.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_that_names_tools_is_offered_and_gets_only_those() {
    let team = team().await;
    let mary = team.caller(MARY);
    let narrowed = mary.saying("x-posthog-tools", " persons-update,persons-list ,");
    assert_eq!(narrowed.offered().await, ["persons-list", "persons-update"]);
    unknown(&narrowed, &writing()[1..]).await;
    unknown(&narrowed, &[("persons-retrieve", json!({"id": ADA}))]).await;
    let both = narrowed.saying("x-posthog-read-only", "true");
    assert_eq!(both.offered().await, ["persons-list"]);
    for word in [
        "persons-lst",
        "persons-list,persons-nobody-made",
        "*",
        "delete",
    ] {
        let mary = mary.saying("x-posthog-tools", word);
        let reply = mary.read(mary.stateless("tools/list", json!({}))).await;
        assert_eq!(reply.status, 400, "{word}: {}", reply.text);
    }
}

#[tokio::test]
async fn narrowing_holds_for_its_request_alone() {
    let team = team().await;
    let mary = team.caller(MARY);
    let narrowed = mary.saying("x-posthog-read-only", "true");
    let mut session = Conversation::begin(&narrowed, WITH_HANDSHAKE[3]).await;
    let list = session.ask("tools/list", json!({})).await;
    assert_eq!(offered(&list), readers());
    let mut wide = session.taken_over_by(&mary);
    assert_eq!(
        offered(&wide.ask("tools/list", json!({})).await),
        all_tools()
    );
    session.last_id += 1;
    let list = session.ask("tools/list", json!({})).await;
    assert_eq!(offered(&list), readers());

    let mut older = Older::begin(&mary).await;
    older.caller = narrowed;
    let list = older.ask("tools/list", json!({})).await;
    assert_eq!(offered(&list), readers());
    older.caller = mary;
    let list = older.ask("tools/list", json!({})).await;
    assert_eq!(offered(&list), all_tools());
}

#[tokio::test]
async fn no_header_brings_back_what_the_server_leaves_out() {
    let policies = [
        Policy {
            read_only: true,
            ..Policy::default()
        },
        Policy {
            exclude: writing().map(|(tool, _)| tool.to_owned()).to_vec(),
            ..Policy::default()
        },
        Policy {
            tools: vec!["persons-list".to_owned()],
            ..Policy::default()
        },
        Policy {
            toolsets: vec!["history".to_owned()],
            ..Policy::default()
        },
    ];
    for policy in policies {
        let tools = catalog().into_iter();
        let offer: Vec<String> = tools
            .filter(|tool| policy.offers(tool.name, tool.toolset, tool.effect))
            .map(|tool| tool.name.to_owned())
            .collect();
        let team = team_with(Setup {
            policy: policy.clone(),
            confirm: Confirm::Off,
            ..Setup::default()
        })
        .await;
        let mary = team.caller(MARY);
        assert_eq!(mary.offered().await, offer, "{policy:?}");
        let everything = all_tools().join(",");
        for caller in [
            mary.saying("x-posthog-tools", &everything),
            mary.saying("x-posthog-tools", "persons-update,persons-bulk-delete"),
            mary.saying("x-posthog-read-only", "false"),
            mary.saying("x-posthog-read-only", "false")
                .saying("x-posthog-tools", &everything),
        ] {
            let offered = caller.offered().await;
            assert!(
                set(&offered).is_subset(&set(&offer)),
                "{policy:?}: {offered:?}"
            );
            unknown(&caller, &writing()).await;
        }
        assert_eq!(team.sent(), Vec::<String>::new(), "{policy:?}");
    }
}

/// A proxy may add a header to one that its client has sent already.
#[tokio::test]
async fn of_two_headers_the_narrower_holds_or_none() {
    let team = team().await;
    let mary = team.caller(MARY);
    for (name, wide, narrow, left) in [
        ("x-posthog-read-only", "false", "true", readers()),
        (
            "x-posthog-tools",
            "persons-list,persons-update",
            "persons-list",
            vec!["persons-list".to_owned()],
        ),
    ] {
        for (first, second) in [(wide, narrow), (narrow, wide)] {
            let caller = mary.saying(name, first).saying(name, second);
            let reply = caller.read(caller.stateless("tools/list", json!({}))).await;
            if reply.status != 400 {
                assert_eq!(offered(&reply.json()), left, "{name}: {first}, {second}");
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_depends_on_the_credential_is_marked_so() {
    let team = team().await;
    let narrowed = team.caller(MARY).saying("x-posthog-read-only", "true");
    for caller in [team.caller(MARY), narrowed] {
        let list = caller.read(caller.stateless("tools/list", json!({}))).await;
        assert_eq!(list.json()["result"]["cacheScope"], "private");
        assert!(!list.header("cache-control").contains("public"));
    }
}
