//! Text that end users or PostHog wrote, as a type of its own.
//!
//! Anybody who sends events to a project can name a person, a property or a distinct id, so that all of it can hold
//! instructions for a model, characters that no reader sees, or personal data that the operator redacts.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A value that must be sanitized and redacted before anything shows it.
///
/// It cannot be formatted, serialized or dereferenced: code that needs the value calls [`Untrusted::expose_untrusted`], and
/// only the server's sanitizer does. It can be compared with text, and sent back to PostHog by this crate.
///
/// ```
/// use posthog_client::Untrusted;
/// let name = Untrusted::from("Ada".to_owned());
/// assert!(name == *"Ada");
/// assert_eq!(format!("{name:?}"), "Untrusted");
/// ```
///
/// ```compile_fail
/// use posthog_client::Untrusted;
/// println!("{}", Untrusted::from("Ada"));
/// ```
///
/// ```compile_fail
/// use posthog_client::Untrusted;
/// serde_json::to_string(&Untrusted::from("Ada")).unwrap();
/// ```
///
/// ```compile_fail
/// use posthog_client::Untrusted;
/// let name: &str = *Untrusted::from("Ada");
/// ```
///
/// ```compile_fail
/// use posthog_client::Untrusted;
/// let name: &str = Untrusted::from("Ada".to_owned()).as_ref();
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Untrusted<T>(T);

impl<T> Untrusted<T> {
    /// The value itself, unsanitized.
    pub fn expose_untrusted(&self) -> &T {
        &self.0
    }

    /// The value itself, unsanitized and without a copy.
    pub fn expose_untrusted_owned(self) -> T {
        self.0
    }

    /// Derives a value that is as untrusted as this one.
    pub(crate) fn map<U>(self, derive: impl FnOnce(T) -> U) -> Untrusted<U> {
        Untrusted(derive(self.0))
    }
}

impl<T> From<T> for Untrusted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: AsRef<str>> PartialEq<str> for Untrusted<T> {
    fn eq(&self, text: &str) -> bool {
        self.0.as_ref() == text
    }
}

impl<T> fmt::Debug for Untrusted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Untrusted")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Untrusted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
