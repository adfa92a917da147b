use insta::assert_snapshot;
use serde_json::json;

use crate::connect;

const TOOL: &str = "persons-paths";

#[tokio::test]
async fn lists_persons_who_left_after_an_event() {
    let session = connect().await;
    let arguments = json!({
        "item": "sign up", "path_type": "custom_event", "position": "dropped_off",
        "date_from": "2026-10-26", "date_to": "2026-11-02", "select": ["plan"],
    });
    let text = session.text(TOOL, arguments).await;
    let query = session.queries().remove(0);
    assert_eq!(session.requests(), ["POST Q/"]);
    assert_eq!(
        query["source"],
        json!({"kind": "InsightActorsQuery", "source": {
            "kind": "PathsQuery", "dateRange": {"date_from": "2026-10-26", "date_to": "2026-11-02"},
            "pathsFilter": {"includeEventTypes": ["custom_event"], "pathDropoffKey": "1_sign up"},
        }})
    );
    assert_snapshot!(text, @r"
    5 persons
    uuid	name	plan	distinct_ids	created	last_seen
    a2eaf793-9e0e-5398-b559-030e0dcc6488	Radia Perlman	trial	radia@example.com	2026-10-30	2026-11-01
    326043c7-9577-586f-b399-8da3ff6a80ff	QA 1		qa-1	2026-10-15	2026-10-30
    2703d90f-e94c-5e97-ab64-5c56184dc852	Hedy Lamarr	pro	hedy@example.com	2026-10-27	2026-10-29
    25ff7608-828e-5b6c-a20f-f615d76f4b4a	Alan Turing	free	alan@example.com	2026-10-28	2026-10-29
    2fed0c67-44a2-548d-90b5-f9d99dc2392c	Margaret Hamilton	pro	margaret@example.com	2026-10-27	2026-10-31
    ");
}

#[tokio::test]
async fn page_is_named_as_posthog_names_it() {
    let session = connect().await;
    for (kind, item, key) in [
        (
            "pageview",
            "https://app.example.com/",
            "2_https://app.example.com",
        ),
        ("pageview", "/", "2_/"),
        ("screen", "Settings/", "2_Settings/"),
    ] {
        let arguments = json!({"item": item, "step": 2, "path_type": kind});
        session.call(TOOL, arguments).await;
        let query = session.queries().remove(0);
        session.sandbox.clear_requests();
        let filter = &query["source"]["source"]["pathsFilter"];
        assert_eq!(filter["pathEndKey"], key);
    }
}

#[tokio::test]
async fn invalid_arguments_make_no_request() {
    let session = connect().await;
    for (arguments, message) in [
        (json!({}), "Argument `item` is missing."),
        (
            json!({"item": "/"}),
            "Nobody arrives at step 1: a path begins there.",
        ),
        (
            json!({"item": "/", "step": 20}),
            "`step` counts from 1, up to 19.",
        ),
        (
            json!({"item": "/", "step": 2, "position": "left"}),
            "Invalid argument `position`: unknown value `left`",
        ),
    ] {
        let error = session.error(TOOL, arguments.clone()).await;
        assert!(error.contains(message), "{arguments}: {error}");
    }
    assert!(session.requests().is_empty());
}
