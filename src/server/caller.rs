//! Who calls.

use std::sync::Arc;

use posthog_client::Client;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

use crate::policy::Policy;
use crate::tools::ToolDefinition;

/// Who calls: what PostHog shows them, and which tools they may see.
#[derive(Clone)]
pub struct Caller {
    /// Tells callers apart, without saying who they are.
    pub principal: Arc<str>,
    /// PostHog, as the caller's credential sees it.
    pub posthog: Client,
    /// Narrows the tools that the server offers; never widens.
    pub policy: Policy,
}

impl Caller {
    /// The user of a server that serves one.
    #[must_use]
    pub fn local(posthog: Client) -> Self {
        Self {
            principal: "local".into(),
            posthog,
            policy: Policy::default(),
        }
    }

    pub(super) fn sees(&self, tool: &ToolDefinition) -> bool {
        self.policy.offers(tool.name, tool.toolset, tool.effect)
    }
}

/// Where a call's caller is known from.
#[derive(Clone)]
pub(super) enum CallerSource {
    /// There is one.
    Fixed(Caller),
    /// Each request over HTTP carries its own.
    PerRequest,
}

/// The session of a request over HTTP, if it has one.
pub(super) fn session_id(context: &RequestContext<RoleServer>) -> Option<&str> {
    let parts = context.extensions.get::<http::request::Parts>()?;
    parts.headers.get("mcp-session-id")?.to_str().ok()
}
