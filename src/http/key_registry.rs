//! The API keys that callers bring: which of them PostHog accepts, and the project of each.
//!
//! Invariant: of a key that PostHog has not accepted, nothing outlives the requests that carry it but a bounded number of
//! recent rejections. Holds no key, only its digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;
use crate::sync::lock;
use posthog_client::{KeyKind, KeyStanding, KeyState};

/// Accepted keys whose project is remembered; beyond, the least recently used is forgotten.
const MAX_ACCEPTED: usize = 10_000;
/// Rejections that are remembered.
const MAX_REJECTED: usize = 1_000;
/// Keys of requests under way from which those of finished requests are removed.
const PRUNE_PENDING: usize = 256;

/// The keys of all callers.
#[derive(Default)]
pub struct KeyRegistry {
    /// What OAuth tokens must be meant for.
    resource: Option<Arc<str>>,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    accepted: HashMap<Arc<str>, AcceptedKey>,
    /// Of requests under way, so that those of one key agree on its project.
    pending: HashMap<Arc<str>, Weak<KeyState>>,
    rejected: HashMap<Arc<str>, Arc<KeyState>>,
}

struct AcceptedKey {
    state: Arc<KeyState>,
    last_used: Instant,
}

impl KeyRegistry {
    /// An empty registry. `resource` is what OAuth tokens must be meant for, where they say.
    #[must_use]
    pub fn new(resource: Option<&str>) -> Self {
        Self {
            resource: resource.map(Into::into),
            keys: Mutex::default(),
        }
    }

    /// The key of a request.
    pub(super) fn key(self: &Arc<Self>, key: &str) -> CallerKey {
        let principal: Arc<str> = fingerprint(key).into();
        let state = self.state(&principal);
        CallerKey {
            is_oauth: KeyKind::of(key) == KeyKind::OAuth,
            was_accepted: state.standing() == KeyStanding::Accepted,
            principal,
            state,
            registry: Arc::clone(self),
        }
    }

    fn state(&self, principal: &Arc<str>) -> Arc<KeyState> {
        let mut keys = lock(&self.keys);
        if let Some(known) = keys.accepted.get_mut(principal) {
            known.last_used = Instant::now();
            return Arc::clone(&known.state);
        }
        if let Some(state) = keys.rejected.get(principal) {
            if is_rejected(state) {
                return Arc::clone(state);
            }
            keys.rejected.remove(principal);
        }
        if let Some(state) = keys.pending.get(principal).and_then(Weak::upgrade) {
            return state;
        }
        if keys.pending.len() >= PRUNE_PENDING {
            keys.pending.retain(|_, state| state.strong_count() > 0);
        }
        let state = Arc::new(KeyState::new(self.resource.clone()));
        let pending = Arc::downgrade(&state);
        keys.pending.insert(Arc::clone(principal), pending);
        state
    }

    /// Remembers what became known of a key.
    fn settle(&self, principal: &Arc<str>, state: &Arc<KeyState>) {
        let mut keys = lock(&self.keys);
        match state.standing() {
            KeyStanding::Unverified => {}
            KeyStanding::Accepted => {
                keys.pending.remove(principal);
                keys.rejected.remove(principal);
                if keys.accepted.contains_key(principal) {
                    return;
                }
                if keys.accepted.len() >= MAX_ACCEPTED {
                    let oldest = keys.accepted.iter().min_by_key(|(_, key)| key.last_used);
                    if let Some(oldest) = oldest.map(|(principal, _)| Arc::clone(principal)) {
                        keys.accepted.remove(&oldest);
                    }
                }
                let accepted = AcceptedKey {
                    state: Arc::clone(state),
                    last_used: Instant::now(),
                };
                keys.accepted.insert(Arc::clone(principal), accepted);
            }
            KeyStanding::Rejected(_) => {
                keys.pending.remove(principal);
                if keys.rejected.len() >= MAX_REJECTED {
                    keys.rejected.retain(|_, state| is_rejected(state));
                }
                if keys.rejected.len() < MAX_REJECTED && !keys.accepted.contains_key(principal) {
                    keys.rejected
                        .insert(Arc::clone(principal), Arc::clone(state));
                }
            }
        }
    }
}

fn is_rejected(state: &KeyState) -> bool {
    matches!(state.standing(), KeyStanding::Rejected(_))
}

/// Distinguishes keys without storing them.
fn fingerprint(key: &str) -> String {
    let digest = Sha256::new().chain_update("key\0").chain_update(key);
    let digest = digest.finalize();
    hexadecimal(digest.get(..16).unwrap_or_default())
}

/// The key of a request. Dropped with the request, when what became known of the key is remembered.
pub(super) struct CallerKey {
    pub(super) principal: Arc<str>,
    pub(super) state: Arc<KeyState>,
    pub(super) is_oauth: bool,
    was_accepted: bool,
    registry: Arc<KeyRegistry>,
}

impl CallerKey {
    pub(super) fn standing(&self) -> KeyStanding {
        self.state.standing()
    }

    /// Remembers now what became known of the key.
    pub(super) fn settle(&self) {
        self.registry.settle(&self.principal, &self.state);
    }
}

impl Drop for CallerKey {
    fn drop(&mut self) {
        if !self.was_accepted {
            self.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_keys_leave_nothing_behind() {
        let registry = Arc::new(KeyRegistry::new(None));
        let kept = registry.key("phx_kept");
        for number in 0..10 * PRUNE_PENDING {
            registry.key(&format!("phx_{number}"));
        }
        // Requests of one key share its state while any of them lasts.
        assert!(Arc::ptr_eq(&registry.key("phx_kept").state, &kept.state));
        let keys = lock(&registry.keys);
        assert!(keys.pending.len() <= PRUNE_PENDING);
        assert!(keys.accepted.is_empty() && keys.rejected.is_empty());
    }
}
