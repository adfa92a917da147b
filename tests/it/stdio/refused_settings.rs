//! Settings that would silently do something else than they say: they stop the start.

use std::path::PathBuf;

use super::support::*;
use crate::process::{binary, run};

/// A file that is removed at the end of a test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("setting-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The error of a start with this variable.
async fn error_with(name: &str, value: &str) -> String {
    let mut command = binary(&["http", "--bind", "127.0.0.1:0", "--sandbox"]);
    command.env(name, value);
    startup_error(command).await
}

#[tokio::test]
async fn list_of_nothing_is_refused() {
    for (name, flag) in [
        ("POSTHOG_MCP_TOOLS", "--tools"),
        ("POSTHOG_MCP_TOOLSETS", "--toolsets"),
        ("POSTHOG_MCP_EXCLUDE_TOOLS", "--exclude-tools"),
        ("POSTHOG_MCP_REDACT", "--redact"),
        ("POSTHOG_MCP_ALLOWED_HOSTS", "--allowed-hosts"),
        ("POSTHOG_MCP_ALLOWED_ORIGINS", "--allowed-origins"),
    ] {
        for value in [" , ", ",", " "] {
            let error = error_with(name, value).await;
            assert!(error.contains(flag), "{name}={value:?}: {error}");
            assert!(error.contains("names nothing"), "{name}={value:?}: {error}");
        }
    }
    let mut command = binary(&["tools"]);
    command.env("POSTHOG_MCP_TOOLS", ",");
    assert!(startup_error(command).await.contains("names nothing"));
}

#[tokio::test]
async fn list_with_semicolons_is_refused() {
    for name in [
        "POSTHOG_MCP_TOOLS",
        "POSTHOG_MCP_EXCLUDE_TOOLS",
        "POSTHOG_MCP_REDACT",
    ] {
        let error = error_with(name, "email;phone").await;
        assert!(error.contains("commas"), "{name}: {error}");
    }
}

#[tokio::test]
async fn value_that_no_request_matches_is_refused() {
    for (name, value, says) in [
        (
            "POSTHOG_MCP_AUTH_TOKEN",
            "a token of more than 32 characters with blanks",
            "bearer token",
        ),
        (
            "POSTHOG_MCP_AUTH_TOKEN",
            "ein-schlüssel-mit-mehr-als-zweiunddreißig-zeichen",
            "bearer token",
        ),
        ("POSTHOG_MCP_AUTH_TOKEN", &"x".repeat(1025), "bearer token"),
        (
            "POSTHOG_MCP_ALLOWED_HOSTS",
            "https://mcp.example.com",
            "--allowed-hosts",
        ),
        (
            "POSTHOG_MCP_ALLOWED_ORIGINS",
            "host.of.an.app",
            "--allowed-origins",
        ),
        (
            "POSTHOG_MCP_ALLOWED_ORIGINS",
            "https://app.example.com/path",
            "--allowed-origins",
        ),
        (
            "POSTHOG_MCP_PUBLIC_URL",
            "host.without.scheme",
            "--public-url",
        ),
    ] {
        let error = error_with(name, value).await;
        assert!(error.contains(says), "{name}: {error}");
        assert!(!error.contains(value), "{name}: {error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn secret_that_is_no_text_is_not_taken_for_missing() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = binary(&["http", "--bind", "127.0.0.1:0", "--sandbox"]);
    let token = std::ffi::OsStr::from_bytes(b"0123456789abcdef0123456789abcdef\xff");
    command.env("POSTHOG_MCP_AUTH_TOKEN", token);
    let error = startup_error(command).await;
    assert!(error.contains("POSTHOG_MCP_AUTH_TOKEN"), "{error}");
}

#[tokio::test]
async fn misspelt_variable_is_named_with_the_one_it_is_meant_for() {
    for command in ["tools", "stdio", "http", "doctor"] {
        let mut command = binary(&[command]);
        command
            .env("POSTHOG_MCP_REDAKT", "email")
            .env("POSTHOG_MCP_READ_ONLLY", "1");
        let error = startup_error(command).await;
        for name in [
            "POSTHOG_MCP_REDAKT",
            "POSTHOG_MCP_REDACT;",
            "POSTHOG_MCP_READ_ONLLY",
            "POSTHOG_MCP_READ_ONLY;",
        ] {
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn foreign_variables_warn_and_service_links_are_ignored() {
    let mut command = binary(&["tools"]);
    command
        .env("POSTHOG_MCP_OF_ANOTHER_PROGRAM", "secret")
        .env("POSTHOG_MCP_SERVICE_HOST", "10.0.0.1")
        .env("POSTHOG_MCP_SERVICE_PORT", "80")
        .env("POSTHOG_MCP_PORT", "tcp://10.0.0.1:80")
        .env("POSTHOG_MCP_PORT_80_TCP_ADDR", "10.0.0.1");
    let ended = run(command, "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warnings: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    assert!(warnings[0].contains("POSTHOG_MCP_OF_ANOTHER_PROGRAM"));
    assert!(!warnings[0].contains("secret"));
}

#[tokio::test]
async fn errors_do_not_quote_what_could_be_a_key() {
    const SECRET: &str = "phx_3f9a1c7e5b2d8046";
    for arguments in [
        &["--max-result-bytes", SECRET][..],
        &["--structured", SECRET],
        &["--confirm", SECRET],
        &["--project", SECRET],
        &["--host", SECRET],
        &["--log", SECRET],
        &["http", "--bind", SECRET],
        &["--tools", SECRET, "tools"],
        &["--toolsets", SECRET, "tools"],
        &["--ca-cert", SECRET, "call", "persons-list"],
        &[
            "--sandbox-seed",
            SECRET,
            "--sandbox",
            "call",
            "persons-list",
        ],
        &[
            "--audit-log",
            "/nowhere/at/all",
            "--api-key-file",
            SECRET,
            "call",
            "persons-list",
        ],
        &[SECRET],
        &["tools", SECRET],
    ] {
        let error = startup_error(binary(arguments)).await;
        assert!(!error.contains("3f9a1c7e"), "{arguments:?}: {error}");
    }
    // What helps is still shown.
    let error = startup_error(binary(&["--confirm", "strictt"])).await;
    assert!(
        error.contains("'strictt'") && error.contains("strict"),
        "{error}"
    );
    let error = startup_error(binary(&["--tools", "persons_list", "tools"])).await;
    assert!(error.contains("`persons_list`"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn pipe_or_device_is_no_key_file() {
    let pipe = std::env::temp_dir().join(format!("pipe-{}", uuid::Uuid::new_v4()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let pipe = TemporaryFile(pipe);
    for path in [pipe.0.to_str().unwrap(), "/dev/zero", "/tmp"] {
        for arguments in [
            &["--api-key-file", path, "call", "persons-list"][..],
            &["--ca-cert", path, "--sandbox", "call", "persons-list"],
            &["--sandbox-seed", path, "--sandbox", "call", "persons-list"],
        ] {
            let error = startup_error(binary(arguments)).await;
            assert!(
                error.contains("not a regular file"),
                "{arguments:?}: {error}"
            );
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn key_file_that_everybody_can_read_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let file = TemporaryFile::new("phx_of_the_file\n");
    for (mode, reported) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file.0, permissions).unwrap();
        let path = file.0.to_str().unwrap();
        let ended = run(binary(&["--api-key-file", path, "tools"]), "").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let says = format!("can be read by every user of this machine (mode {mode:04o})");
        assert_eq!(ended.stderr.contains(&says), reported, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn approval_page_that_no_browser_reaches_is_refused() {
    for (arguments, says) in [
        (
            &["--approval-bind", "0.0.0.0:8810"][..],
            "say with --approval-url where",
        ),
        (
            &["--approval-bind", "[::]:0"],
            "say with --approval-url where",
        ),
        (
            &["--approval-url", "http://127.0.0.1:8810"],
            "name it in --approval-bind too",
        ),
        (
            &[
                "--approval-bind",
                "0.0.0.0:8810",
                "--approval-url",
                "http://host/path",
            ],
            "is not a scheme and a host",
        ),
        (
            &[
                "--approval-bind",
                "0.0.0.0:8810",
                "--approval-url",
                "ftp://host",
            ],
            "is not a scheme and a host",
        ),
        (
            &[
                "--approval-bind",
                "0.0.0.0:8810",
                "--approval-url",
                "http://me:secret@host",
            ],
            "is not a scheme and a host",
        ),
        (&["--approval-bind", "localhost"], "invalid"),
    ] {
        let error = startup_error(binary(&[&["--sandbox"], arguments].concat())).await;
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert!(!error.contains("secret"), "{arguments:?}: {error}");
    }
    // Where no page is served, nobody has to reach it.
    let flags = [
        "--sandbox",
        "--approval-bind",
        "0.0.0.0:8810",
        "--read-only",
    ];
    let ended = run(binary(&flags), "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
