//! The simulated user of a client, who replies to elicitations.

use std::sync::{Arc, Mutex};

use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
    Implementation,
};
use rmcp::service::RequestContext;
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::json;

/// How the user replies to an elicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Ticks the box.
    Tick,
    /// Sends the form with the box unticked.
    LeaveUnticked,
    /// Sends an empty form.
    SendEmpty,
    /// Declines.
    Decline,
    /// Closes the question.
    Dismiss,
}

/// The client's handler. Without a reaction it declares no elicitation.
#[derive(Clone, Default)]
pub(crate) struct Human {
    reaction: Option<Reaction>,
    elicitations: Arc<Mutex<Vec<String>>>,
}

impl Human {
    pub(crate) fn answering_with(reaction: Reaction) -> Self {
        Self {
            reaction: Some(reaction),
            ..Self::default()
        }
    }

    /// Whether the client can ask at all.
    pub(crate) fn replies(&self) -> bool {
        self.reaction.is_some()
    }

    /// The messages of the elicitations so far.
    pub(crate) fn elicitations(&self) -> Vec<String> {
        self.elicitations.lock().unwrap().clone()
    }
}

impl ClientHandler for Human {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match self.reaction {
            Some(_) => ClientCapabilities::builder().enable_elicitation().build(),
            None => ClientCapabilities::default(),
        };
        ClientConfig::new(capabilities, Implementation::new("test", "0"))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams { message, .. } = request else {
            panic!("only form elicitation is supported")
        };
        self.elicitations.lock().unwrap().push(message);
        let accept = ElicitResult::new(ElicitationAction::Accept);
        Ok(
            match self
                .reaction
                .expect("elicited without a declared capability")
            {
                Reaction::Tick => accept.with_content(json!({"confirm": true})),
                Reaction::LeaveUnticked => accept.with_content(json!({"confirm": false})),
                Reaction::SendEmpty => accept.with_content(json!({})),
                Reaction::Decline => ElicitResult::new(ElicitationAction::Decline),
                Reaction::Dismiss => ElicitResult::new(ElicitationAction::Cancel),
            },
        )
    }
}
