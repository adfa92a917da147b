//! What the headers of a request select and restrict: the project and the tools.

use posthog_client::Project;
use posthog_persons_mcp::policy::{Confirm, Effect, Policy};
use posthog_persons_mcp::tools::catalog;
use posthog_sandbox::{Key, SandboxOptions};
use serde_json::{Value, json};

use super::credentials::keys;
use super::{
    Caller, JOHN, LegacyClient, MARY, McpClient, Setup, Team, all_tools, set, team, team_with,
};
use crate::ADA;
use crate::process::tool_names;
use crate::wire::WITH_HANDSHAKE;

#[tokio::test]
async fn project_is_resolved_once_per_key() {
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
            caller.call("persons-retrieve", &json!({"id": ADA})).await;
            let mut session = McpClient::begin(&caller, WITH_HANDSHAKE[3]).await;
            session.call("persons-retrieve", &json!({"id": ADA})).await;
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
        let requests = of_key.filter(|(request, _)| request.path.contains("@"));
        let requests: Vec<&str> = requests.map(|(request, _)| request.path.as_str()).collect();
        let once = ["/api/users/@me/", "/api/personal_api_keys/@current/"];
        assert_eq!(requests, once, "{key}");
    }
}

#[tokio::test]
async fn request_selects_its_project_if_the_server_has_none() {
    let team = team_with(Setup {
        project: Project::Current,
        ..Setup::default()
    })
    .await;
    let mary = team.caller(MARY).with_header("x-posthog-project-id", "1");
    let person = mary.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(person["isError"], false);
    // The project is not resolved, and not stored for other requests.
    let paths = |team: &Team| -> Vec<String> {
        let requests = team.sandbox.requests();
        team.sandbox.clear_requests();
        requests.into_iter().map(|request| request.path).collect()
    };
    assert_eq!(
        paths(&team),
        ["/api/projects/1/persons/ada0ada0-1815-4852-8000-000000000101/"]
    );
    let other = team.caller(MARY).with_header("x-posthog-project-id", "2");
    other.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(
        paths(&team),
        ["/api/projects/2/persons/ada0ada0-1815-4852-8000-000000000101/"]
    );
    let open = team.caller(MARY);
    open.call("persons-retrieve", &json!({"id": ADA})).await;
    assert_eq!(
        paths(&team).last().unwrap(),
        "/api/projects/1/persons/ada0ada0-1815-4852-8000-000000000101/"
    );
}

#[tokio::test]
async fn request_cannot_select_another_project_than_the_servers() {
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
            let mary = team
                .caller(MARY)
                .with_header("x-posthog-project-id", project);
            let call = mary.calling("persons-retrieve", &json!({"id": ADA}));
            let reply = mary.read(call).await;
            assert_eq!(reply.status, status, "{project}: {}", reply.text);
        }
        for request in team.sandbox.requests() {
            assert_eq!(
                request.path,
                "/api/projects/1/persons/ada0ada0-1815-4852-8000-000000000101/"
            );
        }
    }
}

// Restrictions of the tools.

fn reading_tools() -> Vec<String> {
    let tools = catalog().into_iter();
    tools
        .filter(|tool| tool.effect == Effect::Read)
        .map(|tool| tool.name.to_owned())
        .collect()
}

/// Calls of the tools that write.
fn write_calls() -> [(&'static str, Value); 2] {
    [
        (
            "persons-update",
            json!({"id": ADA, "properties": {"plan": "team"}}),
        ),
        ("persons-bulk-delete", json!({"ids": [ADA]})),
    ]
}

/// Asserts that none of these tools can be called.
async fn assert_unknown(caller: &Caller, calls: &[(&str, Value)]) {
    for (tool, arguments) in calls {
        let reply = caller.read(caller.calling(tool, arguments)).await;
        assert_eq!(reply.json()["error"]["code"], -32602, "{}", reply.text);
    }
}

#[tokio::test]
async fn read_only_request_gets_only_reading_tools() {
    let team = team_with(Setup {
        confirm: Confirm::Off,
        ..Setup::default()
    })
    .await;
    for word in ["true", "True", "1", "yes", "on"] {
        let narrowed = team.caller(MARY).with_header("x-posthog-read-only", word);
        assert_eq!(narrowed.tool_names().await, reading_tools(), "{word}");
        assert_unknown(&narrowed, &write_calls()).await;
    }
    for word in ["false", "0", "no", "off", ""] {
        let mary = team.caller(MARY).with_header("x-posthog-read-only", word);
        assert_eq!(mary.tool_names().await, all_tools(), "{word}");
    }
    for word in ["maybe", "true, false", "2"] {
        let mary = team.caller(MARY).with_header("x-posthog-read-only", word);
        let reply = mary.read(mary.stateless("tools/list", json!({}))).await;
        assert_eq!(reply.status, 400, "{word}: {}", reply.text);
    }
    assert_eq!(team.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn request_with_tools_header_gets_only_those_tools() {
    let team = team().await;
    let mary = team.caller(MARY);
    let narrowed = mary.with_header("x-posthog-tools", " persons-update,persons-list ,");
    assert_eq!(
        narrowed.tool_names().await,
        ["persons-list", "persons-update"]
    );
    assert_unknown(&narrowed, &write_calls()[1..]).await;
    assert_unknown(&narrowed, &[("persons-retrieve", json!({"id": ADA}))]).await;
    let both = narrowed.with_header("x-posthog-read-only", "true");
    assert_eq!(both.tool_names().await, ["persons-list"]);
    for word in [
        "persons-lst",
        "persons-list,persons-unknown",
        "*",
        "delete",
        ",",
        " , ,",
        "persons-list;persons-retrieve",
    ] {
        let mary = mary.with_header("x-posthog-tools", word);
        let reply = mary.read(mary.stateless("tools/list", json!({}))).await;
        assert_eq!(reply.status, 400, "{word}: {}", reply.text);
    }
}

#[tokio::test]
async fn restriction_applies_to_its_request_only() {
    let team = team().await;
    let mary = team.caller(MARY);
    let narrowed = mary.with_header("x-posthog-read-only", "true");
    let mut session = McpClient::begin(&narrowed, WITH_HANDSHAKE[3]).await;
    let list = session.send_request("tools/list", json!({})).await;
    assert_eq!(tool_names(&list), reading_tools());
    let mut wide = session.used_by(&mary);
    assert_eq!(
        tool_names(&wide.send_request("tools/list", json!({})).await),
        all_tools()
    );
    session.last_id += 1;
    let list = session.send_request("tools/list", json!({})).await;
    assert_eq!(tool_names(&list), reading_tools());

    let mut legacy = LegacyClient::begin(&mary).await;
    legacy.caller = narrowed;
    let list = legacy.send_request("tools/list", json!({})).await;
    assert_eq!(tool_names(&list), reading_tools());
    legacy.caller = mary;
    let list = legacy.send_request("tools/list", json!({})).await;
    assert_eq!(tool_names(&list), all_tools());
}

#[tokio::test]
async fn headers_cannot_extend_what_the_server_offers() {
    let policies = [
        Policy {
            read_only: true,
            ..Policy::default()
        },
        Policy {
            exclude: write_calls().map(|(tool, _)| tool.to_owned()).to_vec(),
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
        assert_eq!(mary.tool_names().await, offer, "{policy:?}");
        let everything = all_tools().join(",");
        for caller in [
            mary.with_header("x-posthog-tools", &everything),
            mary.with_header("x-posthog-tools", "persons-update,persons-bulk-delete"),
            mary.with_header("x-posthog-read-only", "false"),
            mary.with_header("x-posthog-read-only", "false")
                .with_header("x-posthog-tools", &everything),
        ] {
            let tool_names = caller.tool_names().await;
            assert!(
                set(&tool_names).is_subset(&set(&offer)),
                "{policy:?}: {tool_names:?}"
            );
            assert_unknown(&caller, &write_calls()).await;
        }
        assert_eq!(team.writes(), Vec::<String>::new(), "{policy:?}");
    }
}

/// A proxy may append a header that its client has already sent.
#[tokio::test]
async fn duplicate_headers_never_widen_access() {
    let team = team().await;
    let mary = team.caller(MARY);
    for (name, wide, narrow, left) in [
        ("x-posthog-read-only", "false", "true", reading_tools()),
        (
            "x-posthog-tools",
            "persons-list,persons-update",
            "persons-list",
            vec!["persons-list".to_owned()],
        ),
    ] {
        for (first, second) in [(wide, narrow), (narrow, wide)] {
            let caller = mary.with_header(name, first).with_header(name, second);
            let reply = caller.read(caller.stateless("tools/list", json!({}))).await;
            if reply.status != 400 {
                assert_eq!(tool_names(&reply.json()), left, "{name}: {first}, {second}");
            }
        }
    }
}

#[tokio::test]
async fn credential_dependent_list_is_marked_private() {
    let team = team().await;
    let narrowed = team.caller(MARY).with_header("x-posthog-read-only", "true");
    for caller in [team.caller(MARY), narrowed] {
        let list = caller.read(caller.stateless("tools/list", json!({}))).await;
        assert_eq!(list.json()["result"]["cacheScope"], "private");
        assert!(!list.header("cache-control").contains("public"));
    }
}
