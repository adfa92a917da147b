//! The caller of a request.

use std::sync::Arc;

use posthog_client::Client;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

use crate::policy::Policy;
use crate::tools::ToolDefinition;

/// The caller: its access to PostHog, and the tools available to it.
#[derive(Clone)]
pub struct Caller {
    /// Distinguishes callers without identifying them.
    pub principal: Arc<str>,
    /// PostHog with the caller's credential.
    pub posthog: Client,
    /// Restricts the server's tools further.
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

/// Where the caller of a request comes from.
#[derive(Clone)]
pub(super) enum CallerSource {
    /// One caller for all requests.
    Fixed(Caller),
    /// Each request over HTTP has its own.
    PerRequest,
}

/// The session of a request over HTTP, if it has one.
pub(super) fn session_id(context: &RequestContext<RoleServer>) -> Option<&str> {
    let parts = context.extensions.get::<http::request::Parts>()?;
    parts.headers.get("mcp-session-id")?.to_str().ok()
}
