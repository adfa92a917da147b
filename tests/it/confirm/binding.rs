//! A confirmation is bound to its tool, in every version of the protocol.

use super::raw_client::*;
use super::support::*;
use crate::connect;
use crate::wire::{WITH_HANDSHAKE, WITHOUT_HANDSHAKE};
use crate::writing::writes;
use futures::FutureExt;
use posthog_client::RequiredScopes;
use posthog_persons_mcp::output::ToolOutput;
use posthog_persons_mcp::policy::{Effect, Toolset};
use posthog_persons_mcp::tools::{
    Context, FactsDigest, Outcome, PendingWrite, Preview, Question, Status, Tool, ToolDefinition,
    ToolError, ToolOutcome, WriteResult,
};
use serde_json::json;

/// Two tools with the same arguments and the same question.
struct Erasing<const OTHER: bool>;

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whatever {}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Erased {}

impl<const OTHER: bool> Tool for Erasing<OTHER> {
    type Input = Whatever;
    type Output = Erased;
    const NAME: &'static str = if OTHER { "erase-other" } else { "erase" };
    const TITLE: &'static str = "Erase";
    const DESCRIPTION: &'static str = "Erases.";
    const SEARCH_HINT: &'static str = "erase";
    const EFFECT: Effect = Effect::Delete { idempotent: true };
    const TOOLSET: Toolset = Toolset::Delete;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:write"]);
    const EXAMPLE: &'static str = "{}";
    const STATUSES: &'static [Status] = &[Status::Done];

    async fn call(_: &Context, _: Whatever) -> Result<ToolOutcome<Erased>, ToolError> {
        let erased = ToolOutput {
            structured: Erased {},
            text: "Erased".to_owned(),
        };
        Ok(ToolOutcome::PendingWrite(PendingWrite {
            persons: Vec::new(),
            property_keys: Vec::new(),
            deletes: Vec::new(),
            merged_into: None,
            preview: Some(Box::new(Preview {
                question: Question {
                    action: "Erase".to_owned(),
                    summary: ["Erase?", "", "", ""].map(str::to_owned),
                    consequences: Vec::new(),
                    sections: Vec::new(),
                },
                text: "erase".to_owned(),
                facts: Erased {},
                digest: FactsDigest::new(&()),
            })),
            execute: async {
                Ok(WriteResult {
                    status: Status::Done,
                    output: erased,
                    outcome: Outcome::Done,
                })
            }
            .boxed(),
        }))
    }
}

#[tokio::test]
async fn confirmation_is_bound_to_its_tool() {
    let session = connect().await;
    let tools = vec![
        ToolDefinition::new::<Erasing<false>>(),
        ToolDefinition::new::<Erasing<true>>(),
    ];
    let server = server_of(tools.clone(), &session, token_confirmer());
    let nothing = json!({});

    let mut mute = RawClient::begin(&server, WAITING[0], nothing.clone()).await;
    let id = mute.call("erase", &nothing).await;
    let token = mute.result(id).await["structuredContent"]["confirmation"].clone();
    let arguments = with_token(nothing.clone(), &token);
    let id = mute.call("erase-other", &arguments).await;
    assert_rejected(&mute.result(id).await, STALE);
    let id = mute.call("erase", &arguments).await;
    assert_eq!(result_text(&mute.result(id).await), "Erased");

    let server = server_of(tools, &session, confirmer());
    let mut client = RawClient::begin(&server, WITHOUT_HANDSHAKE, forms()).await;
    let id = client.call("erase", &nothing).await;
    let state = state(&client.result(id).await);
    assert_rejected(
        &client
            .repeat("erase-other", &nothing, &state, confirming_reply())
            .await,
        STALE,
    );
    let result = client
        .repeat("erase", &nothing, &state, confirming_reply())
        .await;
    assert_eq!(result_text(&result), "Erased");
}

/// Protocol versions without elicitation, and clients without it.
#[tokio::test]
async fn token_confirms_in_every_version() {
    let session = connect().await;
    let server = server(&session, token_confirmer());
    let silent = [
        WITH_HANDSHAKE[0],
        WITH_HANDSHAKE[1],
        WAITING[0],
        WAITING[1],
        WITHOUT_HANDSHAKE,
    ];
    for version in silent {
        // A client with URL elicitation only cannot show a form.
        for capabilities in [json!({}), json!({"elicitation": {"url": {}}})] {
            let mut client = RawClient::begin(&server, version, capabilities).await;
            let id = client.call(TOOL, &deletion()).await;
            let preview = client.result(id).await;
            let token = &preview["structuredContent"]["confirmation"];
            assert!(token.is_string(), "{version}: {preview}");
            assert_eq!(writes(&session), no_requests(), "{version}");
            let id = client.call(TOOL, &with_token(deletion(), token)).await;
            let done = client.result(id).await;
            assert_eq!(
                done["structuredContent"]["status"], "queued",
                "{version}: {done}"
            );
            assert_eq!(writes(&session), [DELETE], "{version}");
        }
    }
}
