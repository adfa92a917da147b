//! The nginx configuration of docs/team.md, run.

use std::path::PathBuf;
use std::process::Stdio;

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{Session, Team, assert_queued, free_port, poll_until};
use crate::writing::QA;

/// nginx in front of a team, stopped at the end of the test.
struct Nginx {
    url: String,
    folder: PathBuf,
    _process: Child,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Nginx {
    async fn start(team: &Team) -> Self {
        let port = free_port().await;
        let folder = std::env::temp_dir().join(format!("nginx-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let [one, other] = [0, 1].map(|number| team.processes[number].address.port().to_string());
        let documented = documented()
            .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port};"))
            .replace("8808", &one)
            .replace("8809", &other);
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{documented}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), configuration).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("these tests need nginx in the PATH (Debian: apt-get install nginx-light): {error}")
            });
        let url = format!("http://127.0.0.1:{port}");
        poll_until("nginx listens", || async {
            team.http.get(&url).send().await.is_ok()
        })
        .await;
        Self {
            url,
            folder,
            _process: process,
        }
    }
}

/// The one block of nginx configuration in the documentation.
fn documented() -> String {
    let page = include_str!("../../../docs/team.md");
    let (_, rest) = page.split_once("```nginx\n").expect("a configuration");
    let (configuration, _) = rest.split_once("```").expect("its end");
    configuration.to_owned()
}

#[tokio::test]
async fn sessions_stay_with_their_process() {
    let team = Team::start().await;
    let nginx = Nginx::start(&team).await;
    let to = &nginx.url;
    let mut nodes = Vec::new();
    for (id, person) in (1..).zip([QA[0], QA[1]]) {
        let session = team.session(to, to).await;
        nodes.push(session.id.rsplit_once('.').unwrap().1.to_owned());
        for _ in 0..3 {
            session.list(to).await;
            session.read(to).await;
        }
        let (events, question) = session.elicit(to, id, person).await;
        session.confirm(to, &question).await;
        assert_queued(&events.result().await);
        assert_eq!(team.deletions().len(), 1);
        // The session ends at its process as well.
        let end = team
            .http
            .delete(format!("{to}/mcp"))
            .bearer_auth(Sandbox::KEY)
            .header("mcp-protocol-version", super::VERSION)
            .header("mcp-session-id", &session.id);
        assert!(end.send().await.unwrap().status().is_success());
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
        assert_eq!(session.send(to, &list).await.status(), 404);
    }
    // New sessions are distributed.
    nodes.sort();
    assert_eq!(nodes, ["a", "b"]);
}

#[tokio::test]
async fn stateless_requests_go_to_any_process() {
    let team = Team::start().await;
    let nginx = Nginx::start(&team).await;
    for person in [QA[0], QA[1]] {
        let state = team.elicit_stateless(&nginx.url, person).await;
        assert_queued(&team.confirm_stateless(&nginx.url, person, &state).await);
    }
    assert_eq!(team.deletions().len(), 2);
}

#[tokio::test]
async fn session_of_a_killed_process_is_not_found_and_a_new_one_works() {
    let mut team = Team::start().await;
    let nginx = Nginx::start(&team).await;
    let to = &nginx.url;
    let id = loop {
        let session = team.session(to, to).await;
        if session.id.ends_with(".a") {
            break session.id;
        }
    };
    team.kill(0).await;
    let session = Session { team: &team, id };
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    assert_eq!(session.send(to, &list).await.status(), 404);
    for _ in 0..2 {
        team.session(to, to).await.read(to).await;
    }
    team.kill(1).await;
    let response = team.send(to, Sandbox::KEY, None, &list).await;
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn messages_of_a_legacy_stream_reach_its_process() {
    let team = Team::start().await;
    let nginx = Nginx::start(&team).await;
    for _ in 0..3 {
        let mut stream = team
            .http
            .get(format!("{}/sse", nginx.url))
            .bearer_auth(Sandbox::KEY)
            .send()
            .await
            .unwrap();
        assert_eq!(stream.status(), 200);
        let mut text = String::new();
        while !text.contains("sessionId=") || !text.ends_with("\n\n") {
            let chunk = stream.chunk().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let path = text
            .lines()
            .find_map(|line| line.strip_prefix("data:"))
            .unwrap()
            .trim();
        let client = json!({"name": "by hand", "version": "0"});
        let params =
            json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client});
        let initialize: Value =
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let posted = team
            .http
            .post(format!("{}{path}", nginx.url))
            .bearer_auth(Sandbox::KEY)
            .json(&initialize);
        assert_eq!(posted.send().await.unwrap().status(), 202);
    }
}
