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

use crate::coordination::{Shared, Unavailable};
use crate::policy::Confirm;

/// The argument that carries a token back, and the field that hands it out.
const TOKEN: &str = "confirmation";
/// The name of the question, and of the box to tick in it.
const QUESTION: &str = "confirm";
/// How long a yes holds, and how long a human may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Asks, and checks the answers.
pub struct Gate {
    mode: Confirm,
    /// Whether a token that the model holds may stand in for a human where the client cannot ask one.
    two_steps: bool,
    patience: Duration,
    codec: RequestStateCodec,
    /// Where the yeses that were used are remembered.
    shared: Shared,
}

/// What a yes is asked for.
pub struct Proposal<'a> {
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
pub enum Permit {
    /// Yes, and by whom.
    Granted(Grant),
    /// Not yet or no: this is the answer to the call.
    Answer(CallToolResponse),
}

/// How a yes was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// A human, in this call, after a while: what was shown may have changed.
    Elicited,
    /// A human, between two calls.
    InputRequired,
    /// The assistant, with the token that it was given to show to the user.
    Token,
    /// Nobody was asked.
    Off,
}

impl Grant {
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
enum Kind {
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
enum Unusable {
    /// Not ours, for another call, or too old: one answer for all, which tells a forger nothing.
    Invalid,
    /// What would be deleted is no longer what was shown.
    Changed,
}

impl Gate {
    /// A gate with a key of its own: what it sealed is worth nothing to another process.
    #[must_use]
    pub fn new(mode: Confirm, two_steps: bool) -> Self {
        Self::with_patience(mode, two_steps, PATIENCE)
    }

    /// A gate whose yeses hold for another time than five minutes.
    #[must_use]
    pub fn with_patience(mode: Confirm, two_steps: bool, patience: Duration) -> Self {
        Self {
            mode,
            two_steps,
            patience,
            codec: codec(
                &[Uuid::new_v4(), Uuid::new_v4()]
                    .map(Uuid::into_bytes)
                    .concat(),
            ),
            shared: Shared::default(),
        }
    }

    /// The same gate with a key that other processes have as well: what one sealed, each can open.
    #[must_use]
    pub fn with_key(self, key: &SecretString) -> Self {
        Self {
            codec: codec(key.expose_secret().as_bytes()),
            ..self
        }
    }

    /// The same gate, with other processes knowing what was used.
    #[must_use]
    pub fn with_shared(self, shared: Shared) -> Self {
        Self { shared, ..self }
    }

    /// Asks for a yes, or checks the one that the call brings.
    pub async fn permit(
        &self,
        proposal: &Proposal<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Permit {
        if self.mode == Confirm::Off {
            return Permit::Granted(Grant::Off);
        }
        let modern = context
            .protocol_version()
            .is_some_and(|version| !version.has_initialize());
        // No mode named means the form, as the first version of elicitation had it.
        let asks = context
            .client_capabilities()
            .and_then(|capabilities| capabilities.elicitation)
            .is_some_and(|modes| modes.form.is_some() || modes.url.is_none());
        match (modern, asks, proposal.state) {
            (true, true, Some(state)) => self.answered(proposal, state).await,
            // Whoever was asked nothing has nothing to send back.
            (true, false, Some(_)) => unusable(&Unusable::Invalid),
            (true, true, None) => self.input_required(proposal),
            (false, true, _) => self.elicited_alone(proposal, context).await,
            (_, false, _) => self.second_call(proposal).await,
        }
    }

    /// 2026-07-28, first call: the question goes back as the result.
    fn input_required(&self, proposal: &Proposal<'_>) -> Permit {
        let Ok(state) = self.seal(proposal, Kind::State) else {
            return no("the confirmation could not be sealed");
        };
        let Some(form) = form(proposal.question, QUESTION) else {
            return no("the question could not be asked");
        };
        let request = InputRequest::Elicitation(ElicitRequest::new(form));
        let requests = InputRequests::from([(QUESTION.to_owned(), request)]);
        Permit::Answer(InputRequiredResult::new(Some(requests), Some(state)).into())
    }

    /// 2026-07-28, the call again with the human's answer. The state is checked before anything else is believed.
    async fn answered(&self, proposal: &Proposal<'_>, state: &str) -> Permit {
        let sealed = match self.open(proposal, Kind::State, state) {
            Ok(sealed) => sealed,
            Err(reason) => return unusable(&reason),
        };
        let Some(response) = proposal.responses.and_then(|all| all.get(QUESTION)) else {
            return self.input_required(proposal);
        };
        match serde_json::from_value::<ElicitResult>(response.clone()) {
            Ok(result) => match refusal(&result, QUESTION) {
                None => self.use_once(&sealed, Grant::InputRequired).await,
                Some(reason) => {
                    // A no is final: the same state cannot bring a yes later.
                    let _ = self.shared.use_once(sealed.nonce, self.patience).await;
                    no(reason)
                }
            },
            Err(_) => no("the client's answer to the question could not be read"),
        }
    }

    /// The client cannot ask anybody.
    async fn second_call(&self, proposal: &Proposal<'_>) -> Permit {
        if self.mode == Confirm::Strict || !self.two_steps {
            return refused(
                "Refused: this deletes, a human has to agree first, and this client cannot ask one (it does not declare elicitation). \
                 Nothing was sent. Use a client that can ask; dry_run shows what would happen.",
            );
        }
        if let Some(token) = proposal.arguments.get(TOKEN).and_then(Value::as_str) {
            return match self.open(proposal, Kind::Token, token) {
                Ok(sealed) => self.use_once(&sealed, Grant::Token).await,
                Err(reason) => unusable(&reason),
            };
        }
        let Ok(token) = self.seal(proposal, Kind::Token) else {
            return no("the confirmation could not be sealed");
        };
        let mut text = format!(
            "Nothing was sent yet. Show the user this, whole, and wait for an answer:\n\n{}\n",
            proposal.question
        );
        let _ = writeln!(
            text,
            "Only if the user agrees: call {} again with the same arguments and {TOKEN} \"{token}\" (valid {} seconds, once).",
            proposal.tool,
            self.patience.as_secs()
        );
        if text.len() > proposal.most_bytes {
            // Half a preview is none.
            return refused(
                "This would be too much to show in one answer, and nothing is deleted that was not shown whole. Nothing was sent. Call again \
                 for fewer at a time.",
            );
        }
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        if let (true, Value::Object(mut fields)) = (proposal.structured, proposal.facts.clone()) {
            fields.insert(TOKEN.to_owned(), token.into());
            result.structured_content = Some(fields.into());
        }
        Permit::Answer(result.into())
    }

    fn seal(
        &self,
        proposal: &Proposal<'_>,
        kind: Kind,
    ) -> Result<String, rmcp::model::RequestStateError> {
        let sealed = Sealed {
            nonce: Uuid::new_v4(),
            shown: shown(proposal),
        };
        let bound = bound(proposal, kind);
        let options = SealOptions::new()
            .associated_data(&bound)
            .ttl(self.patience);
        self.codec.seal_json_with(&sealed, &options)
    }

    fn open(&self, proposal: &Proposal<'_>, kind: Kind, sealed: &str) -> Result<Sealed, Unusable> {
        let sealed: Sealed = self
            .codec
            .open_json_with(sealed, &bound(proposal, kind))
            .map_err(|_| Unusable::Invalid)?;
        if sealed.shown == shown(proposal) {
            Ok(sealed)
        } else {
            Err(Unusable::Changed)
        }
    }

    async fn use_once(&self, sealed: &Sealed, grant: Grant) -> Permit {
        match self.shared.use_once(sealed.nonce, self.patience).await {
            Ok(true) => Permit::Granted(grant),
            Ok(false) => unusable(&Unusable::Invalid),
            Err(Unavailable) => refused(STORE_AWAY),
        }
    }

    /// Asks while the call waits, with no other question open in the same session: where several processes serve it, an
    /// answer says only the number of its question, and two processes may have used the same. For the same reason the
    /// box has a name of its own there: a late tick for a question that is no longer open counts for no other.
    async fn elicited_alone(
        &self,
        proposal: &Proposal<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Permit {
        let parts = context.extensions.get::<http::request::Parts>();
        let session = parts.and_then(|parts| parts.headers.get("mcp-session-id")?.to_str().ok());
        let Some(session) = session else {
            return elicited(self.patience, proposal, QUESTION, context).await;
        };
        let question = match self.shared.claim_question(session, self.patience).await {
            Ok(Some(question)) => question,
            Ok(None) => {
                return no(
                    "another question to the user is open in this session; answer that first",
                );
            }
            Err(Unavailable) => return refused(STORE_AWAY),
        };
        let name = question
            .mark()
            .map_or_else(|| QUESTION.to_owned(), |mark| format!("{QUESTION}_{mark}"));
        let permit = tokio::select! {
            permit = elicited(self.patience, proposal, &name, context) => permit,
            () = question.lost() => refused(STORE_AWAY),
        };
        question.close().await;
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
    patience: Duration,
    proposal: &Proposal<'_>,
    name: &str,
    context: &RequestContext<RoleServer>,
) -> Permit {
    let Some(form) = form(proposal.question, name) else {
        return no("the question could not be asked");
    };
    let asked = tokio::select! {
        asked = context.peer.create_elicitation_with_timeout(form, Some(patience)) => asked,
        () = proposal.closed.cancelled() => return no("the client is gone"),
    };
    match asked {
        Ok(result) => match refusal(&result, name) {
            None => Permit::Granted(Grant::Elicited),
            Some(reason) => no(reason),
        },
        Err(rmcp::ServiceError::Timeout { .. }) => no("the user did not answer in time"),
        Err(_) => no("the client could not ask the user"),
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
fn bound(proposal: &Proposal<'_>, kind: Kind) -> Vec<u8> {
    let kind: &[u8] = match kind {
        Kind::State => b"state",
        Kind::Token => b"token",
    };
    let mut arguments = proposal.arguments.clone();
    arguments.remove(TOKEN);
    let mut bound = Vec::new();
    for part in [
        kind,
        proposal.principal.as_bytes(),
        proposal.tool.as_bytes(),
        proposal.project.to_string().as_bytes(),
        Value::Object(arguments).to_string().as_bytes(),
    ] {
        bound.extend((part.len() as u64).to_be_bytes());
        bound.extend(part);
    }
    bound
}

/// A fingerprint of what is shown.
fn shown(proposal: &Proposal<'_>) -> String {
    fingerprint(proposal.question)
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

fn unusable(reason: &Unusable) -> Permit {
    refused(match reason {
        Unusable::Invalid => {
            "The confirmation does not fit: it was given for other arguments, is older than five minutes, or has been used. Nothing was \
             sent. Call again without it to ask anew."
        }
        Unusable::Changed => CHANGED,
    })
}

fn no(reason: &str) -> Permit {
    refused(&format!("Nothing was sent: {reason}."))
}

fn refused(text: &str) -> Permit {
    Permit::Answer(CallToolResult::error(vec![ContentBlock::text(text)]).into())
}
