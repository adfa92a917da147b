//! The hash that each line has of the line before.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;

/// What stands for the line before the first.
pub(super) const NOTHING_BEFORE: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";

/// How lines are hashed: with SHA-256, or with HMAC-SHA-256 where there is a key. Whoever has no key cannot rewrite a file
/// so that it still fits.
#[derive(Clone, Default)]
pub struct ChainKey(Option<SecretString>);

impl ChainKey {
    /// With this key.
    #[must_use]
    pub fn new(key: Option<SecretString>) -> Self {
        Self(key)
    }

    /// The hash of a line, without its line break, in hexadecimal digits.
    pub(super) fn hash(&self, line: &[u8]) -> String {
        match &self.0 {
            None => hexadecimal(&Sha256::digest(line)),
            Some(key) => {
                // A key of any length.
                let digest = Sha256::digest(key.expose_secret().as_bytes());
                let mut block = [0; 64];
                for (byte, hashed) in block.iter_mut().zip(digest) {
                    *byte = hashed;
                }
                let mut mac = Hmac::<Sha256>::new(&block.into());
                mac.update(line);
                hexadecimal(&mac.finalize().into_bytes())
            }
        }
    }
}

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.0.is_some() {
            "keyed"
        } else {
            "not keyed"
        })
    }
}
