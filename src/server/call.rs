//! One tool call, from its arguments to its answer: for a write, by way of a yes and a line in the audit log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, Peer, RoleServer};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::caller::Caller;
use super::handler::Inner;
use super::notifications::{ClientSession, progress};
use crate::output::ToolOutput;
use crate::server::audit::{Intent, Line};
use crate::server::confirmation::{self, ConfirmationMethod, ConfirmationRequest, Decision};
use crate::tools::{Context, Outcome, PendingWrite, ToolDefinition, ToolError, ToolOutcome};

/// A call under way.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) server: Arc<Inner>,
    pub(super) session: Arc<ClientSession>,
    pub(super) caller: Caller,
    pub(super) tool: ToolDefinition,
    pub(super) arguments: Map<String, Value>,
}

/// Why a call goes no further: it has its answer.
pub(super) enum Stop {
    /// One that the assistant reads.
    Answer(Box<CallToolResponse>),
    /// One that the protocol has for broken requests and broken servers.
    Protocol(ErrorData),
}

impl From<CallToolResult> for Stop {
    fn from(result: CallToolResult) -> Self {
        Self::Answer(Box::new(result.into()))
    }
}

impl From<ErrorData> for Stop {
    fn from(error: ErrorData) -> Self {
        Self::Protocol(error)
    }
}

impl Call {
    /// Makes the call.
    pub(super) async fn answer(
        mut self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let waits = context.meta.get_progress_token().map(|token| {
            let (waits, told) = mpsc::unbounded_channel();
            self.caller.posthog = self.caller.posthog.clone().with_progress(waits);
            progress(&context.peer, token, told)
        });
        // Apart: the library moves what handles a request several times before it runs.
        let running = self.run(request, context).boxed();
        let ran = match waits {
            None => running.await,
            // Progress ends with the call: none may follow its answer.
            Some(telling) => tokio::select! {
                ran = running => ran,
                never = telling => match never {},
            },
        };
        match ran {
            Ok(result) => Ok(result.into()),
            Err(Stop::Answer(answer)) => Ok(*answer),
            Err(Stop::Protocol(error)) => Err(error),
        }
    }

    /// Makes the call of a tool that reads, for its text. An error without words of its own means: not found.
    pub(super) async fn text(self) -> Result<String, Option<ErrorData>> {
        match self.tried().await {
            Ok(Ok(ToolOutcome::Complete(answer))) => Ok(answer.text),
            Ok(Err(error)) if error.is_not_found() => Err(None),
            Ok(Err(error)) => Err(Some(ErrorData::internal_error(self.words(&error), None))),
            Err(Stop::Protocol(error)) => Err(Some(error)),
            _ => Err(Some(ErrorData::internal_error("internal error", None))),
        }
    }

    async fn run(
        self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Stop> {
        match self.prepared().await? {
            ToolOutcome::Complete(answer) => Ok(self.success(answer)),
            ToolOutcome::PendingWrite(write) if self.tool.effect.needs_yes() => {
                let (write, grant) = self.permitted(write, request, context).await?;
                self.send(write, grant.name(), &context.peer).await
            }
            ToolOutcome::PendingWrite(write) => self.send(write, "not needed", &context.peer).await,
        }
    }

    /// Runs the tool up to its answer or its unsent write.
    async fn prepared(&self) -> Result<ToolOutcome<Value>, Stop> {
        let tried = self.tried().await?;
        tried.map_err(|error| self.failure(&error).into())
    }

    /// As [`Call::prepared`], with the tool's failure as it is.
    async fn tried(&self) -> Result<Result<ToolOutcome<Value>, ToolError>, Stop> {
        let context = Context {
            posthog: self.caller.posthog.clone(),
            limits: self.server.limits.clone(),
        };
        let call = self.tool.call(context, self.arguments.clone());
        self.in_slot(call).await
    }

    /// Gets the yes that a deletion needs, and looks again where getting it took a while.
    async fn permitted(
        &self,
        write: PendingWrite<Value>,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<(PendingWrite<Value>, ConfirmationMethod), Stop> {
        let Some(preview) = &write.preview else {
            tracing::error!(tool = self.tool.name, "a deletion without a preview");
            return Err(ErrorData::internal_error("internal error", None).into());
        };
        let confirmation_request = ConfirmationRequest {
            tool: self.tool.name,
            arguments: &self.arguments,
            project: self.project().await?,
            principal: &self.caller.principal,
            question: &preview.question,
            facts: &preview.facts,
            structured: self.server.limits.structured,
            most_bytes: self.server.limits.bytes,
            state: request.request_state.as_deref(),
            responses: request.input_responses.as_ref(),
            closed: &self.session.closed,
        };
        let grant = match self
            .server
            .safety
            .confirmer
            .decide(&confirmation_request, context)
            .await
        {
            Decision::Granted(grant) => grant,
            Decision::Answer(answer) => return Err(Stop::Answer(Box::new(answer))),
        };
        if grant != ConfirmationMethod::Elicited {
            return Ok((write, grant));
        }
        let shown = preview.question.clone();
        match self.prepared().await? {
            ToolOutcome::PendingWrite(write)
                if write
                    .preview
                    .as_ref()
                    .is_some_and(|now| now.question == shown) =>
            {
                Ok((write, grant))
            }
            _ => Err(error_result(confirmation::CHANGED).into()),
        }
    }

    /// Sends a write, once, with its line in the audit log around it.
    ///
    /// From here on a cancellation changes nothing: the request may have arrived, and its line has to be completed.
    async fn send(
        self,
        write: PendingWrite<Value>,
        confirmation: &'static str,
        peer: &Peer<RoleServer>,
    ) -> Result<CallToolResult, Stop> {
        let peer = peer.clone();
        let writes = self.server.writes.clone();
        let sending = writes.spawn(async move {
            let line = self
                .record(&write.persons, &write.property_keys, confirmation)
                .await?;
            let sent = self.in_slot(write.execute).await;
            let outcome = match &sent {
                Ok(Ok((_, outcome))) => *outcome,
                Ok(Err(error)) => error.outcome(),
                Err(_) => Outcome::Unknown,
            };
            if let Some(Err(error)) = line.map(|line| line.complete(outcome.name())) {
                tracing::error!(tool = self.tool.name, %error, "a line of the audit log could not be completed");
            }
            if outcome != Outcome::NotDone {
                self.session.changed(&peer, &write.persons).await;
            }
            match sent? {
                Ok((answer, _)) => Ok(self.success(answer)),
                Err(error) => Ok(self.failure(&error)),
            }
        });
        sending
            .await
            .unwrap_or_else(|_| Err(ErrorData::internal_error("internal error", None).into()))
    }

    /// Writes the line of what is about to be sent, if there is a log.
    async fn record(
        &self,
        persons: &[String],
        property_keys: &[String],
        confirmation: &str,
    ) -> Result<Option<Line>, Stop> {
        let Some(audit) = &self.server.safety.audit else {
            return Ok(None);
        };
        let redaction = &self.server.limits.redaction;
        let keys = property_keys
            .iter()
            .map(|key| redaction.mask(key).into_owned());
        let intent = Intent {
            tool: self.tool.name,
            project: self.project().await?,
            persons,
            property_keys: &keys.collect::<Vec<_>>(),
            confirmation,
        };
        audit.begin(&intent).map(Some).map_err(|error| {
            tracing::error!(tool = self.tool.name, %error, "the audit log cannot be written");
            error_result(
                "The audit log cannot be written, and without its line nothing is changed. Nothing was sent. The operator of this server \
                 has to mend this.",
            )
            .into()
        })
    }

    async fn project(&self) -> Result<u64, Stop> {
        let project = self.caller.posthog.project().await;
        project.map_err(|error| self.failure(&error.into()).into())
    }

    /// Waits for a slot, then runs a part of the call, and catches its panic.
    async fn in_slot<T>(&self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let Ok(_slot) = self.server.slots.acquire().await else {
            return Err(ErrorData::internal_error("the server is stopping", None).into());
        };
        AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
            // The panic hook has said where; the model can do nothing about it.
            tracing::error!(tool = self.tool.name, "a tool panicked");
            ErrorData::internal_error("internal error", None).into()
        })
    }

    fn success(&self, answer: ToolOutput<Value>) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(answer.text)]);
        if self.server.limits.structured {
            result.structured_content = Some(answer.structured);
        }
        result
    }

    /// What a failure says, which can quote PostHog or the call itself.
    fn words(&self, error: &ToolError) -> String {
        let text = error.text(self.caller.posthog.host());
        self.server.limits.redaction.mask(&text).into_owned()
    }

    fn failure(&self, error: &ToolError) -> CallToolResult {
        error_result(&self.words(error))
    }
}

fn error_result(text: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}
