//! Message framing over stdio: whatever stands between messages, and wherever the input is cut, each request has one
//! response, and nothing but messages is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use posthog_client::{Client, Connection, ConnectionOptions, Project};
use posthog_persons_mcp::output::OutputOptions;
use posthog_persons_mcp::server::{Server, WriteGuards};
use posthog_persons_mcp::tools::Context;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use secrecy::SecretString;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::wire::{TIMEOUT, opening_messages, parse_message, request, versions};

/// What can stand on a line of its own between messages.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let bytes = vec(any::<u8>(), 0..80).prop_map(|mut bytes| {
        bytes.retain(|byte| *byte != b'\n');
        bytes
    });
    // Never the whole message, which would be a request.
    let cut = any::<Index>().prop_map(|end| {
        let message = request("2025-11-25", 7, "ping", json!({})).to_string();
        message.into_bytes()[..end.index(50)].to_vec()
    });
    let known = select(vec![
        "",
        " ",
        "\r",
        "{}",
        "[]",
        "null",
        "\u{feff}",
        "{\"a\":",
        "\0",
        "\"\\ud800\"",
    ]);
    prop_oneof![bytes, cut, known.prop_map(|text| text.as_bytes().to_vec())]
}

fn server() -> Server {
    let options = ConnectionOptions::new("http://127.0.0.1:9".parse().unwrap());
    let connection = Arc::new(Connection::new(&options).unwrap());
    let context = Context {
        posthog: Client::new(
            connection,
            SecretString::from("phx_unused"),
            Project::Number(1),
        ),
        limits: OutputOptions::default(),
        exports: None,
    };
    Server::new(Vec::new(), context, WriteGuards::default())
}

/// Everything that the server writes for this input, which is sent in pieces.
async fn exchange(input: Vec<u8>, cuts: Vec<Index>) -> String {
    let (mut ours, theirs) = tokio::io::duplex(1024 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    let serving = tokio::spawn(posthog_persons_mcp::stdio::serve(server(), reader, writer));
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
    cuts.push(input.len());
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts {
        ours.write_all(&input[from..cut]).await.unwrap();
        yield_now().await;
        from = cut;
    }
    ours.shutdown().await.unwrap();
    let mut output = String::new();
    let reading = timeout(TIMEOUT, ours.read_to_string(&mut output)).await;
    reading.expect("an end in time").unwrap();
    serving.await.unwrap().unwrap();
    output
}

#[test]
fn every_request_has_one_response_whatever_is_between_them() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: crate::cases(200),
        failure_persistence: None,
        ..Config::default()
    };
    let lines = vec((vec(noise(), 0..3), prop::bool::ANY), 1..8);
    let strategy = (
        select(versions().collect::<Vec<_>>()),
        lines,
        vec(any::<Index>(), 0..12),
    );
    let result = TestRunner::new(config).run(&strategy, |(version, lines, cuts)| {
        let mut input = Vec::new();
        for message in opening_messages(version) {
            input.extend_from_slice(format!("{message}\n").as_bytes());
        }
        let requests = lines.len() as u64;
        for (id, (noise, carriage_return)) in (1..).zip(&lines) {
            for line in noise {
                input.extend_from_slice(line);
                input.push(b'\n');
            }
            let list = request(version, id, "tools/list", json!({}));
            let end = if *carriage_return { "\r\n" } else { "\n" };
            input.extend_from_slice(format!("{list}{end}").as_bytes());
        }
        let output = runtime.block_on(exchange(input, cuts));
        let mut responses: BTreeMap<u64, usize> = BTreeMap::new();
        for message in output.lines().map(parse_message) {
            if let (Some(id), Some(_)) = (message["id"].as_u64(), message.get("result")) {
                *responses.entry(id).or_default() += 1;
            }
        }
        let expected: BTreeMap<u64, usize> = (0..=requests).map(|id| (id, 1)).collect();
        prop_assert_eq!(responses, expected);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
