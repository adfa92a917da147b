//! Clients that read or send slowly.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use posthog_persons_mcp::http::HttpLimits;
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::limits::{abort_all, status, team_limited_to, wait_until};
use super::{JOHN, LegacyClient, MARY, McpClient, Method, Setup, caller, team, team_with};
use crate::ADA;
use crate::wire::{TIMEOUT, WITH_HANDSHAKE, request};

/// A request as raw bytes.
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

/// A connection with a minimal receive buffer.
async fn connect_with_small_buffer(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn clients_that_never_read_delay_no_other() {
    // All use one credential, which is the harder case.
    let mut setup = Setup {
        shared: Some(None),
        ..Setup::default()
    };
    setup.sandbox.persons = 300;
    let team = team_with(setup).await;
    let anonymous = caller(team.address, None);
    let page = json!({"limit": 200, "select": ["*"]});
    let mut readers = Vec::new();
    for turn in 0..64 {
        let mut reader = connect_with_small_buffer(team.address).await;
        let call = if turn % 2 == 0 {
            anonymous.calling("persons-list", &page)
        } else {
            let session = McpClient::begin(&anonymous, WITH_HANDSHAKE[3]).await;
            let params = json!({"name": "persons-list", "arguments": page});
            let call = request(session.version, 1, "tools/call", params);
            session.request(Method::POST).json(&call)
        };
        reader.write_all(&bytes(call)).await.unwrap();
        readers.push(reader);
    }
    wait_until("every response is being sent", async || {
        let requests = team.sandbox.requests();
        let pages = requests
            .iter()
            .filter(|request| request.query.contains("limit"));
        pages.count() >= 64
    })
    .await;
    for _ in 0..3 {
        let person = anonymous
            .call("persons-retrieve", &json!({"id": ADA}))
            .await;
        assert_eq!(person["isError"], false, "{person}");
        let mut session = McpClient::begin(&anonymous, WITH_HANDSHAKE[0]).await;
        let person = session.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
    }
    // A client that reads late still gets the complete response.
    let reader = &mut readers[0];
    let mut response = Vec::new();
    let mut chunk = [0; 64 * 1024];
    let length = loop {
        let read = timeout(TIMEOUT, reader.read(&mut chunk)).await;
        let read = read.expect("more of the response").unwrap();
        assert_ne!(read, 0, "it ended after {} bytes", response.len());
        response.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&response);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let whole = head.len() + 4 + length.unwrap().parse::<usize>().unwrap();
            if response.len() >= whole {
                break whole;
            }
        }
    };
    assert!(length > 50_000, "{length} bytes fit into any buffer");
}

/// Each requests more than all buffers hold, so that the server has to wait for the clients.
#[tokio::test]
async fn slow_clients_at_their_limit_delay_no_other_credential() {
    /// More than the system and the server buffer for one connection.
    const MAX_BUFFERED: usize = 6_000_000;
    let team = team_limited_to(HttpLimits {
        max_in_flight_per_credential: 64,
        max_requests_per_minute: u64::MAX,
        write_timeout: 10 * TIMEOUT,
        ..HttpLimits::default()
    })
    .await;
    let (mary, john) = (team.caller(MARY), team.caller(JOHN));
    let list = mary.read(mary.stateless("tools/list", json!({}))).await;
    let enough = 2 * MAX_BUFFERED / list.text.len();
    let lists = bytes(mary.stateless("tools/list", json!({}))).repeat(enough);
    let mut readers = Vec::new();
    for _ in 0..64 {
        let reader = connect_with_small_buffer(team.address).await;
        let (reader, mut writer) = reader.into_split();
        let lists = lists.clone();
        // Writing blocks once the server stops reading.
        let writing = tokio::spawn(async move { drop(writer.write_all(&lists).await) });
        readers.push((reader, writing));
    }
    wait_until("every place is taken", async || status(&mary).await == 429).await;
    for _ in 0..20 {
        assert_eq!(status(&john).await, 200);
        let mut session = McpClient::begin(&john, WITH_HANDSHAKE[0]).await;
        let person = session.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
    }
    // A client that reads late gets its responses. A few requests were rejected, as all were sent concurrently.
    let (mut reader, writing) = readers.swap_remove(0);
    let mut chunk = vec![0; 1024 * 1024];
    let mut read = 0;
    while read < MAX_BUFFERED {
        let more = timeout(TIMEOUT, reader.read(&mut chunk)).await;
        let more = more.expect("more of the response").unwrap();
        assert_ne!(more, 0, "it ended after {read} bytes");
        read += more;
    }
    drop(reader);
    writing.await.unwrap();
    abort_all(readers.into_iter().map(|(_, writing)| writing).collect());
    wait_until("there is room again", async || status(&mary).await == 200).await;
}

/// A client that posts and never reads its stream delays neither others nor, in the end, itself.
#[tokio::test]
async fn unread_stream_delays_no_other() {
    let mut setup = Setup {
        shared: Some(None),
        ..Setup::default()
    };
    setup.sandbox.persons = 300;
    let team = team_with(setup).await;
    let anonymous = caller(team.address, None);
    let legacy = LegacyClient::begin(&anonymous).await;
    let mut posts = Vec::new();
    for id in 1..=100 {
        let arguments = json!({"limit": 200, "select": ["*"]});
        let params = json!({"name": "persons-list", "arguments": arguments});
        let post = legacy.posting(&request("2024-11-05", id, "tools/call", params));
        posts.push(tokio::spawn(async move { drop(post.send().await) }));
    }
    for _ in 0..3 {
        let person = anonymous
            .call("persons-retrieve", &json!({"id": ADA}))
            .await;
        assert_eq!(person["isError"], false, "{person}");
        let mut other = LegacyClient::begin(&anonymous).await;
        let person = other.call("persons-retrieve", &json!({"id": ADA})).await;
        assert_eq!(person["isError"], false, "{person}");
    }
    abort_all(posts);
}

/// Takes as long as the server's timeout.
#[tokio::test]
async fn slow_senders_time_out_and_delay_no_other() {
    let team = team().await;
    let mary = team.caller(MARY);
    let whole = bytes(mary.stateless("tools/list", json!({})));
    let head = whole.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4;
    // One byte at a time, so that the connection is never idle.
    let trickle = async |begun: &[u8], rest: &[u8]| {
        let mut stream = TcpStream::connect(team.address).await.unwrap();
        let begin = Instant::now();
        stream.write_all(begun).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let mut response = Vec::new();
        let writing = async {
            for byte in rest.iter().cycle() {
                if writer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let reading = timeout(Duration::from_secs(25), reader.read_to_end(&mut response));
        tokio::select! {
            read = reading => { let _ = read.expect("it is cut"); }
            () = writing => {}
        }
        let took = begin.elapsed();
        assert!(took > Duration::from_secs(10), "cut after {took:?}");
        String::from_utf8(response).unwrap()
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
    // Neither was counted as a request.
    for response in [headers, body] {
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 408 "),
            "{response}"
        );
    }
}
