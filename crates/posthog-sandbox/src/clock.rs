//! The virtual clock. It always starts at the same instant, so that seeded times stay in the same
//! distance from now.

use std::time::{Duration, Instant};

use super::dates::{Time, instant};

/// The moment every sandbox starts at: a Monday morning.
pub(super) const START: &str = "2026-11-02T09:00:00Z";

/// How virtual time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// As fast as real time, and further with every `advance`.
    #[default]
    Real,
    /// Only by `advance`.
    Manual,
}

pub(super) struct RunningClock {
    kind: Clock,
    started: Instant,
    advanced: Duration,
}

impl RunningClock {
    pub(super) fn start(kind: Clock) -> Self {
        Self {
            kind,
            started: Instant::now(),
            advanced: Duration::ZERO,
        }
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// Cut to microseconds, which is all that the API's times can say.
    pub(super) fn now(&self) -> Time {
        let elapsed = match self.kind {
            Clock::Real => self.started.elapsed().saturating_add(self.advanced),
            Clock::Manual => self.advanced,
        };
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX / 2);
        let start = instant(START);
        start
            .checked_add_signed(chrono::Duration::microseconds(micros))
            .unwrap_or(start)
    }
}
