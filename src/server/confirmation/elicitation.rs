//! Elicitation: the question to the user as a form, and the reply.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema};
use rmcp::service::RequestContext;
use serde_json::Value;

use super::confirmer::ConfirmationRequest;

/// The name of the question, and of the checkbox in it.
pub(super) const QUESTION: &str = "confirm";

/// Whether the client can show a form. No mode named means the form, as in the first version of elicitation.
pub(super) fn is_supported(context: &RequestContext<RoleServer>) -> bool {
    context
        .client_capabilities()
        .and_then(|capabilities| capabilities.elicitation)
        .is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

/// The question as a form with one checkbox of this name.
pub(super) fn form(question: &str, name: &str) -> Result<ElicitRequestParams, &'static str> {
    let schema = ElicitationSchema::builder()
        .required_bool_with(name, |checkbox| {
            checkbox
                .title("Yes")
                .description("Tick to confirm. Otherwise nothing is sent.")
        })
        .build()
        .map_err(|_| "the question could not be asked")?;
    Ok(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.to_owned(),
        requested_schema: schema,
    })
}

/// Before 2026-07-28: the user replies while the call waits. An error is why it is not confirmed.
pub(super) async fn elicit(
    request: &ConfirmationRequest<'_>,
    name: &str,
    ttl: Duration,
    context: &RequestContext<RoleServer>,
) -> Result<(), &'static str> {
    let form = form(&request.preview.question, name)?;
    let reply = tokio::select! {
        reply = context.peer.create_elicitation_with_timeout(form, Some(ttl)) => reply,
        () = request.closed.cancelled() => return Err("the client disconnected"),
    };
    match reply {
        Ok(reply) => check(&reply, name),
        Err(rmcp::ServiceError::Timeout { .. }) => Err("the user did not respond in time"),
        Err(_) => Err("the client could not show the question"),
    }
}

/// Only an accepted form with the box ticked confirms; an error says what the user did instead.
pub(super) fn check(reply: &ElicitResult, name: &str) -> Result<(), &'static str> {
    match reply.action {
        ElicitationAction::Accept => {
            let content = reply.content.as_ref();
            let ticked = content.and_then(|content| content.get(name));
            if ticked == Some(&Value::Bool(true)) {
                Ok(())
            } else {
                Err("the user did not tick the box")
            }
        }
        ElicitationAction::Decline => Err("the user declined"),
        _ => Err("the user dismissed the question"),
    }
}
