//! Stands in for Redis in a binary without it: a connection that cannot exist.

use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;

use super::store::{ConnectError, Unavailable};

#[derive(Clone, Copy)]
pub(super) enum Redis {}

impl Redis {
    pub(super) async fn connect(_: &str, _: Option<&SecretString>) -> Result<Self, ConnectError> {
        Err(ConnectError::Unsupported)
    }

    pub(super) async fn open_confirmation(&self, _: Uuid, _: Duration) -> Result<(), Unavailable> {
        match *self {}
    }

    pub(super) async fn take_confirmation(&self, _: Uuid) -> Result<bool, Unavailable> {
        match *self {}
    }

    pub(super) fn take_confirmation_later(&self, _: Uuid, _: Duration) {
        match *self {}
    }

    pub(super) async fn project(&self, _: &str) -> Result<Option<u64>, Unavailable> {
        match *self {}
    }

    pub(super) async fn settle_project(&self, _: &str, _: u64) -> Result<u64, Unavailable> {
        match *self {}
    }

    pub(super) async fn count(&self, _: &str) -> Result<u64, Unavailable> {
        match *self {}
    }
}
