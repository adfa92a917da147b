//! The decision: whether a call is confirmed, and if not, how to get it confirmed.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ElicitRequest, ElicitResult, InputRequest, InputRequests, InputRequiredResult, InputResponses,
};
use rmcp::service::RequestContext;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::elicitation::{self, QUESTION};
use super::seal::{SealKind, Sealed, Sealer, TokenError};
use crate::coordination::{Store, Unavailable};
use crate::policy::Confirm;
use crate::tools::Preview;

/// How long a confirmation is valid, and how long a user may take.
const CONFIRMATION_TTL: Duration = Duration::from_secs(300);

/// Requests confirmations and checks them.
pub struct Confirmer {
    mode: Confirm,
    /// Whether a token that the model holds is accepted where the client supports no elicitation.
    allow_token_confirmation: bool,
    sealer: Sealer,
    /// Remembers which confirmations were used.
    store: Store,
}

/// What is to be confirmed.
pub struct ConfirmationRequest<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The tool's arguments.
    pub arguments: &'a Map<String, Value>,
    /// The confirmation token among the arguments of the call.
    pub token: Option<&'a str>,
    /// The project that the call is about.
    pub project: u64,
    /// The caller.
    pub principal: &'a str,
    /// What the user has to review.
    pub preview: &'a Preview<Value>,
    /// How many bytes of text a result may have.
    pub max_bytes: usize,
    /// The state that the client sends back, on 2026-07-28.
    pub state: Option<&'a str>,
    /// The user's replies that the client sends with it.
    pub responses: Option<&'a InputResponses>,
    /// The session over HTTP, if there is one.
    pub session: Option<&'a str>,
    /// Cancelled when the client can no longer reply.
    pub closed: &'a CancellationToken,
}

/// The state of a confirmation.
pub enum Decision {
    /// Confirmed, and how.
    Granted(ConfirmationMethod),
    /// The client has to ask the user and repeat the call.
    InputRequired(InputRequiredResult),
    /// The model has to show the text to the user and repeat the call with the token.
    TokenRequired {
        /// For the model.
        text: String,
        /// The token.
        token: String,
    },
    /// Not confirmed; the text says why.
    Rejected(String),
}

/// How a call was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationMethod {
    /// By an elicitation during this call. It took a while, so the preview may have changed.
    Elicited,
    /// By an elicitation between two calls.
    InputRequired,
    /// By the token that the model was given to show to the user.
    Token,
    /// Confirmation is disabled.
    Off,
}

impl ConfirmationMethod {
    /// The name in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elicited => "elicitation",
            Self::InputRequired => "input required",
            Self::Token => "token",
            Self::Off => "off",
        }
    }
}

impl Confirmer {
    /// A confirmer with a random key: its tokens are valid in this process only.
    #[must_use]
    pub fn new(mode: Confirm, allow_token_confirmation: bool) -> Self {
        Self::with_ttl(mode, allow_token_confirmation, CONFIRMATION_TTL)
    }

    /// A confirmer with another validity than five minutes.
    #[must_use]
    pub fn with_ttl(mode: Confirm, allow_token_confirmation: bool, ttl: Duration) -> Self {
        Self {
            mode,
            allow_token_confirmation,
            sealer: Sealer::new(ttl),
            store: Store::default(),
        }
    }

    /// The same confirmer with a key that other processes have as well: each accepts the tokens of all.
    #[must_use]
    pub fn with_key(self, key: &SecretString) -> Self {
        Self {
            sealer: self.sealer.with_key(key.expose_secret().as_bytes()),
            ..self
        }
    }

    /// The same confirmer, with the used confirmations in a store that other processes share.
    #[must_use]
    pub fn with_store(self, store: Store) -> Self {
        Self { store, ..self }
    }

    /// Requests a confirmation, or checks the one that the call brings.
    pub async fn decide(
        &self,
        request: &ConfirmationRequest<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        if self.mode == Confirm::Off {
            return Decision::Granted(ConfirmationMethod::Off);
        }
        let modern = context
            .protocol_version()
            .is_some_and(|version| !version.has_initialize());
        let elicits = elicitation::is_supported(context);
        match (modern, elicits, request.state) {
            (true, true, Some(state)) => self.check_reply(request, state).await,
            // No elicitation was sent to this client, so no state can be ours.
            (true, false, Some(_)) => invalid(&TokenError::Invalid),
            (true, true, None) => self.input_required(request),
            (false, true, _) => self.elicit_exclusive(request, context).await,
            (_, false, _) => self.confirm_by_token(request).await,
        }
    }

    /// 2026-07-28, first call: the question is the result.
    fn input_required(&self, request: &ConfirmationRequest<'_>) -> Decision {
        let Ok(state) = self.sealer.seal(request, SealKind::State) else {
            return reject("the confirmation could not be sealed");
        };
        let form = match elicitation::form(&request.preview.question, QUESTION) {
            Ok(form) => form,
            Err(reason) => return reject(reason),
        };
        let question = InputRequest::Elicitation(ElicitRequest::new(form));
        let questions = InputRequests::from([(QUESTION.to_owned(), question)]);
        Decision::InputRequired(InputRequiredResult::new(Some(questions), Some(state)))
    }

    /// 2026-07-28, the repeated call with the user's reply. The state is verified before the reply is read.
    async fn check_reply(&self, request: &ConfirmationRequest<'_>, state: &str) -> Decision {
        let sealed = match self.sealer.open(request, SealKind::State, state) {
            Ok(sealed) => sealed,
            Err(reason) => return invalid(&reason),
        };
        let Some(reply) = request.responses.and_then(|all| all.get(QUESTION)) else {
            return self.input_required(request);
        };
        let Ok(reply) = serde_json::from_value::<ElicitResult>(reply.clone()) else {
            return reject("the client's reply to the question is invalid");
        };
        match elicitation::check(&reply, QUESTION) {
            Ok(()) => {
                self.consume(&sealed, ConfirmationMethod::InputRequired)
                    .await
            }
            Err(reason) => {
                // Declining is final: the same state cannot confirm later.
                let _ = self
                    .store
                    .consume_nonce(sealed.nonce, self.sealer.ttl)
                    .await;
                reject(reason)
            }
        }
    }

    /// The client supports no elicitation.
    async fn confirm_by_token(&self, request: &ConfirmationRequest<'_>) -> Decision {
        if self.mode == Confirm::Strict || !self.allow_token_confirmation {
            return Decision::Rejected(
                "Rejected: this call requires the user's confirmation, and the client cannot request it (it does not support elicitation). Nothing was sent. Use a client that supports elicitation; dry_run shows what the call would do."
                    .to_owned(),
            );
        }
        if let Some(token) = request.token {
            return match self.sealer.open(request, SealKind::Token, token) {
                Ok(sealed) => self.consume(&sealed, ConfirmationMethod::Token).await,
                Err(reason) => invalid(&reason),
            };
        }
        let Ok(token) = self.sealer.seal(request, SealKind::Token) else {
            return reject("the confirmation could not be sealed");
        };
        let text = format!(
            "Nothing was sent yet. Show the user all of the following and wait for their decision:\n\n{}\n\
             Only if the user agrees, call {} again with the same arguments and confirmation \"{token}\" (valid for {} seconds, usable once).\n",
            request.preview.question,
            request.tool,
            self.sealer.ttl.as_secs()
        );
        if text.len() > request.max_bytes {
            // Never show a truncated preview.
            return Decision::Rejected(
                "The preview exceeds the maximum size of a tool result, and a truncated preview cannot be confirmed. Nothing was sent. Call again with fewer persons."
                    .to_owned(),
            );
        }
        Decision::TokenRequired { text, token }
    }

    async fn consume(&self, sealed: &Sealed, method: ConfirmationMethod) -> Decision {
        let first = self.store.consume_nonce(sealed.nonce, self.sealer.ttl);
        match first.await {
            Ok(true) => Decision::Granted(method),
            Ok(false) => invalid(&TokenError::Invalid),
            Err(Unavailable) => Decision::Rejected(STORE_UNAVAILABLE.to_owned()),
        }
    }

    /// Elicits while the call waits, with no other elicitation open in the same session: if several processes serve it, a
    /// reply carries only a request id, which two processes may both have used. For the same reason the checkbox has a
    /// unique name there, so that a late reply cannot confirm another elicitation.
    async fn elicit_exclusive(
        &self,
        request: &ConfirmationRequest<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        let ttl = self.sealer.ttl;
        let Some(session) = request.session else {
            return elicited(elicitation::elicit(request, QUESTION, ttl, context).await);
        };
        let lock = match self.store.lock_elicitation(session, ttl).await {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                return reject(
                    "another confirmation is pending in this session; complete that first",
                );
            }
            Err(Unavailable) => return Decision::Rejected(STORE_UNAVAILABLE.to_owned()),
        };
        let name = lock
            .tag()
            .map_or_else(|| QUESTION.to_owned(), |tag| format!("{QUESTION}_{tag}"));
        let decision = tokio::select! {
            reply = elicitation::elicit(request, &name, ttl, context) => elicited(reply),
            () = lock.revoked() => Decision::Rejected(STORE_UNAVAILABLE.to_owned()),
        };
        lock.release().await;
        decision
    }
}

fn elicited(reply: Result<(), &'static str>) -> Decision {
    match reply {
        Ok(()) => Decision::Granted(ConfirmationMethod::Elicited),
        Err(reason) => reject(reason),
    }
}

const STORE_UNAVAILABLE: &str = "Confirmation state is unavailable (shared store unreachable). Nothing was sent. Tools that read still work; try again later.";

/// The text where the preview is no longer the one that was shown.
pub const CHANGED: &str = "The preview has changed since the user saw it. Nothing was sent. Call again to show the user the current one.";

fn invalid(reason: &TokenError) -> Decision {
    let text = match reason {
        TokenError::Invalid => {
            "Invalid confirmation: it is for other arguments, expired, or already used. Nothing was sent. Call again without it to request a new confirmation."
        }
        TokenError::Changed => CHANGED,
    };
    Decision::Rejected(text.to_owned())
}

fn reject(reason: &str) -> Decision {
    Decision::Rejected(format!("Nothing was sent: {reason}."))
}
