//! Which project a client works on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
pub struct ResolvedProject(Arc<Resolved>);

#[derive(Debug, Default)]
struct Resolved {
    number: OnceCell<u64>,
    /// Whether every process that serves the key uses this number.
    settled: AtomicBool,
}

impl ResolvedProject {
    pub(crate) fn number(&self) -> &OnceCell<u64> {
        &self.0.number
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.0.settled.load(Ordering::Acquire)
    }

    /// Settles on a number, unless another is in use here.
    pub(crate) fn settle(&self, number: u64) -> bool {
        // An error means that there is one already.
        let _ = self.0.number.set(number);
        let same = self.0.number.get() == Some(&number);
        self.0.settled.fetch_or(same, Ordering::AcqRel);
        same
    }
}
