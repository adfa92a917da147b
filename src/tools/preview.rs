//! What a write would do: the question for the user, the text for the model, and what a confirmation is bound to.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::ToolError;
use super::pending_write::{Status, to_value};
use crate::output::ToolOutput;

/// What a write would do.
pub struct Preview<T> {
    /// The question for a human.
    pub question: Question,
    /// The same for the model, continuing the sentence "A call without dry_run would".
    pub text: String,
    /// The same as fields.
    pub facts: T,
    /// What the facts are made of: if that changes, a confirmation no longer matches.
    pub digest: FactsDigest,
}

/// A question for a human, in lines of at most 70 characters that no name of a person can forge.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is done, as a button says it: "Delete 30 persons".
    pub action: String,
    /// What happens to how many; their names; what goes and what stays; where. Complete in themselves: some clients show
    /// four lines, each cut at the width of the terminal.
    pub summary: [String; 4],
    /// Every person, and what else there is to know.
    pub details: Vec<String>,
}

impl Question {
    /// The whole question. `open_for` says how long it can be answered.
    #[must_use]
    pub fn text(&self, open_for: &str) -> String {
        let open_for = format!("This question is open for {open_for}.");
        let lines = self.summary.iter().chain([&open_for]).chain(&self.details);
        lines.fold(String::new(), |text, line| text + line + "\n")
    }
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

/// The fields of a result that shows a preview.
#[derive(Serialize)]
struct PreviewFields<'a, T> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation: Option<&'a str>,
    /// The whole text: many clients give the model the fields alone, and what it says must reach it.
    message: &'a str,
    #[serde(flatten)]
    facts: &'a T,
}

impl<T: Serialize> Preview<T> {
    /// The fields of a result that asks for a confirmation by token. `message` is its text.
    ///
    /// # Errors
    /// When they have no JSON form, which is a defect.
    pub fn confirmation_required(&self, token: &str, message: &str) -> Result<Value, ToolError> {
        to_value(&PreviewFields {
            status: Status::ConfirmationRequired,
            confirmation: Some(token),
            message,
            facts: &self.facts,
        })
    }

    pub(super) fn dry_run(&self) -> Result<ToolOutput<Value>, ToolError> {
        let text = format!(
            "Nothing was sent. A call without dry_run would {}",
            self.text
        );
        let structured = to_value(&PreviewFields {
            status: Status::DryRun,
            confirmation: None,
            message: &text,
            facts: &self.facts,
        })?;
        Ok(ToolOutput { structured, text })
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
