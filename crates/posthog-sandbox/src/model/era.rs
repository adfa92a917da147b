//! The versions of PostHog that the sandbox can stand for.

use std::fmt;
use std::str::FromStr;

/// A version of PostHog, by the month of its code (Persons API, Versions). Later ones compare as greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// A self-hosted instance of August 2025: it knows neither partial splits nor `keep_person`, and has no batch reads,
    /// deletion status or properties at a time.
    August2025,
    /// The persons endpoints of mid-2026: a bulk deletion is complete when the response is sent.
    June2026,
    /// PostHog Cloud since September 2026: bulk deletions are queued, and `persons_deleted: 0` is success.
    #[default]
    September2026,
}

impl Era {
    pub const ALL: [Self; 3] = [Self::August2025, Self::June2026, Self::September2026];

    /// The month, such as `2026-09`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::August2025 => "2025-08",
            Self::June2026 => "2026-06",
            Self::September2026 => "2026-09",
        }
    }
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Era {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let mut eras = Self::ALL.into_iter();
        let found = eras.find(|era| era.as_str() == written);
        found.ok_or_else(|| "expected 2025-08, 2026-06 or 2026-09".to_owned())
    }
}
