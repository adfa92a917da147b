//! A list that is read while persons come and go.

use std::collections::HashSet;
use std::time::Duration;

use posthog_sandbox::{Fault, FaultKind, Sandbox};
use serde_json::{Map, json};
use tokio::time::sleep;

use super::rows;
use crate::http_client::client;
use crate::{Setup, connect_with};

const PERSONS: usize = 2600;
/// A page is read in about this time.
const PAGE: Duration = Duration::from_millis(50);

fn uuid(number: usize) -> String {
    format!("01850000-0000-4000-8000-{number:012x}")
}

/// Deletes a person past the server under test.
async fn delete(sandbox: &Sandbox, uuid: &str) {
    let project = Sandbox::PROJECT;
    let url = format!("{}/api/projects/{project}/persons/{uuid}/", sandbox.url());
    let request = client().delete(url);
    let response = request.bearer_auth(Sandbox::KEY).send().await.unwrap();
    assert_eq!(response.status(), 202, "{uuid}");
}

/// Persons arrive and go before each page but the first, of which one is refused and one is cut off.
async fn disturb(sandbox: &Sandbox) -> HashSet<String> {
    let pages = || {
        let requests = sandbox.requests().into_iter();
        let lists = requests.filter(|request| {
            request.body["query"]["select"][0] == "person" && request.body["query"]["limit"] == 500
        });
        lists.count()
    };
    let mut deleted = HashSet::new();
    for page in 1..=4 {
        while pages() < page {
            sleep(PAGE / 10).await;
        }
        for number in 0..30 {
            let id = format!("arrives-{page}-{number}");
            sandbox.capture(&id, "sign up", Map::new());
        }
        // Of persons that were read already, and of some that were not.
        for number in [page, PERSONS / 2 + page, PERSONS - page] {
            delete(sandbox, &uuid(number)).await;
            deleted.insert(uuid(number));
        }
        match page {
            2 => sandbox.inject(Fault::once(
                "/query/",
                FaultKind::Throttle { retry_after: 1 },
            )),
            3 => sandbox.inject(Fault::once(
                "/query/",
                FaultKind::CutResponse { after_bytes: 9000 },
            )),
            _ => {}
        }
        sandbox.inject(Fault::once("/query/", FaultKind::Delay(PAGE)));
    }
    deleted
}

#[tokio::test]
async fn each_person_is_in_the_list_once() {
    let session = connect_with(Setup::persons(PERSONS)).await;
    let sandbox = session.sandbox.clone();
    sandbox.inject(Fault::once("/query/", FaultKind::Delay(PAGE)));
    sandbox.inject(Fault::once("/query/", FaultKind::Delay(PAGE)));
    let arguments = json!({"all": true, "select": ["email"]});
    let (result, deleted) =
        tokio::join!(session.call("persons-export", arguments), disturb(&sandbox));
    let file = session.exports.file();
    let rows = rows(&std::fs::read_to_string(file).unwrap());
    let uuids: HashSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(uuids.len(), rows.len(), "each once");
    for number in 1..=PERSONS {
        let uuid = uuid(number);
        assert!(
            uuids.contains(uuid.as_str()) || deleted.contains(&uuid),
            "{number} is missing"
        );
    }
    // Whoever came later is not in it, and shifts nothing.
    let counted = result["counted"].as_u64().unwrap();
    assert!(rows.len() as u64 <= counted, "{} of {counted}", rows.len());
    assert_eq!(result["persons"], rows.len());
    assert!(
        !result["missing"].to_string().contains("query:read"),
        "{result}"
    );
    assert_eq!(sandbox.violations(), Vec::<String>::new());
}
