//! How much at once: who is over a limit is told so, and everyone else goes on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use posthog_persons_mcp::http::HttpLimits;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{
    Caller, Conversation, Events, JOHN, MARY, Method, Older, Process, Setup, Team, all_tools,
    binary_at, caller, team, team_with,
};
use crate::ADA;
use crate::wire::{PATIENCE, WITH_HANDSHAKE, request};

/// A person whom PostHog never tells about.
const NEVER: u64 = 9_999;

fn with(limits: HttpLimits) -> Setup {
    Setup {
        limits,
        ..Setup::default()
    }
}

async fn team_limited_to(limits: HttpLimits) -> Team {
    let team = team_with(with(limits)).await;
    let fault = Fault {
        times: usize::MAX,
        ..Fault::once(&format!("/persons/{NEVER}/"), FaultKind::Stall)
    };
    team.sandbox.inject(fault);
    team
}

/// Waits until something is so that nobody tells of.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

/// The calls that PostHog has got and does not answer.
fn held(sandbox: &Sandbox) -> usize {
    let path = format!("/persons/{NEVER}/");
    let requests = sandbox.requests();
    let held = requests
        .iter()
        .filter(|request| request.path.contains(&path));
    held.count()
}

fn endless(caller: &Caller) -> RequestBuilder {
    caller.calling("persons-retrieve", &json!({"id": NEVER}))
}

/// Requests of one key that PostHog gets at once.
const AT_ONCE: usize = 8;

/// Makes calls that are not answered until they are given up.
async fn hold(team: &Team, caller: &Caller, count: usize) -> Vec<JoinHandle<()>> {
    let before = held(&team.sandbox);
    let calls = (0..count).map(|_| {
        let call = endless(caller).send();
        tokio::spawn(async move { drop(call.await) })
    });
    let calls: Vec<_> = calls.collect();
    until("the calls arrive", async || {
        held(&team.sandbox) == before + count.min(AT_ONCE)
    })
    .await;
    calls
}

fn give_up(calls: Vec<JoinHandle<()>>) {
    calls.iter().for_each(JoinHandle::abort);
}

async fn status(caller: &Caller) -> u16 {
    let call = caller.calling("persons-retrieve", &json!({"id": ADA}));
    caller.read(call).await.status
}

/// That a request was refused for now, in words.
async fn refused_for_now(caller: &Caller, request: RequestBuilder, status: u16) {
    let reply = caller.read(request).await;
    assert_eq!(reply.status, status, "{}", reply.text);
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(reply.text.contains("try again"), "{}", reply.text);
}

#[tokio::test]
async fn over_its_limit_a_credential_is_told_so_and_others_go_on() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 3,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let calls = hold(&team, &mary, 3).await;
    for request in [
        mary.calling("persons-retrieve", &json!({"id": ADA})),
        mary.request(Method::POST, "/mcp").json(&request(
            WITH_HANDSHAKE[0],
            1,
            "initialize",
            json!({}),
        )),
    ] {
        refused_for_now(&mary, request, 429).await;
    }
    assert_eq!(status(&john).await, 200);
    assert_eq!(mary.get("/healthz").await.status, 200);
    give_up(calls);
    until("there is room again", async || status(&mary).await == 200).await;
}

#[tokio::test]
async fn a_server_that_is_full_says_so_and_recovers() {
    let team = team_limited_to(HttpLimits {
        max_in_flight: 4,
        max_in_flight_per_credential: 3,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let marys = hold(&team, &mary, 3).await;
    let johns = hold(&team, &john, 1).await;
    for somebody in [&john, &team.caller("phx_somebody_else")] {
        refused_for_now(somebody, endless(somebody), 503).await;
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(john.get(path).await.status, 200, "{path}");
    }
    give_up(marys);
    until("there is room again", async || status(&john).await == 200).await;
    give_up(johns);
}

#[tokio::test]
async fn an_answer_gives_its_place_back() {
    let team = team_limited_to(HttpLimits {
        max_in_flight: 1,
        max_in_flight_per_credential: 1,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    for _ in 0..3 {
        assert_eq!(status(&mary).await, 200);
        assert_eq!(
            mary.read(mary.stateless("no/method", json!({})))
                .await
                .status,
            404
        );
        let broken = mary.request(Method::POST, "/mcp").body("{");
        assert_ne!(mary.read(broken).await.status, 429);
        let mut session = Conversation::begin(&mary, WITH_HANDSHAKE[2]).await;
        session.call("persons-retrieve", &json!({"id": ADA})).await;
        // A stream that is held open takes none.
        let _open = Events::of(mary.send(session.request(Method::GET)).await);
        let _older = Older::begin(&mary).await;
        assert_eq!(status(&mary).await, 200);
    }
}

#[tokio::test]
async fn as_many_calls_as_one_credential_may_make_do_not_hold_up_another() {
    let limits = HttpLimits::default();
    let team = team_limited_to(limits).await;
    let calls = hold(
        &team,
        &team.caller(MARY),
        limits.max_in_flight_per_credential,
    )
    .await;
    assert_eq!(status(&team.caller(JOHN)).await, 200);
    give_up(calls);
}

#[tokio::test]
async fn calls_over_sse_are_limited_as_well() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let older = Older::begin(&mary).await;
    let mut refused = 0;
    for id in 1..=5 {
        let params = json!({"name": "persons-retrieve", "arguments": {"id": NEVER}});
        let call = request("2024-11-05", id, "tools/call", params);
        if mary.read(older.posting(&call)).await.status == 429 {
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn a_call_in_a_session_keeps_its_place_while_it_runs() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let mut session = Conversation::begin(&mary, WITH_HANDSHAKE[2]).await;
    for id in 1..=6 {
        let before = held(&team.sandbox);
        session.last_id = id;
        let params = json!({"name": "persons-retrieve", "arguments": {"id": NEVER}});
        let call = request(session.version, id, "tools/call", params);
        // The client leaves as soon as it has sent its call.
        let response = session.post(&call).await;
        if response.status() == 200 {
            until("the call arrives", async || held(&team.sandbox) > before).await;
        }
    }
    assert_eq!(held(&team.sandbox), 2);
}

#[tokio::test]
async fn a_question_can_be_answered_though_every_place_is_taken_by_one() {
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 1,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY).with_a_human();
    let mut session = Conversation::begin(&mary, WITH_HANDSHAKE[3]).await;
    let params = json!({"name": "persons-bulk-delete", "arguments": {"ids": [ADA]}});
    let (_, mut events) = session.open("tools/call", params).await;
    let question = events.message().await;
    let no = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    assert_eq!(session.post(&no).await.status(), 202);
    let answer = events.message().await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}

// Sessions.

async fn alive(session: &Conversation) -> bool {
    let ping = request(session.version, 77, "tools/list", json!({}));
    let status = session.post(&ping).await.status().as_u16();
    assert!(matches!(status, 200 | 404), "{status}");
    status == 200
}

async fn sessions(caller: &Caller, count: usize) -> Vec<Conversation> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(Conversation::begin(caller, WITH_HANDSHAKE[2]).await);
    }
    sessions
}

#[tokio::test]
async fn whoever_opens_too_many_sessions_loses_their_own() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        ..HttpLimits::default()
    })
    .await;
    let johns = sessions(&team.caller(JOHN), 1).await;
    let marys = sessions(&team.caller(MARY), 10).await;
    assert!(alive(&johns[0]).await);
    let mut living = Vec::new();
    for session in &marys {
        living.push(alive(session).await);
    }
    // The newest remain.
    assert_eq!(living, [vec![false; 7], vec![true; 3]].concat());
}

#[tokio::test]
async fn the_session_that_is_closed_is_one_that_nobody_uses() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 3,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let first = sessions(&mary, 1).await;
    for _ in 0..6 {
        assert!(alive(&first[0]).await);
        sessions(&mary, 1).await;
    }
    assert!(alive(&first[0]).await);
}

#[tokio::test]
async fn a_request_that_opens_no_session_closes_none() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 2,
        ..HttpLimits::default()
    })
    .await;
    let marys = sessions(&team.caller(MARY), 2).await;
    let john = team.caller(JOHN);
    assert_eq!(john.offered().await, all_tools());
    john.get("/mcp").await;
    john.read(john.request(Method::POST, "/mcp").body("{"))
        .await;
    for session in &marys {
        assert!(alive(session).await);
    }
}

#[tokio::test]
async fn handshakes_side_by_side_open_no_more_sessions_than_there_may_be() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        max_in_flight_per_credential: 64,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let begun = (0..40).map(|_| async {
        let hello = crate::wire::beginning(WITH_HANDSHAKE[2]).remove(0);
        let hello = mary.request(Method::POST, "/mcp").json(&hello);
        let response = mary.send(hello).await;
        let session = response.headers()[super::SESSION].to_str().unwrap();
        let session = session.to_owned();
        Events::of(response).end().await;
        session
    });
    let mut living = 0;
    for session in join_all(begun).await {
        let list = request(WITH_HANDSHAKE[2], 77, "tools/list", json!({}));
        let list = mary
            .request(Method::POST, "/mcp")
            .header(super::SESSION, session)
            .json(&list);
        if mary.send(list).await.status() == 200 {
            living += 1;
        }
    }
    assert!(living <= 4, "{living}");
}

#[tokio::test]
async fn the_streams_of_one_credential_leave_room_for_those_of_another() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 4,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..6 {
        let response = mary.send(mary.request(Method::GET, "/sse")).await;
        match response.status().as_u16() {
            200 => open.push(response),
            429 | 503 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(refused >= 2, "{refused}");
    Older::begin(&john).await;
}

#[tokio::test]
async fn too_many_streams_are_refused() {
    let team = team_limited_to(HttpLimits {
        max_sessions: 2,
        ..HttpLimits::default()
    })
    .await;
    let mary = team.caller(MARY);
    let one = Older::begin(&mary).await;
    let _other = Older::begin(&mary).await;
    let third = mary.read(mary.request(Method::GET, "/sse")).await;
    assert!(matches!(third.status, 429 | 503), "{}", third.text);
    drop(one);
    until("there is room again", async || {
        let open = mary.send(mary.request(Method::GET, "/sse")).await;
        open.status() == 200
    })
    .await;
}

fn number(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name}: {metrics}"));
    value.trim().parse().unwrap()
}

#[tokio::test]
async fn fifteen_hundred_handshakes_in_a_row_leave_the_server_answering() {
    let team = team().await;
    let process = Process::start(binary_at(&team.sandbox.url(), &[])).await;
    let (mary, john) = (process.caller(MARY), process.caller(JOHN));
    let mut old = Conversation::begin(&john, WITH_HANDSHAKE[3]).await;
    for _ in 0..1_500 {
        Conversation::begin(&mary, WITH_HANDSHAKE[3]).await;
    }
    let person = json!({"id": ADA});
    let answer = old.call("persons-retrieve", &person).await;
    assert_eq!(answer["isError"], false, "{answer}");
    for caller in [&mary, &john] {
        let mut new = Conversation::begin(caller, WITH_HANDSHAKE[0]).await;
        let answer = new.call("persons-retrieve", &person).await;
        assert_eq!(answer["isError"], false, "{answer}");
        let answer = caller.call("persons-retrieve", &person).await;
        assert_eq!(answer["isError"], false, "{answer}");
    }
    let open = number(&mary.get("/metrics").await.text, "mcp_sessions ");
    assert!((2.0..=1_000.0).contains(&open), "{open}");
    process.stop().await;
}

// Slow ones.

/// A request as it is sent.
fn bytes(request: RequestBuilder) -> Vec<u8> {
    let request = request.build().unwrap();
    let url = request.url();
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method(), url.path());
    head.push_str(&format!("host: {}\r\n", url.authority()));
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let body = body.unwrap_or_default();
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// A connection that takes next to nothing before it is read.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn readers_that_never_read_hold_up_nobody() {
    // All of them have one credential, which is the harder case.
    let mut setup = Setup {
        shared: Some(None),
        ..Setup::default()
    };
    setup.sandbox.persons = 300;
    let team = team_with(setup).await;
    let nobody = caller(team.address, None);
    let page = json!({"limit": 200, "select": ["*"]});
    let mut readers = Vec::new();
    for turn in 0..64 {
        let mut reader = narrow(team.address).await;
        let call = if turn % 2 == 0 {
            nobody.calling("persons-list", &page)
        } else {
            let session = Conversation::begin(&nobody, WITH_HANDSHAKE[3]).await;
            let params = json!({"name": "persons-list", "arguments": page});
            let call = request(session.version, 1, "tools/call", params);
            session.request(Method::POST).json(&call)
        };
        reader.write_all(&bytes(call)).await.unwrap();
        readers.push(reader);
    }
    until("every reader has its answer on the way", async || {
        let requests = team.sandbox.requests();
        let pages = requests
            .iter()
            .filter(|request| request.query.contains("limit"));
        pages.count() >= 64
    })
    .await;
    for _ in 0..3 {
        let person = nobody.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
        let mut session = Conversation::begin(&nobody, WITH_HANDSHAKE[0]).await;
        let person = session.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
    }
    // Who reads at last gets the whole answer.
    let reader = &mut readers[0];
    let mut answer = Vec::new();
    let mut chunk = [0; 64 * 1024];
    let length = loop {
        let read = timeout(PATIENCE, reader.read(&mut chunk)).await;
        let read = read.expect("more of the answer").unwrap();
        assert_ne!(read, 0, "it ended after {} bytes", answer.len());
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let whole = head.len() + 4 + length.unwrap().parse::<usize>().unwrap();
            if answer.len() >= whole {
                break whole;
            }
        }
    };
    assert!(length > 50_000, "{length} bytes fit into any buffer");
}

/// Each of them asks for more than all buffers on the way take, so that the server has to wait for them.
#[tokio::test]
async fn readers_that_hold_every_place_of_their_credential_hold_up_no_other() {
    /// More than the system and the server keep for one connection.
    const MAX_BUFFERED: usize = 6_000_000;
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 64,
        max_requests_per_minute: u64::MAX,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let list = mary.read(mary.stateless("tools/list", json!({}))).await;
    let enough = 2 * MAX_BUFFERED / list.text.len();
    let lists = bytes(mary.stateless("tools/list", json!({}))).repeat(enough);
    let mut readers = Vec::new();
    for _ in 0..64 {
        let reader = narrow(team.address).await;
        let (reader, mut writer) = reader.into_split();
        let lists = lists.clone();
        // It blocks in turn, once the server does not read on.
        let writing = tokio::spawn(async move { drop(writer.write_all(&lists).await) });
        readers.push((reader, writing));
    }
    until("every place is taken", async || status(&mary).await == 429).await;
    for _ in 0..20 {
        assert_eq!(status(&john).await, 200);
        let mut session = Conversation::begin(&john, WITH_HANDSHAKE[0]).await;
        let person = session.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
    }
    // Who reads at last gets the answers. A few were refused, when all of them asked at once.
    let (mut reader, writing) = readers.swap_remove(0);
    let mut chunk = vec![0; 1024 * 1024];
    let mut read = 0;
    while read < MAX_BUFFERED {
        let more = timeout(PATIENCE, reader.read(&mut chunk)).await;
        let more = more.expect("more of the answers").unwrap();
        assert_ne!(more, 0, "it ended after {read} bytes");
        read += more;
    }
    drop(reader);
    writing.await.unwrap();
    give_up(readers.into_iter().map(|(_, writing)| writing).collect());
    until("there is room again", async || status(&mary).await == 200).await;
}

/// A client that posts and never reads its stream holds up neither others nor, in the end, itself.
#[tokio::test]
async fn a_stream_that_is_never_read_holds_up_no_other() {
    let mut setup = Setup {
        shared: Some(None),
        ..Setup::default()
    };
    setup.sandbox.persons = 300;
    let team = team_with(setup).await;
    let nobody = caller(team.address, None);
    let older = Older::begin(&nobody).await;
    let mut posts = Vec::new();
    for id in 1..=100 {
        let arguments = json!({"limit": 200, "select": ["*"]});
        let params = json!({"name": "persons-list", "arguments": arguments});
        let post = older.posting(&request("2024-11-05", id, "tools/call", params));
        posts.push(tokio::spawn(async move { drop(post.send().await) }));
    }
    for _ in 0..3 {
        let person = nobody.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
        let mut other = Older::begin(&nobody).await;
        let person = other.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
    }
    give_up(posts);
}

/// Takes as long as the server waits.
#[tokio::test]
async fn who_sends_slowly_is_cut_and_holds_up_nobody() {
    let team = team().await;
    let mary = team.caller(MARY);
    let whole = bytes(mary.stateless("tools/list", json!({})));
    let head = whole.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4;
    // A byte at a time, so that it never quite stops.
    let trickle = async |begun: &[u8], rest: &[u8]| {
        let mut stream = TcpStream::connect(team.address).await.unwrap();
        let begin = Instant::now();
        stream.write_all(begun).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let mut answer = Vec::new();
        let writing = async {
            for byte in rest.iter().cycle() {
                if writer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let reading = timeout(Duration::from_secs(25), reader.read_to_end(&mut answer));
        tokio::select! {
            read = reading => { let _ = read.expect("it is cut"); }
            () = writing => {}
        }
        let took = begin.elapsed();
        assert!(took > Duration::from_secs(10), "cut after {took:?}");
        String::from_utf8(answer).unwrap()
    };
    let others = async {
        for _ in 0..5 {
            assert_eq!(status(&mary).await, 200);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let filler = b"x-filler: filler\r\n";
    let slow_head = trickle(&whole[..20], filler);
    let slow_body = trickle(&whole[..head + 1], b" ");
    let (headers, body, ()) = tokio::join!(slow_head, slow_body, others);
    // Neither was ever taken for a request.
    for answer in [headers, body] {
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    }
}
