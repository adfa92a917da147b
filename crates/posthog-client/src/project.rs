//! Which project a client works on.

use std::sync::Arc;

use tokio::sync::OnceCell;

/// The project a client works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Project {
    /// This one.
    Number(u64),
    /// The one that the key's owner has selected in PostHog when the first call needs it, if the key may use it.
    Current,
}

impl std::str::FromStr for Project {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "@current" => Ok(Self::Current),
            number => number
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .map(Self::Number)
                .ok_or(
                    "a project is a number, as in the address of its settings page, or @current",
                ),
        }
    }
}

/// A project's number once it is known. Clones share it; it holds no key.
#[derive(Debug, Clone, Default)]
pub struct ResolvedProject(pub(crate) Arc<OnceCell<u64>>);
