//! Sealing: what a confirmation token and the state of an elicitation are bound to.

use std::fmt::Write as _;
use std::time::Duration;

use rmcp::model::{RequestStateCodec, RequestStateError, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::confirmer::ConfirmationRequest;

/// What a seal is for. A state goes with the user's reply, a token with the model's second call; neither is valid as the
/// other.
#[derive(Clone, Copy)]
pub(super) enum SealKind {
    State,
    Token,
}

/// What is sealed, besides what the seal is bound to.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    /// Makes it usable once.
    pub(super) nonce: Uuid,
    /// Digest of the question that was shown.
    shown: String,
}

/// The reason for rejecting a token or a state.
pub(super) enum TokenError {
    /// Forged, for another call, or expired. One error for all, so that it reveals nothing to a forger.
    Invalid,
    /// The preview is no longer the one that was shown.
    Changed,
}

/// Seals and opens, with one key.
pub(super) struct Sealer {
    codec: RequestStateCodec,
    pub(super) ttl: Duration,
}

impl Sealer {
    /// With a random key: valid in this process only.
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            codec: codec(&rand::random::<[u8; 32]>()),
            ttl,
        }
    }

    /// With a key that other processes have as well.
    pub(super) fn with_key(self, key: &[u8]) -> Self {
        Self {
            codec: codec(key),
            ..self
        }
    }

    pub(super) fn seal(
        &self,
        request: &ConfirmationRequest<'_>,
        kind: SealKind,
    ) -> Result<String, RequestStateError> {
        let sealed = Sealed {
            nonce: Uuid::new_v4(),
            shown: digest(&request.preview.question),
        };
        let data = associated_data(request, kind);
        let options = SealOptions::new().associated_data(&data).ttl(self.ttl);
        self.codec.seal_json_with(&sealed, &options)
    }

    pub(super) fn open(
        &self,
        request: &ConfirmationRequest<'_>,
        kind: SealKind,
        sealed: &str,
    ) -> Result<Sealed, TokenError> {
        let sealed: Sealed = self
            .codec
            .open_json_with(sealed, &associated_data(request, kind))
            .map_err(|_| TokenError::Invalid)?;
        if sealed.shown == digest(&request.preview.question) {
            Ok(sealed)
        } else {
            Err(TokenError::Changed)
        }
    }
}

/// A codec for a key of any length: its strength is its entropy.
#[expect(
    clippy::expect_used,
    reason = "the only error is a key of less than 32 bytes, and a digest has 32"
)]
fn codec(key: &[u8]) -> RequestStateCodec {
    let digest = Sha256::new()
        .chain_update("confirmation")
        .chain_update(key)
        .finalize();
    RequestStateCodec::try_new(digest.to_vec()).expect("a key of 32 bytes")
}

/// Everything that a confirmation is bound to, each part with its length so that no two calls share an encoding.
fn associated_data(request: &ConfirmationRequest<'_>, kind: SealKind) -> Vec<u8> {
    let kind: &[u8] = match kind {
        SealKind::State => b"state",
        SealKind::Token => b"token",
    };
    let mut data = Vec::new();
    for part in [
        kind,
        request.principal.as_bytes(),
        request.tool.as_bytes(),
        request.project.to_string().as_bytes(),
        Value::Object(request.arguments.clone())
            .to_string()
            .as_bytes(),
    ] {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part);
    }
    data
}

fn digest(question: &str) -> String {
    let digest = Sha256::digest(question.as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
