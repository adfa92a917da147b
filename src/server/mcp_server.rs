//! The server that every transport shares: its tools, its callers and what guards its writes.

use std::sync::Arc;

use rmcp::model::{JsonObject, MetaObject, Tool as ProtocolTool, ToolAnnotations};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::Call;
use super::caller::{Caller, CallerSource};
use super::confirmation::Confirmer;
use super::offload;
use super::session::ClientSession;
use crate::audit::AuditLog;
use crate::coordination::Store;
use crate::export::Exports;
use crate::output::OutputOptions;
use crate::policy::Confirm;
use crate::tools::{Context, ToolDefinition};

/// Calls that run at the same time; further calls are queued.
const SLOTS: usize = 64;

/// What a write passes before it is sent.
pub struct WriteGuards {
    /// Confirms deletions.
    pub confirmer: Confirmer,
    /// Logs writes, if enabled.
    pub audit: Option<AuditLog>,
}

impl Default for WriteGuards {
    /// Confirmation by elicitation alone, and no audit log.
    fn default() -> Self {
        Self {
            confirmer: Confirmer::new(Confirm::Auto, None),
            audit: None,
        }
    }
}

/// The server. Cheap to clone; all clones share the tools, the slots and the guards.
#[derive(Clone)]
pub struct Server {
    pub(super) inner: Arc<Inner>,
    callers: CallerSource,
    pub(super) session: Arc<ClientSession>,
}

pub(super) struct Inner {
    pub(super) tools: Vec<ToolDefinition>,
    pub(super) listed: Vec<ProtocolTool>,
    pub(super) limits: OutputOptions,
    pub(super) safety: WriteGuards,
    /// Where exports are written, if they are enabled.
    pub(super) exports: Option<Exports>,
    /// What this process shares with others.
    pub(super) store: Store,
    pub(super) slots: Semaphore,
    /// For the work on large responses.
    pub(super) threads: Arc<Semaphore>,
    /// Writes in progress. They complete even if their calls are cancelled.
    pub(super) writes: TaskTracker,
}

impl Server {
    /// A server with these tools for one caller.
    #[must_use]
    pub fn new(tools: Vec<ToolDefinition>, context: Context, safety: WriteGuards) -> Self {
        Self {
            callers: CallerSource::Fixed(Caller::local(context.posthog)),
            ..Self::shared(
                tools,
                context.limits,
                safety,
                Store::default(),
                context.exports,
            )
        }
    }

    /// A server with these tools for callers over HTTP: each request has a [`Caller`] among its extensions.
    #[must_use]
    pub fn shared(
        tools: Vec<ToolDefinition>,
        limits: OutputOptions,
        safety: WriteGuards,
        store: Store,
        exports: Option<Exports>,
    ) -> Self {
        let listed = tools
            .iter()
            .map(|tool| to_protocol_tool(tool, &limits))
            .collect();
        Self {
            inner: Arc::new(Inner {
                tools,
                listed,
                limits,
                safety,
                exports,
                store,
                slots: Semaphore::new(SLOTS),
                threads: offload::threads(),
                writes: TaskTracker::new(),
            }),
            callers: CallerSource::PerRequest,
            session: Arc::default(),
        }
    }

    /// The same server for one session, which ends with the token; pending elicitations end with it.
    #[must_use]
    pub fn with_shutdown(&self, closed: CancellationToken) -> Self {
        Self {
            session: Arc::new(ClientSession::with_shutdown(closed)),
            ..self.clone()
        }
    }

    /// Waits until no write is in progress.
    pub async fn drain_writes(&self) {
        self.inner.writes.close();
        self.inner.writes.wait().await;
    }

    /// Removes the files of exports that are not complete, and those to be downloaded from here.
    pub fn end_exports(&self) {
        if let Some(exports) = &self.inner.exports {
            exports.end();
        }
    }

    /// The same caller, and what is notified when a response was read that takes long to process.
    pub(super) fn observing(&self, caller: Caller) -> (Caller, Arc<Notify>) {
        let read = Arc::new(Notify::new());
        let min_bytes = self.inner.limits.large_response_bytes();
        let posthog = caller
            .posthog
            .with_large_responses(min_bytes, Arc::clone(&read));
        (Caller { posthog, ..caller }, read)
    }

    pub(super) fn prepare_call(
        &self,
        tool: &ToolDefinition,
        caller: Caller,
        arguments: JsonObject,
    ) -> Call {
        let (caller, large_response_read) = self.observing(caller);
        Call {
            server: Arc::clone(&self.inner),
            session: Arc::clone(&self.session),
            caller,
            tool: tool.clone(),
            arguments: tool.arguments(arguments),
            large_response_read,
            waits_for_user: None,
        }
    }

    pub(super) fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
        let caller = match &self.callers {
            CallerSource::Fixed(caller) => Some(caller),
            CallerSource::PerRequest => context
                .extensions
                .get::<http::request::Parts>()
                .and_then(|parts| parts.extensions.get::<Caller>()),
        };
        caller.cloned().ok_or_else(|| {
            tracing::error!("request without a caller");
            ErrorData::internal_error("internal error", None)
        })
    }

    /// The tool of this name, if it is available to the caller.
    pub(super) fn tool(&self, name: &str, caller: &Caller) -> Option<&ToolDefinition> {
        self.inner
            .tools
            .iter()
            .find(|tool| tool.name == name && caller.sees(tool))
    }
}

/// What Claude Code reads about a tool and the model does not. It hides larger results than the default from the model,
/// unless the tool announces them.
fn metadata(tool: &ToolDefinition, limits: &OutputOptions) -> MetaObject {
    let mut meta = MetaObject::new();
    if limits.bytes > OutputOptions::default().bytes {
        meta.0.insert(
            "anthropic/maxResultSizeChars".to_owned(),
            limits.bytes.into(),
        );
    }
    meta.0
        .insert("anthropic/searchHint".to_owned(), tool.search_hint.into());
    meta
}

/// A tool as `tools/list` shows it.
#[must_use]
pub fn to_protocol_tool(tool: &ToolDefinition, limits: &OutputOptions) -> ProtocolTool {
    let hints = tool.effect.hints();
    let annotations = ToolAnnotations::from_raw(
        None,
        Some(hints.read_only),
        Some(hints.destructive),
        Some(hints.idempotent),
        Some(hints.open_world),
    );
    let listed = ProtocolTool::new(tool.name, tool.description, tool.input_schema.clone())
        .with_title(tool.title)
        .with_annotations(annotations)
        .with_meta(metadata(tool, limits));
    if limits.structured {
        listed.with_raw_output_schema(Arc::new(tool.output_schema()))
    } else {
        listed
    }
}
