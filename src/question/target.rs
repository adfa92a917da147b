//! A person that a write is about, and the digest of facts.

use std::fmt;
use std::hash::{Hash, Hasher};

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

// A person that would be changed or deleted. All texts are sanitized and redacted. No documentation comments: they would
// become part of the schema.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Target {
    pub uuid: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    // The first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distinct_ids: Vec<String>,
    pub distinct_id_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    // The distinct ids of the call that led to this person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub digest: FactsDigest,
}

/// A digest of the facts of a preview, as PostHog sent them: before anything is redacted or truncated.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FactsDigest([u8; 32]);

impl FactsDigest {
    /// The digest of everything that is hashed.
    #[must_use]
    pub fn new(facts: &impl Hash) -> Self {
        let mut hasher = Sha256Hasher(Sha256::new());
        facts.hash(&mut hasher);
        Self(hasher.0.finalize().into())
    }

    /// The digest itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for FactsDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FactsDigest")
    }
}

/// Feeds what is hashed to SHA-256. The standard library's hashes of texts and lists have no common prefix.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest
            .iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_differ_where_facts_differ() {
        let digest = |facts: &[&str]| FactsDigest::new(&facts);
        assert!(digest(&["ab", "c"]) == digest(&["ab", "c"]));
        assert!(digest(&["ab", "c"]) != digest(&["a", "bc"]));
        assert!(digest(&["abc"]) != digest(&["abc", ""]));
    }
}
