//! Shared by the tests of tools that write.

use std::time::Duration;

use posthog_persons_mcp::policy::Effect;
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Fault, FaultKind, Sandbox};
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::human::{Human, Reaction};
use crate::result_invariants::example;
use crate::{Session, Setup, connect_with, request_line};

/// Grace, merged with Katherine; her UUID derives from `grace@example.com`.
pub(crate) const GRACE: &str = "707be5a0-b120-5ae0-b57a-f77976f29c41";

/// The first test persons of QA, who have one distinct id each.
pub(crate) const QA: [&str; 3] = [
    "326043c7-9577-586f-b399-8da3ff6a80ff",
    "ed47334a-cd8e-5e37-81bc-f5dfe37497da",
    "4954002e-c9a0-5d5b-802a-b0a7749c8948",
];

/// Longer than property changes and splits take.
pub(crate) const CHANGE_DELAY: Duration = Duration::from_secs(10);
/// Longer than queued deletions take.
pub(crate) const DELETION_DELAY: Duration = Duration::from_secs(60);

/// The example call of each writing tool, and its request.
pub(crate) async fn writing_calls() -> Vec<(&'static str, Value, String)> {
    static CALLS: OnceCell<Vec<(&str, Value, String)>> = OnceCell::const_new();
    let calls = CALLS.get_or_init(|| async {
        let session = approving().await;
        let mut calls = Vec::new();
        for tool in catalog() {
            if tool.effect == Effect::Read {
                continue;
            }
            let arguments = example(&tool);
            session.call(tool.name, arguments.clone()).await;
            let [write] = <[String; 1]>::try_from(writes(&session)).unwrap();
            calls.push((tool.name, arguments, write));
        }
        calls
    });
    calls.await.clone()
}

/// A session whose user confirms everything.
pub(crate) async fn approving() -> Session {
    approving_with(|_| ()).await
}

/// The same with another setup.
pub(crate) async fn approving_with(change: impl FnOnce(&mut Setup)) -> Session {
    let mut setup = Setup {
        human: Human::answering_with(Reaction::Tick),
        ..Setup::default()
    };
    change(&mut setup);
    connect_with(setup).await
}

/// The messages of the elicitations so far. The sandbox's address is replaced.
pub(crate) fn elicitations(session: &Session) -> Vec<String> {
    let here = session.sandbox.url();
    let host = here.trim_start_matches("http://");
    let messages = session.client.service().elicitations();
    messages
        .iter()
        .map(|question| question.replace(host, "sandbox"))
        .collect()
}

/// The write requests since the last call, with their bodies.
pub(crate) fn write_requests(session: &Session) -> Vec<(String, Value)> {
    let requests = session.sandbox.requests();
    session.requests();
    let writes = requests
        .iter()
        .filter(|request| request.method != "GET" && !request.path.contains("/batch_by_"));
    writes
        .map(|request| (request_line(request), request.body.clone()))
        .collect()
}

/// The write requests since the last call.
pub(crate) fn writes(session: &Session) -> Vec<String> {
    write_requests(session)
        .into_iter()
        .map(|(line, _)| line)
        .collect()
}

/// Injects a fault into the next request of this form (see [`Session::requests`]).
pub(crate) fn inject_fault(session: &Session, request: &str, what: FaultKind) {
    let fault = Fault::once(&full_path(request), what);
    session.sandbox.inject(fault);
}

/// The full path of a request in the form of [`Session::requests`].
pub(crate) fn full_path(request: &str) -> String {
    let root = format!("/api/projects/{}/persons/", Sandbox::PROJECT);
    request.replacen("B/", &root, 1)
}

/// The result of a deleting tool, confirmed with the token of a first call.
pub(crate) async fn confirmed(
    session: &Session,
    tool: &'static str,
    mut arguments: Value,
) -> CallToolResult {
    let preview = session.call(tool, arguments.clone()).await;
    arguments["confirmation"] = preview["confirmation"].clone();
    session.result(tool, arguments).await
}

/// All properties of a person, read through the server.
pub(crate) async fn properties(session: &Session, id: &str) -> Value {
    let arguments = json!({"id": id, "select": ["*"]});
    let person = session.call("persons-retrieve", arguments).await;
    person["properties"].clone()
}

/// The UUID of the person that has this distinct id.
pub(crate) async fn owner(session: &Session, distinct_id: &str) -> Option<String> {
    let arguments = json!({"distinct_ids": [distinct_id]});
    let batch = session.call("persons-batch-retrieve", arguments).await;
    let row = batch["results"].as_array().unwrap().first()?;
    Some(row["uuid"].as_str().unwrap().to_owned())
}
