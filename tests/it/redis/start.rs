//! What a start with Redis requires.

use std::path::Path;
use std::process::Stdio;

use posthog_sandbox::{Sandbox, SandboxOptions};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::{Process, RedisServer, STATE_KEY, free_port, server, server_with_key};
use crate::process::run;

async fn sandbox() -> Sandbox {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    Sandbox::start(listener, SandboxOptions::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn unreachable_redis_fails_the_start_without_showing_its_password() {
    let sandbox = sandbox().await;
    let unused_port = free_port().await;
    for url in [
        format!("redis://user:hunter2@127.0.0.1:{unused_port}"),
        "redis://user:hunter2@127.0.0.1:notaport".to_owned(),
        "http://user:hunter2@127.0.0.1".to_owned(),
        "hunter2".to_owned(),
    ] {
        let ended = run(server(&sandbox, &url), "").await;
        let error = ended.startup_error();
        assert!(error.contains("--redis"), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{url}: {error}");
        assert!(!error.contains("user:"), "{url}: {error}");
    }
}

#[tokio::test]
async fn rejected_password_fails_the_start() {
    let redis = RedisServer::start().await;
    let url = format!("redis://:hunter2@127.0.0.1:{}", redis.port);
    let ended = run(server(&sandbox().await, &url), "").await;
    let error = ended.startup_error();
    assert!(error.contains("--redis"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn redis_without_a_state_key_fails_the_start() {
    let redis = RedisServer::start().await;
    let ended = run(server_with_key(&sandbox().await, &redis.url(), ""), "").await;
    let error = ended.startup_error();
    assert!(error.contains("POSTHOG_MCP_STATE_KEY"), "{error}");
}

/// Each command is tried, so that none fails first at a deletion.
#[tokio::test]
async fn a_rejected_command_fails_the_start_with_its_name() {
    let redis = RedisServer::start().await;
    let sandbox = sandbox().await;
    let mut connection = redis.connection().await;
    let commands = ["set", "getex", "getdel", "incr"];
    for missing in commands {
        let allowed = commands
            .iter()
            .filter(|command| **command != missing)
            .map(|command| format!("+{command}"));
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg(missing).arg("reset").arg("on");
        user.arg(">secret").arg("~posthog-persons-mcp:*");
        for command in allowed {
            user.arg(command);
        }
        user.exec_async(&mut connection).await.unwrap();
        let url = format!("redis://{missing}:secret@127.0.0.1:{}", redis.port);
        let ended = run(server(&sandbox, &url), "").await;
        let error = ended.startup_error();
        let name = missing.to_uppercase();
        assert!(
            error.contains(&format!("rejects the command {name},")),
            "{error}"
        );
    }
    // These four commands and its own keys are all it needs.
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("server").arg("on").arg(">secret");
    user.arg("~posthog-persons-mcp:*");
    for command in commands {
        user.arg(format!("+{command}"));
    }
    user.exec_async(&mut connection).await.unwrap();
    let url = format!("redis://server:secret@127.0.0.1:{}", redis.port);
    Process::start(&sandbox, &url, &[]).await;
}

#[tokio::test]
async fn redis_with_tls_and_a_password_works() {
    let folder = std::env::temp_dir().join(format!("redis-tls-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    certificates(&folder).await;
    let port = free_port().await;
    let _redis = Command::new("redis-server")
        .current_dir(&folder)
        .args(["--port", "0", "--tls-port", &port.to_string()])
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--requirepass",
            "hunter2",
        ])
        .args([
            "--tls-cert-file",
            "server.pem",
            "--tls-key-file",
            "server.key",
        ])
        .args(["--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    super::poll_until("redis listens", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
    })
    .await;
    let sandbox = sandbox().await;
    let url = format!("rediss://:hunter2@localhost:{port}");
    // The certificate authority is not one of the system's.
    let ended = run(server(&sandbox, &url), "").await;
    assert!(ended.startup_error().contains("--redis"));
    let mut command = server_with_key(&sandbox, &url, STATE_KEY);
    command.env("SSL_CERT_FILE", folder.join("ca.pem"));
    Process::spawn(command).await;
    std::fs::remove_dir_all(&folder).unwrap();
}

/// An authority, and a certificate for localhost.
async fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(arguments.split(' '));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        async move { assert!(command.status().await.unwrap().success()) }
    };
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
    )
    .await;
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost")
        .await;
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem").await;
}
