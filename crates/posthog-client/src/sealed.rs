//! Data on a disk that only the same API key can read again.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::ExposeSecret;

use crate::client::Client;

/// What the key of the encryption is for, as opposed to any other that may be derived from an API key.
const PURPOSE: &[u8] = b"posthog-persons-mcp sealed data 1";

impl Client {
    /// Encrypts with a key that is derived from the API key. Only [`Client::unseal`] with the same API key and the same
    /// `about` decrypts it. `None` if the system has no random numbers.
    #[must_use]
    pub fn seal(&self, about: &str, mut data: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let about = Aad::from(about.as_bytes());
        let unique = Nonce::assume_unique_for_key(nonce);
        let key = self.sealing_key()?;
        key.seal_in_place_append_tag(unique, about, &mut data)
            .ok()?;
        data.extend(nonce);
        Some(data)
    }

    /// Decrypts what [`Client::seal`] encrypted; `None` if it is something else.
    #[must_use]
    pub fn unseal(&self, about: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let nonce = sealed.split_off(sealed.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let about = Aad::from(about.as_bytes());
        let key = self.sealing_key()?;
        let length = key.open_in_place(nonce, about, &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }

    fn sealing_key(&self) -> Option<LessSafeKey> {
        let secret = self.inner.key.expose_secret().as_bytes();
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        let key = UnboundKey::new(&CHACHA20_POLY1305, derived.as_ref()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;

    use super::*;
    use crate::connection::{Connection, ConnectionOptions};
    use crate::project::Project;

    #[test]
    fn only_the_same_key_and_subject_read_it() {
        let options = ConnectionOptions::new("http://127.0.0.1:1".parse().unwrap());
        let connection = Arc::new(Connection::new(&options).unwrap());
        let client = |key: &str| {
            let key = SecretString::from(key);
            Client::new(Arc::clone(&connection), key, Project::Number(1))
        };
        let data = b"ada@example.com".to_vec();
        let sealed = client("phx_1").seal("this", data.clone()).unwrap();
        assert!(!sealed.windows(3).any(|part| part == b"ada"));
        assert_ne!(
            client("phx_1").seal("this", data.clone()),
            Some(sealed.clone())
        );
        let read = |key, about| client(key).unseal(about, sealed.clone());
        assert_eq!(read("phx_1", "this"), Some(data));
        assert_eq!(read("phx_1", "that"), None);
        assert_eq!(read("phx_2", "this"), None);
        let mut altered = sealed.clone();
        altered[0] ^= 1;
        assert_eq!(client("phx_1").unseal("this", altered), None);
        assert_eq!(client("phx_1").unseal("this", vec![1]), None);
    }
}
