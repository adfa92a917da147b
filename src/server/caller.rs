//! The caller of a request.

use std::sync::Arc;

use posthog_client::Client;

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
