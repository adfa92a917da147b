//! Sending queries to the sandbox.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{ReferenceClient, Reply, read};

impl ReferenceClient {
    /// Sends a node, and calculates it anew.
    pub(super) async fn query(&self, node: Value) -> Reply {
        self.post_query(json!({"query": node, "refresh": "force_blocking"}))
            .await
    }

    pub(super) async fn post_query(&self, body: Value) -> Reply {
        let request = self.request(Method::POST, "/api/projects/1/query/");
        read(request.json(&body).send().await.unwrap()).await
    }

    pub(super) async fn hogql(&self, text: &str, values: Value) -> Reply {
        self.query(json!({"kind": "HogQLQuery", "query": text, "values": values}))
            .await
    }

    /// The rows of a text without values.
    pub(super) async fn rows(&self, text: &str) -> Value {
        rows(&self.hogql(text, json!({})).await)
    }

    pub(super) async fn actors(&self, more: Value) -> Reply {
        let mut node = Map::from_iter([("kind".to_owned(), json!("ActorsQuery"))]);
        node.extend(more.as_object().unwrap().clone());
        self.query(Value::Object(node)).await
    }
}

#[track_caller]
pub(super) fn rows(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body["results"].clone()
}

/// The first cells of the rows.
#[track_caller]
pub(super) fn first_cells(reply: &Reply) -> Vec<Value> {
    let rows = rows(reply);
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[0].clone()).collect()
}

/// The names in the first cells, sorted.
#[track_caller]
pub(super) fn names(reply: &Reply) -> Vec<String> {
    let cells = first_cells(reply).into_iter();
    let mut names: Vec<String> = cells
        .map(|cell| cell.as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}
