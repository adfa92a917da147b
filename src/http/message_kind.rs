//! The kind of a JSON-RPC message, read once from the body for the layers behind.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What kind of message a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    /// `initialize`, which opens a session.
    Initialize,
    /// A request, which gets a response.
    Request,
    /// A response to the server or a notification.
    OneWay,
    /// Not a message.
    Other,
}

impl MessageKind {
    /// Whether something may outlive the request. What cannot be read here counts as if it did.
    pub(super) fn may_open_session(self) -> bool {
        matches!(self, Self::Initialize | Self::Other)
    }

    pub(super) fn of(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Message {
            method: Option<String>,
            id: Option<IgnoredAny>,
        }
        match serde_json::from_slice::<Message>(body) {
            Ok(Message {
                method: Some(method),
                id: Some(_),
            }) if method == "initialize" => Self::Initialize,
            Ok(Message {
                method: Some(_),
                id: Some(_),
            }) => Self::Request,
            Ok(
                Message {
                    method: None,
                    id: Some(_),
                }
                | Message {
                    method: Some(_),
                    id: None,
                },
            ) => Self::OneWay,
            _ => Self::Other,
        }
    }
}
