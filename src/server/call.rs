//! One tool call, from its arguments to its result; for a write, with its confirmation.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value};
use tokio::sync::{Notify, mpsc};

use super::caller::{Caller, Waiting};
use super::logged::Request;
use super::mcp_server::Inner;
use super::notifications::{persons_changed, progress};
use super::offload::offload;
use super::session::ClientSession;
use super::shared_project::{self, NotSettled};
use crate::output::{ToolOutput, fit_fields};
use crate::server::confirmation::{self, ConfirmationRequest, Decision, Grant};
use crate::tools::{
    Context, FactsDigest, Outcome, PreparedCall, PreparedWrite, Preview, ToolDefinition, ToolError,
    Wanted,
};

/// A call under way.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) server: Arc<Inner>,
    pub(super) session: Arc<ClientSession>,
    pub(super) caller: Caller,
    pub(super) tool: ToolDefinition,
    pub(super) arguments: Map<String, Value>,
    /// Notified when a response was read that takes long to process.
    pub(super) large_response_read: Arc<Notify>,
    /// Is told when the call waits for the user, if the client requested progress.
    pub(super) waits_for_user: Option<mpsc::UnboundedSender<()>>,
}

/// Why a call has no output of its tool.
pub(super) enum CallError {
    /// The tool failed; the model reads why.
    Tool(ToolError),
    /// The call has another response: a request for confirmation, or a rejection.
    Response(Box<CallToolResponse>),
    /// An error of the protocol.
    Protocol(ErrorData),
}

impl From<ToolError> for CallError {
    fn from(error: ToolError) -> Self {
        Self::Tool(error)
    }
}

impl From<CallToolResult> for CallError {
    fn from(result: CallToolResult) -> Self {
        Self::Response(Box::new(result.into()))
    }
}

impl From<NotSettled> for CallError {
    fn from(reason: NotSettled) -> Self {
        match reason {
            NotSettled::PostHog(error) => Self::Tool(error.into()),
            NotSettled::Refused(text) => error_result(text).into(),
        }
    }
}

impl From<ErrorData> for CallError {
    fn from(error: ErrorData) -> Self {
        Self::Protocol(error)
    }
}

impl Call {
    /// Makes the call and returns its response.
    pub(super) async fn respond(
        mut self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let waits = context.meta.get_progress_token().map(|token| {
            let (sender, waits) = mpsc::unbounded_channel();
            self.caller.posthog = self.caller.posthog.clone().with_progress(sender);
            let (sender, for_user) = mpsc::unbounded_channel();
            self.waits_for_user = Some(sender);
            progress(&context.peer, token, waits, for_user)
        });
        // Boxed: the library moves the future of a request several times before it is polled.
        let running = self.run(request, context).boxed();
        let result = match waits {
            None => running.await,
            // No progress notification may follow the response.
            Some(reporting) => tokio::select! {
                result = running => result,
                never = reporting => match never {},
            },
        };
        match result {
            Ok(result) => Ok(result.into()),
            Err(CallError::Tool(error)) => Ok(self.failure(&error).into()),
            Err(CallError::Response(response)) => Ok(*response),
            Err(CallError::Protocol(error)) => Err(error),
        }
    }

    /// The text of a reading tool's result.
    pub(super) async fn text(&self) -> Result<String, CallError> {
        match self.prepare(false).await? {
            PreparedCall::Complete(output) => {
                self.record_read(&output.structured).await?;
                Ok(output.text)
            }
            PreparedCall::Write(_) | PreparedCall::Export(_) => {
                Err(ErrorData::internal_error("internal error", None).into())
            }
        }
    }

    async fn run(
        &mut self,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, CallError> {
        let confirmation = self.tool.take_confirmation(&mut self.arguments)?;
        shared_project::settle(&self.server.store, &self.caller, self.tool.effect).await?;
        let write = match self.prepare(confirmation.dry_run).await? {
            PreparedCall::Complete(output) => {
                self.record_read(&output.structured).await?;
                return Ok(self.success(output));
            }
            PreparedCall::Export(export) => return self.export(export, context).await,
            PreparedCall::Write(write) => write,
        };
        let Some(preview) = &write.to_confirm else {
            return self.execute(write, None, context).await;
        };
        let token = confirmation.token.as_deref();
        // A call that brings its confirmation was shown the preview before.
        let is_first = token.is_none() && request.request_state.is_none();
        if is_first && self.server.safety.confirmer.is_enabled() {
            self.record_read(&preview.facts).await?;
        }
        let grant = self.confirm(preview, token, request, context).await?;
        let write = if grant.method.waited() {
            self.prepare_again(preview.digest, &grant).await?
        } else {
            write
        };
        self.execute(write, Some(grant), context).await
    }

    /// Runs the tool up to its result or its unsent write.
    async fn prepare(&self, dry_run: bool) -> Result<PreparedCall, CallError> {
        let exports = self.server.exports.as_ref();
        let context = Context {
            posthog: self.caller.posthog.clone(),
            limits: self.server.limits.clone(),
            exports: exports.map(|exports| exports.of(&self.caller.principal)),
        };
        let (tool, arguments) = (self.tool.clone(), self.arguments.clone());
        let wanted = Wanted {
            dry_run,
            fields: self.server.limits.structured || self.server.log_of_reads().is_some(),
        };
        let call = async move { tool.call(context, arguments, wanted).await };
        Ok(self.in_slot(call).await??)
    }

    /// Prepares a write again after a confirmation that took a while: the persons may have changed.
    async fn prepare_again(
        &self,
        asked: FactsDigest,
        grant: &Grant,
    ) -> Result<PreparedWrite, CallError> {
        match self.prepare(false).await? {
            PreparedCall::Write(write)
                if write
                    .to_confirm
                    .as_ref()
                    .is_some_and(|preview| preview.digest == asked) =>
            {
                Ok(write)
            }
            _ => {
                self.server.safety.confirmer.facts_changed(grant);
                Err(error_result(confirmation::CHANGED).into())
            }
        }
    }

    /// Gets the call confirmed, or ends it with a request for confirmation.
    async fn confirm(
        &self,
        preview: &Preview<Value>,
        token: Option<&str>,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Grant, CallError> {
        let confirmation_request = ConfirmationRequest {
            tool: self.tool.name,
            arguments: &self.tool.effective_arguments(&self.arguments),
            token,
            project: self.project().await?,
            principal: &self.caller.principal,
            question: &preview.question,
            digest: &preview.digest,
            max_bytes: self.server.limits.bytes,
            state: request.request_state.as_deref(),
            responses: request.input_responses.as_ref(),
            closed: &self.session.closed,
            waiting: self.waits_for_user.as_ref(),
        };
        let confirmer = &self.server.safety.confirmer;
        let _waiting = Waiting::begin(context);
        match confirmer.decide(&confirmation_request, context).await {
            Decision::Granted(grant) => Ok(grant),
            Decision::InputRequired(result) => Err(CallError::Response(Box::new(result.into()))),
            Decision::TokenRequired { text, token } => {
                let structured = preview.confirmation_required(&token, &text)?;
                Err(self.success(ToolOutput { structured, text }).into())
            }
            Decision::Rejected(text) => Err(error_result(&text).into()),
        }
    }

    /// Sends a write, once, with its line in the audit log around it.
    ///
    /// From here on a cancellation changes nothing: the request may have arrived, and its line has to be completed.
    async fn execute(
        &self,
        write: PreparedWrite,
        grant: Option<Grant>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, CallError> {
        let peer = context.peer.clone();
        let ended = [context.ct.clone(), self.session.closed.clone()];
        let call = self.clone();
        let confirmation = match &grant {
            Some(grant) => grant.method.name(),
            None => "not needed",
        };
        let executing = self.server.writes.spawn(async move {
            let line = call
                .begin_line(Request {
                    persons: &write.persons,
                    property_keys: &write.property_keys,
                    deletes: &write.deletes,
                    merged_into: write.merged_into.as_deref(),
                    confirmation,
                })
                .await?;
            let server = Arc::clone(&call.server);
            let redeemed = grant.clone();
            let execute = async move {
                // The last step before the request: arguments and persons were checked before.
                if let Some(grant) = &redeemed {
                    server.safety.confirmer.redeem(grant, &ended).await?;
                }
                Ok::<_, String>(write.execute.await)
            };
            let result = match call.in_slot(execute).await {
                Ok(Ok(result)) => Ok(result),
                Ok(Err(refusal)) => Err(CallError::from(error_result(&refusal))),
                Err(error) => Err(error),
            };
            let outcome = match &result {
                Ok(Ok((_, outcome))) => *outcome,
                Ok(Err(error)) => error.outcome(),
                // The grant was refused.
                Err(CallError::Response(_)) => Outcome::NotDone,
                Err(_) => Outcome::Unknown,
            };
            if let Some(grant) = &grant {
                call.server.safety.confirmer.finished(grant, outcome);
            }
            let result = result.and_then(|done| Ok(call.success(done?.0)));
            let result = call.complete_line(line, outcome, result).await;
            if outcome != Outcome::NotDone {
                persons_changed(&call.session, &peer, &write.persons).await;
            }
            result
        });
        executing
            .await
            .unwrap_or_else(|_| Err(ErrorData::internal_error("internal error", None).into()))
    }

    pub(super) async fn project(&self) -> Result<u64, ToolError> {
        Ok(self.caller.posthog.project().await?)
    }

    /// Waits for a slot, then runs a part of the call, and catches its panic.
    pub(super) async fn in_slot<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CallError> {
        let Ok(_slot) = self.server.slots.acquire().await else {
            return Err(ErrorData::internal_error("the server is stopping", None).into());
        };
        let work = AssertUnwindSafe(work).catch_unwind().boxed();
        match offload(work, &self.large_response_read, &self.server.threads).await {
            Some(Ok(result)) => Ok(result),
            Some(Err(_)) | None => {
                // The panic hook has logged where.
                tracing::error!(tool = self.tool.name, "tool panicked");
                Err(ErrorData::internal_error("internal error", None).into())
            }
        }
    }

    pub(super) fn success(&self, output: ToolOutput<Value>) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(output.text)]);
        let limits = &self.server.limits;
        if limits.structured {
            result.structured_content = Some(fit_fields(limits, output.structured));
        }
        result
    }

    /// The text of a failure, which can quote PostHog or the call itself.
    pub(super) fn error_text(&self, error: &ToolError) -> String {
        let sanitizer = self.server.limits.sanitizer();
        error.text(self.caller.posthog.host(), &sanitizer)
    }

    pub(super) fn failure(&self, error: &ToolError) -> CallToolResult {
        error_result(&self.error_text(error))
    }
}

pub(super) fn error_result(text: &str) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}
