//! The yes that a deletion needs, on every version of the protocol. The one place where a human is asked.
//!
//! | the client | who says yes |
//! |---|---|
//! | declares elicitation, 2026-07-28 | the human, by an input-required result; the call comes again with sealed state |
//! | declares elicitation, before that | the human, while the call waits |
//! | does not | over stdio, a second call with a sealed token; elsewhere nobody: refused |
//!
//! A yes is bound to the tool, the arguments, the project, the caller and what was shown; it holds for five minutes and
//! serves once. State and tokens come back from the client and are worth nothing until the seal is checked. All that
//! elicitation can prove is that the client says that the human agreed.
//!
//! Knows the protocol; knows nothing of any tool.

use std::fmt::Write as _;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, ElicitRequest, ElicitRequestParams,
    ElicitResult, ElicitationAction, ElicitationSchema, InputRequest, InputRequests,
    InputRequiredResult, InputResponses, RequestStateCodec, SealOptions,
};
use rmcp::service::RequestContext;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::coordination::{Store, Unavailable};
use crate::policy::Confirm;

/// The argument that carries a token back, and the field that hands it out.
const TOKEN: &str = "confirmation";
/// The name of the question, and of the box to tick in it.
const QUESTION: &str = "confirm";
/// How long a yes holds, and how long a human may take.
const CONFIRMATION_TTL: Duration = Duration::from_secs(300);

/// Asks, and checks the answers.
pub struct Confirmer {
    mode: Confirm,
    /// Whether a token that the model holds may stand in for a human where the client cannot ask one.
    allow_token_confirmation: bool,
    ttl: Duration,
    codec: RequestStateCodec,
    /// Where the yeses that were used are remembered.
    store: Store,
}

/// What a yes is asked for.
pub struct ConfirmationRequest<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// The arguments of the call.
    pub arguments: &'a Map<String, Value>,
    /// The project that the call is about.
    pub project: u64,
    /// Who calls.
    pub principal: &'a str,
    /// What a human has to know.
    pub question: &'a str,
    /// The same as fields.
    pub facts: &'a Value,
    /// Whether answers carry fields.
    pub structured: bool,
    /// How many bytes of text an answer may have.
    pub most_bytes: usize,
    /// The state that the client sends back, on 2026-07-28.
    pub state: Option<&'a str>,
    /// The human's answers that it sends with it.
    pub responses: Option<&'a InputResponses>,
    /// Ended when the other side can no longer answer.
    pub closed: &'a CancellationToken,
}

/// What came of asking.
pub enum Decision {
    /// Yes, and by whom.
    Granted(ConfirmationMethod),
    /// Not yet or no: this is the answer to the call.
    Answer(CallToolResponse),
}

/// How a yes was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationMethod {
    /// A human, in this call, after a while: what was shown may have changed.
    Elicited,
    /// A human, between two calls.
    InputRequired,
    /// The assistant, with the token that it was given to show to the user.
    Token,
    /// Nobody was asked.
    Off,
}

impl ConfirmationMethod {
    /// The word in the audit log.
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

/// What a seal stands for: an answer of the human goes with a state, the assistant holds a token. Neither serves as the
/// other.
#[derive(Clone, Copy)]
enum SealKind {
    State,
    Token,
}

/// What is sealed besides what it is bound to.
#[derive(Serialize, Deserialize)]
struct Sealed {
    /// Makes it serve once.
    nonce: Uuid,
    /// What was shown.
    shown: String,
}

/// Why a yes cannot be used.
enum TokenError {
    /// Not ours, for another call, or too old: one answer for all, which tells a forger nothing.
    Invalid,
    /// What would be deleted is no longer what was shown.
    Changed,
}

impl Confirmer {
    /// A confirmer with a key of its own: what it sealed is worth nothing to another process.
    #[must_use]
    pub fn new(mode: Confirm, allow_token_confirmation: bool) -> Self {
        Self::with_ttl(mode, allow_token_confirmation, CONFIRMATION_TTL)
    }

    /// A confirmer whose yeses hold for another time than five minutes.
    #[must_use]
    pub fn with_ttl(mode: Confirm, allow_token_confirmation: bool, ttl: Duration) -> Self {
        Self {
            mode,
            allow_token_confirmation,
            ttl,
            codec: codec(
                &[Uuid::new_v4(), Uuid::new_v4()]
                    .map(Uuid::into_bytes)
                    .concat(),
            ),
            store: Store::default(),
        }
    }

    /// The same confirmer with a key that other processes have as well: what one sealed, each can open.
    #[must_use]
    pub fn with_key(self, key: &SecretString) -> Self {
        Self {
            codec: codec(key.expose_secret().as_bytes()),
            ..self
        }
    }

    /// The same confirmer, with other processes knowing what was used.
    #[must_use]
    pub fn with_store(self, store: Store) -> Self {
        Self { store, ..self }
    }

    /// Asks for a yes, or checks the one that the call brings.
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
        // No mode named means the form, as the first version of elicitation had it.
        let asks = context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation)
            .is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
        match (modern, asks, request.state) {
            (true, true, Some(state)) => self.answered(request, state).await,
            // Whoever was asked nothing has nothing to send back.
            (true, false, Some(_)) => unusable(&TokenError::Invalid),
            (true, true, None) => self.input_required(request),
            (false, true, _) => self.elicit_exclusive(request, context).await,
            (_, false, _) => self.confirm_by_token(request).await,
        }
    }

    /// 2026-07-28, first call: the question goes back as the result.
    fn input_required(&self, request: &ConfirmationRequest<'_>) -> Decision {
        let Ok(state) = self.seal(request, SealKind::State) else {
            return reject("the confirmation could not be sealed");
        };
        let Some(form) = form(request.question, QUESTION) else {
            return reject("the question could not be asked");
        };
        let request = InputRequest::Elicitation(ElicitRequest::new(form));
        let requests = InputRequests::from([(QUESTION.to_owned(), request)]);
        Decision::Answer(InputRequiredResult::new(Some(requests), Some(state)).into())
    }

    /// 2026-07-28, the call again with the human's answer. The state is checked before anything else is believed.
    async fn answered(&self, request: &ConfirmationRequest<'_>, state: &str) -> Decision {
        let sealed = match self.open(request, SealKind::State, state) {
            Ok(sealed) => sealed,
            Err(reason) => return unusable(&reason),
        };
        let Some(response) = request.responses.and_then(|all| all.get(QUESTION)) else {
            return self.input_required(request);
        };
        match serde_json::from_value::<ElicitResult>(response.clone()) {
            Ok(result) => match refusal(&result, QUESTION) {
                None => {
                    self.consume_nonce(&sealed, ConfirmationMethod::InputRequired)
                        .await
                }
                Some(reason) => {
                    // A no is final: the same state cannot bring a yes later.
                    let _ = self.store.consume_nonce(sealed.nonce, self.ttl).await;
                    reject(reason)
                }
            },
            Err(_) => reject("the client's answer to the question could not be read"),
        }
    }

    /// The client cannot ask anybody.
    async fn confirm_by_token(&self, request: &ConfirmationRequest<'_>) -> Decision {
        if self.mode == Confirm::Strict || !self.allow_token_confirmation {
            return refused(
                "Refused: this deletes, a human has to agree first, and this client cannot ask one (it does not declare elicitation). \
                 Nothing was sent. Use a client that can ask; dry_run shows what would happen.",
            );
        }
        if let Some(token) = request.arguments.get(TOKEN).and_then(Value::as_str) {
            return match self.open(request, SealKind::Token, token) {
                Ok(sealed) => self.consume_nonce(&sealed, ConfirmationMethod::Token).await,
                Err(reason) => unusable(&reason),
            };
        }
        let Ok(token) = self.seal(request, SealKind::Token) else {
            return reject("the confirmation could not be sealed");
        };
        let mut text = format!(
            "Nothing was sent yet. Show the user this, whole, and wait for an answer:\n\n{}\n",
            request.question
        );
        let _ = writeln!(
            text,
            "Only if the user agrees: call {} again with the same arguments and {TOKEN} \"{token}\" (valid {} seconds, once).",
            request.tool,
            self.ttl.as_secs()
        );
        if text.len() > request.most_bytes {
            // Half a preview is none.
            return refused(
                "This would be too much to show in one answer, and nothing is deleted that was not shown whole. Nothing was sent. Call again \
                 for fewer at a time.",
            );
        }
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        if let (true, Value::Object(mut fields)) = (request.structured, request.facts.clone()) {
            fields.insert(TOKEN.to_owned(), token.into());
            result.structured_content = Some(fields.into());
        }
        Decision::Answer(result.into())
    }

    fn seal(
        &self,
        request: &ConfirmationRequest<'_>,
        kind: SealKind,
    ) -> Result<String, rmcp::model::RequestStateError> {
        let sealed = Sealed {
            nonce: Uuid::new_v4(),
            shown: question_digest(request),
        };
        let data = associated_data(request, kind);
        let options = SealOptions::new().associated_data(&data).ttl(self.ttl);
        self.codec.seal_json_with(&sealed, &options)
    }

    fn open(
        &self,
        request: &ConfirmationRequest<'_>,
        kind: SealKind,
        sealed: &str,
    ) -> Result<Sealed, TokenError> {
        let sealed: Sealed = self
            .codec
            .open_json_with(sealed, &associated_data(request, kind))
            .map_err(|_| TokenError::Invalid)?;
        if sealed.shown == question_digest(request) {
            Ok(sealed)
        } else {
            Err(TokenError::Changed)
        }
    }

    async fn consume_nonce(&self, sealed: &Sealed, grant: ConfirmationMethod) -> Decision {
        match self.store.consume_nonce(sealed.nonce, self.ttl).await {
            Ok(true) => Decision::Granted(grant),
            Ok(false) => unusable(&TokenError::Invalid),
            Err(Unavailable) => refused(STORE_AWAY),
        }
    }

    /// Asks while the call waits, with no other question open in the same session: where several processes serve it, an
    /// answer says only the number of its question, and two processes may have used the same. For the same reason the
    /// box has a name of its own there: a late tick for a question that is no longer open counts for no other.
    async fn elicit_exclusive(
        &self,
        request: &ConfirmationRequest<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Decision {
        let parts = context.extensions.get::<http::request::Parts>();
        let session = parts.and_then(|parts| parts.headers.get("mcp-session-id")?.to_str().ok());
        let Some(session) = session else {
            return elicited(self.ttl, request, QUESTION, context).await;
        };
        let question = match self.store.lock_elicitation(session, self.ttl).await {
            Ok(Some(question)) => question,
            Ok(None) => {
                return reject(
                    "another question to the user is open in this session; answer that first",
                );
            }
            Err(Unavailable) => return refused(STORE_AWAY),
        };
        let name = question
            .tag()
            .map_or_else(|| QUESTION.to_owned(), |mark| format!("{QUESTION}_{mark}"));
        let permit = tokio::select! {
            permit = elicited(self.ttl, request, &name, context) => permit,
            () = question.revoked() => refused(STORE_AWAY),
        };
        question.release().await;
        permit
    }
}

/// A codec for a key of any length: what counts is how hard it is to guess.
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

/// Before 2026-07-28: the human answers while the call waits.
async fn elicited(
    ttl: Duration,
    request: &ConfirmationRequest<'_>,
    name: &str,
    context: &RequestContext<RoleServer>,
) -> Decision {
    let Some(form) = form(request.question, name) else {
        return reject("the question could not be asked");
    };
    let asked = tokio::select! {
        asked = context.peer.create_elicitation_with_timeout(form, Some(ttl)) => asked,
        () = request.closed.cancelled() => return reject("the client is gone"),
    };
    match asked {
        Ok(result) => match refusal(&result, name) {
            None => Decision::Granted(ConfirmationMethod::Elicited),
            Some(reason) => reject(reason),
        },
        Err(rmcp::ServiceError::Timeout { .. }) => reject("the user did not answer in time"),
        Err(_) => reject("the client could not ask the user"),
    }
}

/// The question as a form with one box of this name.
fn form(question: &str, name: &str) -> Option<ElicitRequestParams> {
    let schema = ElicitationSchema::builder()
        .required_bool_with(name, |tick| {
            tick.title("Yes")
                .description("Tick to agree. Otherwise nothing is sent.")
        })
        .build()
        .ok()?;
    Some(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.to_owned(),
        requested_schema: schema,
    })
}

/// Why a human's answer is not a yes, if it is not: only an accepted form with the box ticked is.
fn refusal(result: &ElicitResult, name: &str) -> Option<&'static str> {
    match result.action {
        ElicitationAction::Accept => {
            let ticked = result
                .content
                .as_ref()
                .and_then(|content| content.get(name));
            (ticked != Some(&Value::Bool(true))).then_some("the user did not tick the box")
        }
        ElicitationAction::Decline => Some("the user declined"),
        _ => Some("the user dismissed the question"),
    }
}

/// Everything that a yes is bound to, so that no two differ and none runs into the next.
fn associated_data(request: &ConfirmationRequest<'_>, kind: SealKind) -> Vec<u8> {
    let kind: &[u8] = match kind {
        SealKind::State => b"state",
        SealKind::Token => b"token",
    };
    let mut arguments = request.arguments.clone();
    arguments.remove(TOKEN);
    let mut bound = Vec::new();
    for part in [
        kind,
        request.principal.as_bytes(),
        request.tool.as_bytes(),
        request.project.to_string().as_bytes(),
        Value::Object(arguments).to_string().as_bytes(),
    ] {
        bound.extend((part.len() as u64).to_be_bytes());
        bound.extend(part);
    }
    bound
}

/// A fingerprint of what is shown.
fn question_digest(request: &ConfirmationRequest<'_>) -> String {
    fingerprint(request.question)
}

/// A fingerprint of a question, to see whether what it shows has changed.
#[must_use]
pub fn fingerprint(question: &str) -> String {
    let digest = Sha256::digest(question.as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The words where nobody can say whether a yes was used before.
const STORE_AWAY: &str = "Confirmations cannot be checked at the moment (the server's shared store is away), and nothing is deleted without. Nothing \
     was sent. Reading goes on; try again later.";

/// The words where what would be deleted is no longer what was shown.
pub const CHANGED: &str = "What would be deleted has changed since it was shown. Nothing was sent. Call again, so that the user sees it as it \
     is now.";

fn unusable(reason: &TokenError) -> Decision {
    refused(match reason {
        TokenError::Invalid => {
            "The confirmation does not fit: it was given for other arguments, is older than five minutes, or has been used. Nothing was \
             sent. Call again without it to ask anew."
        }
        TokenError::Changed => CHANGED,
    })
}

fn reject(reason: &str) -> Decision {
    refused(&format!("Nothing was sent: {reason}."))
}

fn refused(text: &str) -> Decision {
    Decision::Answer(CallToolResult::error(vec![ContentBlock::text(text)]).into())
}
