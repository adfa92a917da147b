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

/// What a call occupies at its transport while it works.
pub trait TransportPlace: Send + Sync {
    /// Gives the place back while the call waits for a human, and takes it again afterwards.
    fn set_waiting(&self, waiting: bool);
}

/// The place of a call, among the extensions of its request.
#[derive(Clone)]
pub struct CallPlace(pub Arc<dyn TransportPlace>);

/// A call that waits for a human, and occupies no place until this is dropped.
pub(super) struct Waiting(Option<CallPlace>);

impl Waiting {
    pub(super) fn begin(context: &RequestContext<RoleServer>) -> Self {
        let parts = context.extensions.get::<http::request::Parts>();
        let place = parts.and_then(|parts| parts.extensions.get::<CallPlace>());
        if let Some(CallPlace(place)) = place {
            place.set_waiting(true);
        }
        Self(place.cloned())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(CallPlace(place)) = &self.0 {
            place.set_waiting(false);
        }
    }
}
