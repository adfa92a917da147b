//! Stands in for Redis in a binary without it: a connection that cannot exist.

use std::sync::Arc;
use std::time::Duration;

use rmcp::transport::streamable_http_server::session::store::SessionStore;
use uuid::Uuid;

use super::store::{ConnectError, RelayedMessage, Unavailable};

#[derive(Clone, Copy)]
pub(super) enum Redis {}

pub(super) enum RedisLock {}

impl Redis {
    pub(super) async fn connect(_url: &str) -> Result<Self, ConnectError> {
        Err(ConnectError(
            "this binary was built without Redis support; build with `--features redis`".to_owned(),
        ))
    }

    pub(super) async fn consume_nonce(&self, _: Uuid, _: Duration) -> Result<bool, Unavailable> {
        match *self {}
    }

    pub(super) async fn count(&self, _: &str) -> Result<u64, Unavailable> {
        match *self {}
    }

    pub(super) async fn lock_elicitation(
        &self,
        _: &str,
        _: Duration,
    ) -> Result<Option<RedisLock>, Unavailable> {
        match *self {}
    }

    pub(super) fn session_store(&self) -> Arc<dyn SessionStore> {
        match *self {}
    }

    pub(super) async fn session_owner(&self, _: &str) -> Result<Option<String>, Unavailable> {
        match *self {}
    }

    pub(super) async fn set_session_owner(&self, _: &str, _: &str) {
        match *self {}
    }

    pub(super) async fn touch_session(&self, _: &str) {
        match *self {}
    }

    pub(super) async fn publish(&self, _: &RelayedMessage) -> Result<(), Unavailable> {
        match *self {}
    }

    pub(super) async fn subscribe(&self, _: impl Fn(RelayedMessage)) {
        match *self {}
    }
}

impl RedisLock {
    pub(super) fn tag(&self) -> &str {
        match *self {}
    }

    pub(super) async fn revoked(&self) {
        match *self {}
    }

    pub(super) async fn release(self) {
        match self {}
    }
}
