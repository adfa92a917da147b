//! Elicitation: the question to the user as a form, and the reply.

use std::time::{Duration, Instant};

use rmcp::RoleServer;
use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema};
use rmcp::service::RequestContext;
use serde_json::Value;

use super::confirmer::ConfirmationRequest;
use crate::tools::Question;

/// The name of the question, and of the checkbox in it.
pub(super) const QUESTION: &str = "confirm";

/// Whether the client can show a form. No mode named means the form, as in the first version of elicitation.
///
/// A client with a handshake says so in it: what one of its requests carries besides does not take that back.
pub(super) fn is_supported(context: &RequestContext<RoleServer>) -> bool {
    let handshake = context.peer.peer_info();
    let handshake = handshake.filter(|info| info.protocol_version.has_initialize());
    handshake
        .map(|info| info.capabilities.clone())
        .or_else(|| context.client_capabilities())
        .and_then(|capabilities| capabilities.elicitation)
        .is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

/// The question as a form with one checkbox of this name, titled with the action. It is unticked: some clients would
/// otherwise select the first answer, and agree with a single key.
pub(super) fn form(
    question: &Question,
    open_for: &str,
    name: &str,
) -> Result<ElicitRequestParams, NotConfirmed> {
    let schema = ElicitationSchema::builder()
        .required_bool_with(name, |checkbox| {
            checkbox
                .title(question.action.clone())
                .description("Tick to confirm. Otherwise nothing is sent.")
                .with_default(false)
        })
        .build()
        .map_err(|_| NotConfirmed::Failed("the question could not be asked"))?;
    Ok(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.text(open_for),
        requested_schema: schema,
    })
}

/// Before 2026-07-28: the user replies while the call waits. With the reply, how long it took.
pub(super) async fn elicit(
    request: &ConfirmationRequest<'_>,
    form: ElicitRequestParams,
    ttl: Duration,
    context: &RequestContext<RoleServer>,
) -> Result<(ElicitResult, Duration), NotConfirmed> {
    let asked = Instant::now();
    let reply = tokio::select! {
        reply = context.peer.create_elicitation_with_timeout(form, Some(ttl)) => reply,
        () = request.closed.cancelled() => return Err(NotConfirmed::Failed("the client disconnected")),
    };
    match reply {
        Ok(reply) => Ok((reply, asked.elapsed())),
        Err(rmcp::ServiceError::Timeout { .. }) => {
            Err(NotConfirmed::Failed("the user did not respond in time"))
        }
        Err(_) => Err(NotConfirmed::Failed(
            "the client could not show the question",
        )),
    }
}

/// Why an elicitation did not confirm.
pub(super) enum NotConfirmed {
    /// The question was not asked, or not answered.
    Failed(&'static str),
    /// What the user did instead.
    ByUser(&'static str),
    /// The client replied faster than anybody reads.
    ByClient,
}

/// Only an accepted form with the box ticked confirms.
///
/// A client that runs without a person declines or cancels on its own, at once.
pub(super) fn check(
    reply: &ElicitResult,
    name: &str,
    took: Duration,
    min_reading_time: Duration,
) -> Result<(), NotConfirmed> {
    let by_user = |what| {
        if took < min_reading_time {
            NotConfirmed::ByClient
        } else {
            NotConfirmed::ByUser(what)
        }
    };
    match reply.action {
        ElicitationAction::Accept => {
            let content = reply.content.as_ref();
            let ticked = content.and_then(|content| content.get(name));
            if ticked == Some(&Value::Bool(true)) {
                Ok(())
            } else {
                Err(NotConfirmed::ByUser("the user did not tick the box"))
            }
        }
        ElicitationAction::Decline => Err(by_user("the user declined")),
        _ => Err(by_user("the user dismissed the question")),
    }
}
