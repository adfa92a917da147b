//! The project of a key that names none: all processes that share a store settle on the one that the first of them resolved.

use posthog_client::Error;

use super::caller::Caller;
use crate::coordination::{Store, Unavailable};
use crate::policy::Effect;

/// Why a call is not made.
pub(super) enum NotSettled {
    /// The project cannot be resolved.
    PostHog(Error),
    /// The text says why.
    Refused(&'static str),
}

const UNKNOWN: &str = "The project of this API key is not known yet, and the shared store is unreachable, so another process may use another project. Nothing was sent. Name the project (header X-PostHog-Project-Id, or --project at the server), or try again later. Tools that read still work.";

const DIFFERENT: &str = "Another process of this server works on another project for this API key. Nothing was sent. Name the project (header X-PostHog-Project-Id, or --project at the server).";

/// Settles on the project of a caller before its call sends anything.
///
/// While the store is unreachable, reads go on with what this process resolves, and so do writes to a project that was
/// settled before.
pub(super) async fn settle(
    store: &Store,
    caller: &Caller,
    effect: Effect,
) -> Result<(), NotSettled> {
    if !store.is_shared() || !caller.posthog.resolves_project() {
        return Ok(());
    }
    let settled = match store.project(&caller.principal).await {
        Ok(Some(project)) => Ok(project),
        Ok(None) => {
            // A key whose project resolves is one that PostHog accepts: nothing is stored for others.
            let own = caller
                .posthog
                .project()
                .await
                .map_err(NotSettled::PostHog)?;
            store.settle_project(&caller.principal, own).await
        }
        Err(Unavailable) => Err(Unavailable),
    };
    match settled {
        Ok(project) if caller.posthog.settle_project(project) => Ok(()),
        Ok(_) => Err(NotSettled::Refused(DIFFERENT)),
        Err(Unavailable) if effect == Effect::Read || caller.posthog.is_project_settled() => Ok(()),
        Err(Unavailable) => Err(NotSettled::Refused(UNKNOWN)),
    }
}
