//! The server as the protocol sees it.
//!
//! What the protocol library leaves to a server is here and in `call`: a tool that panics still responds, a cancelled call
//! drops its request to PostHog, and no more calls run at the same time than there are slots.

use std::time::Instant;

use futures::FutureExt;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
    CompletionInfo, CustomRequest, CustomResult, ErrorCode, GetPromptRequestParams,
    GetPromptResponse, Implementation, InitializeRequestParams, InitializeResult, JsonObject,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    Reference, ResourceContents, ServerCapabilities, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, Tool as ProtocolTool, UnsubscribeRequestParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::call::CallError;
use super::completion::{CompletionRequest, Completions, complete};
use super::instructions::instructions;
use super::mcp_server::Server;
use super::notifications::call_finished;
use super::offload::offload;
use super::session::MAX_WATCHED;
use super::{prompts, resources};
use crate::policy::Effect;

/// How long a client may keep a list, in milliseconds.
const LIST_TTL: u64 = 3_600_000;

/// How long a client may keep a result, in milliseconds, and its cache scope, in the versions with cacheable results. The
/// lists cannot change while the process runs, but settings and the caller narrow them.
fn cache_policy(
    context: &RequestContext<RoleServer>,
    ttl_ms: u64,
) -> (Option<u64>, Option<CacheScope>) {
    match context.protocol_version() {
        Some(version) if !version.has_initialize() => (Some(ttl_ms), Some(CacheScope::Private)),
        _ => (None, None),
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let implementation = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .with_title("PostHog Persons");
        let writes = self
            .inner
            .tools
            .iter()
            .any(|tool| tool.effect != Effect::Read);
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_completions();
        ServerConfig::new(capabilities.build())
            .with_server_info(implementation)
            .with_instructions(instructions(writes))
    }

    /// Clients before 2026-07-28 can request log messages and subscribe to persons.
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        result.capabilities.logging = Some(JsonObject::new());
        if let Some(resources) = &mut result.capabilities.resources {
            resources.subscribe = Some(true);
        }
        Ok(result)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.session.set_log_level(request.level);
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let person = resources::person(&request.uri).ok_or_else(|| {
            let message = "only posthog://persons/{uuid} can be subscribed to";
            ErrorData::invalid_params(message, None)
        })?;
        if self.session.watch(person) {
            return Ok(());
        }
        let message = format!("a session can subscribe to at most {MAX_WATCHED} persons");
        Err(ErrorData::invalid_params(message, None))
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if let Some(person) = resources::person(&request.uri) {
            self.session.unwatch(person);
        }
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let caller = self.caller(&context)?;
        let offered = self.inner.tools.iter().zip(&self.inner.listed);
        let offered = offered.filter(|(tool, _)| caller.sees(tool));
        let mut list =
            ListToolsResult::with_all_items(offered.map(|(_, listed)| listed.clone()).collect());
        (list.ttl_ms, list.cache_scope) = cache_policy(&context, LIST_TTL);
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<ProtocolTool> {
        self.inner
            .listed
            .iter()
            .find(|tool| tool.name == name)
            .cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller(&context)?;
        let Some(tool) = self.tool(&request.name, &caller) else {
            // The name may be an email address.
            let name = self.inner.limits.sanitizer().argument(&request.name);
            let message = format!("unknown tool: {name}");
            return Err(ErrorData::invalid_params(message, None));
        };
        let call = self.prepare_call(tool, caller, request.arguments.clone().unwrap_or_default());
        let started = Instant::now();
        let cancelled = context.ct.clone();
        let result = tokio::select! {
            biased;
            // The library only reports a cancellation; dropping the call closes its connection to PostHog.
            () = cancelled.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
            result = call.respond(&request, &context) => result,
        };
        let outcome = match &result {
            Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => "error",
            Ok(CallToolResponse::Complete(_)) => "ok",
            Ok(_) => "input required",
            Err(_) if cancelled.is_cancelled() => "cancelled",
            Err(_) => "failed",
        };
        let took = started.elapsed();
        metrics::counter!("mcp_tool_calls_total", "tool" => tool.name, "outcome" => outcome)
            .increment(1);
        metrics::histogram!("mcp_tool_call_seconds", "tool" => tool.name).record(took);
        call_finished(&self.session, &context, tool.name, outcome, took).await;
        let milliseconds = took.as_millis();
        tracing::info!(
            tool = tool.name,
            outcome,
            milliseconds,
            "tool call finished"
        );
        result
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let caller = self.caller(&context)?;
        let prompts = prompts::list(|tool| self.tool(tool, &caller).is_some());
        let mut list = ListPromptsResult::with_all_items(prompts);
        (list.ttl_ms, list.cache_scope) = cache_policy(&context, LIST_TTL);
        Ok(list)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let caller = self.caller(&context)?;
        let offers = |tool: &str| self.tool(tool, &caller).is_some();
        prompts::get(
            &request.name,
            request.arguments.as_ref(),
            &self.inner.limits.redaction,
            offers,
        )
        .map(Into::into)
    }

    /// Persons are not listed as resources: there are too many.
    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut list = ListResourcesResult::with_all_items(Vec::new());
        (list.ttl_ms, list.cache_scope) = cache_policy(&context, LIST_TTL);
        Ok(list)
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let caller = self.caller(&context)?;
        let template = self
            .tool(resources::READ_BY, &caller)
            .map(|_| resources::template());
        let mut list = ListResourceTemplatesResult::with_all_items(template.into_iter().collect());
        (list.ttl_ms, list.cache_scope) = cache_policy(&context, LIST_TTL);
        Ok(list)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let unknown = || {
            let uri = self.inner.limits.sanitizer().argument(&request.uri);
            let data = serde_json::json!({ "uri": uri });
            ErrorData::resource_not_found("resource not found", Some(data))
        };
        let caller = self.caller(&context)?;
        let uuid = resources::person(&request.uri).ok_or_else(unknown)?;
        let tool = self.tool(resources::READ_BY, &caller).ok_or_else(unknown)?;
        let arguments = serde_json::json!({ "id": uuid, "select": ["*"] });
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let call = self.prepare_call(tool, caller, arguments);
        let text = tokio::select! {
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
            text = call.text() => text,
        };
        let text = text.map_err(|error| match error {
            CallError::Tool(error) if error.is_not_found() => unknown(),
            CallError::Tool(error) => ErrorData::internal_error(call.error_text(&error), None),
            CallError::Protocol(error) => error,
            CallError::Response(_) => ErrorData::internal_error("internal error", None),
        })?;
        let contents =
            ResourceContents::text(text, request.uri.clone()).with_mime_type("text/plain");
        let mut result = ReadResourceResult::new(vec![contents]);
        (result.ttl_ms, result.cache_scope) = cache_policy(&context, 0);
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let (caller, large_response_read) = self.observing(self.caller(&context)?);
        let (server, reader) = (self.clone(), caller.clone());
        let found = async move {
            let offers = |tool: &str| server.tool(tool, &caller).is_some();
            let context = request.context.unwrap_or_default();
            let person = context
                .get_argument(prompts::PERSON)
                .map(|person| person.trim());
            let typing = CompletionRequest {
                argument: &request.argument.name,
                typed: request.argument.value.trim(),
                person: person.filter(|person| !person.is_empty()),
            };
            match &request.r#ref {
                Reference::Prompt(prompt)
                    if prompts::takes(&prompt.name, typing.argument, offers) =>
                {
                    complete(&caller.posthog, &server.inner.limits, &typing, offers).await
                }
                _ => Completions::default(),
            }
        };
        let found = offload(found.boxed(), &large_response_read, &self.inner.threads).await;
        let found = found.unwrap_or_default();
        let values = self.inner.record_completions(&reader, found).await;
        let completion =
            CompletionInfo::new(values).map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(completion))
    }

    /// A known method with invalid parameters arrives here and must not be reported as unknown.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        match request.method.as_str() {
            "tools/call"
            | "tools/list"
            | "prompts/get"
            | "resources/read"
            | "completion/complete" => {
                let message = format!("invalid parameters for {}", request.method);
                Err(ErrorData::invalid_params(message, None))
            }
            _ => Err(ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                self.inner.limits.sanitizer().argument(&request.method),
                None,
            )),
        }
    }
}
