//! The decision: whether a call is confirmed, and if not, how to get it confirmed.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    ElicitRequest, ElicitResult, InputRequest, InputRequests, InputRequiredResult, InputResponses,
};
use rmcp::service::RequestContext;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::elicitation::{self, NotConfirmed, QUESTION};
use super::open_questions::OpenQuestions;
use super::seal::{SealKind, Sealed, Sealer, TokenError};
use crate::approval::{Approvals, PendingCall};
use crate::coordination::{Store, Unavailable};
use crate::policy::Confirm;
use crate::tools::{FactsDigest, Question};

/// How long a confirmation is valid, and how long a user may take.
const CONFIRMATION_TTL: Duration = Duration::from_secs(300);

/// Nobody reads a question in less time: the client declined it on its own.
const MIN_READING_TIME: Duration = Duration::from_secs(1);

/// Requests confirmations and checks them.
pub struct Confirmer {
    mode: Confirm,
    /// Serves a page to users whose clients support no elicitation.
    pub(super) approvals: Option<Approvals>,
    pub(super) sealer: Sealer,
    min_reading_time: Duration,
    /// Remembers which confirmations can be used.
    pub(super) store: Store,
    open: OpenQuestions,
}

/// What is to be confirmed.
pub struct ConfirmationRequest<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The arguments that decide what the call does.
    pub arguments: &'a Map<String, Value>,
    /// The confirmation token among the arguments of the call.
    pub token: Option<&'a str>,
    /// The project that the call is about.
    pub project: u64,
    /// The caller.
    pub principal: &'a str,
    /// What the user has to review.
    pub question: &'a Question,
    /// What the question is made of.
    pub digest: &'a FactsDigest,
    /// How many bytes of text a result may have.
    pub max_bytes: usize,
    /// The state that the client sends back, on 2026-07-28.
    pub state: Option<&'a str>,
    /// The user's replies that the client sends with it.
    pub responses: Option<&'a InputResponses>,
    /// Cancelled when the client can no longer reply.
    pub closed: &'a CancellationToken,
    /// Is told now and then that the call waits for the user, if the client wants to know.
    pub waiting: Option<&'a UnboundedSender<()>>,
}

/// The state of a confirmation.
pub enum Decision {
    /// Confirmed. The grant is redeemed directly before the request is sent.
    Granted(Grant),
    /// The client has to ask the user and repeat the call.
    InputRequired(InputRequiredResult),
    /// The model has to pass the text on to the user and repeat the call with the token.
    TokenRequired {
        /// For the model.
        text: String,
        /// The token.
        token: String,
    },
    /// Not confirmed; the text says why.
    Rejected(String),
}

/// A confirmation that matches its call, and is not used yet.
#[derive(Clone)]
pub struct Grant {
    /// How the call was confirmed.
    pub method: ConfirmationMethod,
    /// Makes it usable once, where the client could send it again.
    pub(super) nonce: Option<Uuid>,
    /// Where the user answered on a page: it shows the outcome of this call.
    pub(super) pending: Option<Arc<PendingCall>>,
}

/// How a call was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationMethod {
    /// By an elicitation during this call.
    Elicited,
    /// By an elicitation between two calls.
    InputRequired,
    /// By the button of the approval page.
    ApprovalPage,
    /// By the token that the model was given to show to the user.
    Token,
    /// Confirmation is disabled.
    Off,
}

impl Grant {
    fn new(method: ConfirmationMethod, nonce: Option<Uuid>) -> Self {
        Self {
            method,
            nonce,
            pending: None,
        }
    }
}

impl ConfirmationMethod {
    /// The name in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elicited => "elicitation",
            Self::InputRequired => "input required",
            Self::ApprovalPage => "approval page",
            Self::Token => "token",
            Self::Off => "off",
        }
    }

    /// Whether the call waited for the user, so that the preview may have changed.
    #[must_use]
    pub fn waited(self) -> bool {
        matches!(self, Self::Elicited | Self::ApprovalPage)
    }
}

impl Confirmer {
    /// A confirmer with a random key: its tokens are valid in this process only.
    #[must_use]
    pub fn new(mode: Confirm, approvals: Option<Approvals>) -> Self {
        Self::with_ttl(mode, approvals, CONFIRMATION_TTL)
    }

    /// A confirmer with another validity than five minutes.
    #[must_use]
    pub fn with_ttl(mode: Confirm, approvals: Option<Approvals>, ttl: Duration) -> Self {
        Self {
            mode,
            approvals,
            sealer: Sealer::new(ttl),
            min_reading_time: MIN_READING_TIME,
            store: Store::default(),
            open: OpenQuestions::default(),
        }
    }

    /// The same confirmer, to which a user's reply counts as a client's own if it takes less than this.
    #[must_use]
    pub fn with_min_reading_time(self, min_reading_time: Duration) -> Self {
        Self {
            min_reading_time,
            ..self
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

    /// The same confirmer, with the open confirmations in a store that other processes share.
    #[must_use]
    pub fn with_store(self, store: Store) -> Self {
        Self { store, ..self }
    }

    /// Whether anything is confirmed at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.mode != Confirm::Off
    }

    /// Requests a confirmation, or checks the one that the call brings.
    pub async fn decide(
        &self,
        request: &ConfirmationRequest<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        let modern = context
            .protocol_version()
            .is_some_and(|version| !version.has_initialize());
        let elicits = self.mode != Confirm::Token && elicitation::is_supported(context);
        match (self.mode, modern, elicits, request.state) {
            (Confirm::Off, ..) => Decision::Granted(Grant::new(ConfirmationMethod::Off, None)),
            (_, true, true, Some(state)) => self.check_reply(request, state).await,
            // No elicitation was sent to this client, so no state can be ours.
            (_, true, false, Some(_)) => invalid(&TokenError::Invalid, request),
            (_, true, true, None) => self.input_required(request).await,
            (_, false, true, _) => self.elicit(request, context).await,
            (Confirm::Token, _, false, _) => self.confirm_by_token(request).await,
            (mode, _, false, _) => match &self.approvals {
                Some(approvals) if mode == Confirm::Auto => {
                    self.confirm_by_page(approvals, request, context).await
                }
                _ => Decision::Rejected(CANNOT_ASK.to_owned()),
            },
        }
    }

    /// Uses a grant, directly before the request is sent: an error says why it cannot be used. `ended` are cancelled when
    /// nobody waits for the call any more.
    ///
    /// # Errors
    /// When it was used before, or when that cannot be known.
    pub async fn redeem(&self, grant: &Grant, ended: &[CancellationToken]) -> Result<(), String> {
        let Some(nonce) = grant.nonce else {
            return Ok(());
        };
        if grant.method == ConfirmationMethod::ApprovalPage {
            self.use_page(nonce, ended)?;
        }
        match self.store.take_confirmation(nonce, self.sealer.ttl).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TokenError::Used.text("")),
            Err(Unavailable) => Err(STORE_UNAVAILABLE.to_owned()),
        }
    }

    /// How long a question is open, in words.
    pub(super) fn open_for(&self) -> String {
        match self.sealer.ttl {
            CONFIRMATION_TTL => "five minutes".to_owned(),
            other => format!("{} seconds", other.as_secs()),
        }
    }

    /// 2026-07-28, first call: the question is the result.
    async fn input_required(&self, request: &ConfirmationRequest<'_>) -> Decision {
        let state = match self.issue(request, SealKind::State).await {
            Ok((_, state)) => state,
            Err(rejected) => return rejected,
        };
        let form = match elicitation::form(request.question, &self.open_for(), QUESTION) {
            Ok(form) => form,
            Err(reason) => return not_confirmed(&reason),
        };
        let question = InputRequest::Elicitation(ElicitRequest::new(form));
        let questions = InputRequests::from([(QUESTION.to_owned(), question)]);
        Decision::InputRequired(InputRequiredResult::new(Some(questions), Some(state)))
    }

    /// 2026-07-28, the repeated call with the user's reply. The state is verified before the reply is read.
    async fn check_reply(&self, request: &ConfirmationRequest<'_>, state: &str) -> Decision {
        let sealed = match self.sealer.open(request, SealKind::State, state) {
            Ok(sealed) => sealed,
            Err(reason) => return invalid(&reason, request),
        };
        let reply = match request.responses.and_then(|all| all.get(QUESTION)) {
            Some(reply) => serde_json::from_value::<ElicitResult>(reply.clone()),
            None => {
                return match sealed.check(request) {
                    Ok(()) => self.input_required(request).await,
                    Err(reason) => invalid(&reason, request),
                };
            }
        };
        let Ok(reply) = reply else {
            return reject("the client's reply to the question is invalid");
        };
        match elicitation::check(&reply, QUESTION, sealed.age(), self.min_reading_time) {
            Ok(()) => Self::grant(request, &sealed, ConfirmationMethod::InputRequired),
            Err(reason) => {
                // Declining is final: the same state cannot confirm later, whatever becomes of the shared store.
                let ttl = self.sealer.ttl;
                let _ = self.store.take_confirmation(sealed.nonce, ttl).await;
                not_confirmed(&reason)
            }
        }
    }

    /// A grant for a confirmation that matches the call. Another stays usable for its own call.
    pub(super) fn grant(
        request: &ConfirmationRequest<'_>,
        sealed: &Sealed,
        method: ConfirmationMethod,
    ) -> Decision {
        match sealed.check(request) {
            Ok(()) => Decision::Granted(Grant::new(method, Some(sealed.nonce))),
            Err(reason) => invalid(&reason, request),
        }
    }

    /// The model confirms by a second call: the operator wants it so.
    async fn confirm_by_token(&self, request: &ConfirmationRequest<'_>) -> Decision {
        if let Some(token) = request.token {
            return match self.sealer.open(request, SealKind::Token, token) {
                Ok(sealed) => Self::grant(request, &sealed, ConfirmationMethod::Token),
                Err(reason) => invalid(&reason, request),
            };
        }
        let token = match self.issue(request, SealKind::Token).await {
            Ok((_, token)) => token,
            Err(rejected) => return rejected,
        };
        let text = format!(
            "Nothing was sent yet. Show the user all of the following and wait for their decision. If no person can be shown this, stop and hand it on.\n\n{}\n\
             Only if the user agrees, call {} again with the same arguments and confirmation \"{token}\" (usable once).\n",
            request.question.text(&self.open_for()),
            request.tool,
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

    /// Issues a confirmation that another call can bring, once: its nonce, and the seal around it.
    pub(super) async fn issue(
        &self,
        request: &ConfirmationRequest<'_>,
        kind: SealKind,
    ) -> Result<(Uuid, String), Decision> {
        let nonce = Uuid::new_v4();
        let sealed = self
            .sealer
            .seal(request, kind, nonce)
            .map_err(|_| reject("the confirmation could not be sealed"))?;
        match self.store.open_confirmation(nonce, self.sealer.ttl).await {
            Ok(()) => Ok((nonce, sealed)),
            Err(Unavailable) => Err(Decision::Rejected(STORE_UNAVAILABLE.to_owned())),
        }
    }

    /// Elicits while the call waits. The reply comes back to this process, on the session or the connection of the call.
    async fn elicit(
        &self,
        request: &ConfirmationRequest<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        // Held while the question is open.
        let _open = match self.open.open(request.principal) {
            Ok(open) => open,
            Err(reason) => return reject(&reason),
        };
        let nonce = Uuid::new_v4();
        if let Err(Unavailable) = self.store.open_confirmation(nonce, self.sealer.ttl).await {
            return Decision::Rejected(STORE_UNAVAILABLE.to_owned());
        }
        let reply = async {
            let form = elicitation::form(request.question, &self.open_for(), QUESTION)?;
            let (reply, took) =
                elicitation::elicit(request, form, self.sealer.ttl, context).await?;
            elicitation::check(&reply, QUESTION, took, self.min_reading_time)
        };
        match reply.await {
            Ok(()) => Decision::Granted(Grant::new(ConfirmationMethod::Elicited, Some(nonce))),
            Err(reason) => {
                let _ = self.store.take_confirmation(nonce, self.sealer.ttl).await;
                not_confirmed(&reason)
            }
        }
    }
}

const CANNOT_ASK: &str = "Rejected: this call requires the user's confirmation, and the client cannot request it (it does not support elicitation). Nothing was sent. Use a client that supports elicitation; dry_run shows what the call would do. For unattended work the operator can set --confirm token.";

const STORE_UNAVAILABLE: &str = "Confirmation state is unavailable (shared store unreachable). Nothing was sent. Tools that read still work; try again later.";

pub(super) fn invalid(reason: &TokenError, request: &ConfirmationRequest<'_>) -> Decision {
    Decision::Rejected(reason.text(request.tool))
}

fn not_confirmed(reason: &NotConfirmed) -> Decision {
    match reason {
        NotConfirmed::Failed(reason) | NotConfirmed::ByUser(reason) => reject(reason),
        NotConfirmed::ByClient => reject(
            "the client declined without showing the question to anyone (it replied faster than a person can read). Clients do so where no person is present. Call again where a person can answer; for unattended work the operator can set --confirm token or --confirm off",
        ),
    }
}

pub(super) fn reject(reason: &str) -> Decision {
    Decision::Rejected(format!("Nothing was sent: {reason}."))
}
