//! Sealing: what a confirmation token and the state of an elicitation are bound to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmcp::model::{RequestStateCodec, RequestStateError, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::confirmer::ConfirmationRequest;

/// What a seal is for. A state goes with the user's reply, a token with the model's second call, which confirms or asks
/// for the answer on a page; none is valid as another.
#[derive(Clone, Copy)]
pub(super) enum SealKind {
    State,
    Token,
    Page,
}

/// What is sealed. It is signed, not encrypted: the client can read it.
#[derive(Serialize, Deserialize)]
pub(super) struct Sealed {
    /// Makes it usable once.
    pub(super) nonce: Uuid,
    /// When the user was asked, in milliseconds since 1970.
    asked: u64,
    tool: String,
    project: u64,
    /// The beginning of a digest of each argument: only to name the one that differs.
    arguments: BTreeMap<String, u32>,
    /// Digest of the tool, the project and all arguments.
    call: [Block; 4],
    /// Digest of what the preview was made of.
    facts: [Block; 4],
}

/// Eight bytes of a digest.
type Block = u64;

/// The reason for rejecting a token or a state.
pub(super) enum TokenError {
    /// Forged, or of another caller. One error for all, so that it reveals nothing to a forger.
    Invalid,
    /// Older than a confirmation may be.
    Expired,
    /// Used or declined.
    Used,
    /// Given for this other tool.
    OtherTool(String),
    /// Given for another project.
    OtherProject,
    /// Given with other values of these arguments.
    OtherArguments(Vec<String>),
    /// The persons are no longer what they were when the user was asked.
    Changed,
}

/// The text where the persons are no longer those that the user was asked about.
pub const CHANGED: &str = "The persons have changed since the user was asked. Nothing was sent. Call again to ask about the current ones.";

impl TokenError {
    /// Why a confirmation does not match a call of `tool`.
    pub(super) fn text(&self, tool: &str) -> String {
        let why = match self {
            Self::Changed => return CHANGED.to_owned(),
            Self::Invalid => {
                "this server did not issue it to this caller, or it was altered".to_owned()
            }
            Self::Expired => "it has expired".to_owned(),
            Self::Used => "it was already used or declined, or its record was lost".to_owned(),
            Self::OtherTool(other) => format!("it was given for {other}, not for {tool}"),
            Self::OtherProject => "it was given for another project".to_owned(),
            Self::OtherArguments(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!(
                    "it was given for other arguments (different: {}); repeat the call with exactly those",
                    names.join(", ")
                )
            }
        };
        format!(
            "Invalid confirmation: {why}. Nothing was sent. Call again without it to request a new confirmation."
        )
    }
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
        nonce: Uuid,
    ) -> Result<String, RequestStateError> {
        let sealed = Sealed::new(request, nonce);
        let data = associated_data(request, kind);
        let options = SealOptions::new().associated_data(&data).ttl(self.ttl);
        self.codec.seal_json_with(&sealed, &options)
    }

    /// Verifies a seal. That it fits the call is checked by [`Sealed::check`].
    pub(super) fn open(
        &self,
        request: &ConfirmationRequest<'_>,
        kind: SealKind,
        sealed: &str,
    ) -> Result<Sealed, TokenError> {
        self.codec
            .open_json_with(sealed, &associated_data(request, kind))
            .map_err(|error| match error {
                RequestStateError::Expired => TokenError::Expired,
                _ => TokenError::Invalid,
            })
    }
}

impl Sealed {
    fn new(request: &ConfirmationRequest<'_>, nonce: Uuid) -> Self {
        let arguments = request.arguments.iter();
        Self {
            nonce,
            asked: now(),
            tool: request.tool.to_owned(),
            project: request.project,
            arguments: arguments
                .map(|(name, value)| (name.clone(), short_digest(value)))
                .collect(),
            call: call_digest(request),
            facts: blocks(request.digest.as_bytes()),
        }
    }

    /// How long ago the user was asked.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(now().saturating_sub(self.asked))
    }

    /// Whether it is for this call, about the same persons.
    pub(super) fn check(&self, request: &ConfirmationRequest<'_>) -> Result<(), TokenError> {
        let now = Self::new(request, self.nonce);
        if self.tool != now.tool {
            return Err(TokenError::OtherTool(self.tool.clone()));
        }
        if self.project != now.project {
            return Err(TokenError::OtherProject);
        }
        if self.call != now.call {
            let names: BTreeSet<&String> =
                self.arguments.keys().chain(now.arguments.keys()).collect();
            let differing = names
                .into_iter()
                .filter(|name| self.arguments.get(*name) != now.arguments.get(*name));
            return Err(TokenError::OtherArguments(differing.cloned().collect()));
        }
        if self.facts != now.facts {
            return Err(TokenError::Changed);
        }
        Ok(())
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
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

/// What is bound without being sealed: what it is for, and the caller.
fn associated_data(request: &ConfirmationRequest<'_>, kind: SealKind) -> Vec<u8> {
    let kind: &[u8] = match kind {
        SealKind::State => b"state",
        SealKind::Token => b"token",
        SealKind::Page => b"page",
    };
    joined([kind, request.principal.as_bytes()])
}

fn call_digest(request: &ConfirmationRequest<'_>) -> [Block; 4] {
    let project = request.project.to_string();
    let arguments = Value::Object(request.arguments.clone()).to_string();
    let call = joined([
        request.tool.as_bytes(),
        project.as_bytes(),
        arguments.as_bytes(),
    ]);
    blocks(&Sha256::digest(call))
}

/// Each part with its length, so that no two lists of parts share an encoding.
fn joined<const N: usize>(parts: [&[u8]; N]) -> Vec<u8> {
    let mut data = Vec::new();
    for part in parts {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part);
    }
    data
}

fn short_digest(value: &Value) -> u32 {
    let [first, ..] = blocks(&Sha256::digest(value.to_string()));
    (first >> 32) as u32
}

fn blocks(digest: &[u8]) -> [Block; 4] {
    let mut blocks = [0; 4];
    for (block, bytes) in blocks.iter_mut().zip(digest.chunks(8)) {
        *block = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
    }
    blocks
}
