//! The virtual clock. It starts at the time of the seed, so that seeded times keep their distance from now.

use std::time::{Duration, Instant};

use super::dates::Time;

/// The start of every sandbox with the built-in story: a Monday morning.
pub(crate) const START: &str = "2026-11-02T09:00:00Z";

/// How virtual time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// With real time, and further with every `advance`.
    #[default]
    Real,
    /// Only with `advance`.
    Manual,
}

pub(crate) struct RunningClock {
    kind: Clock,
    start: Time,
    started: Instant,
    advanced: Duration,
}

impl RunningClock {
    pub(crate) fn start(kind: Clock, start: Time) -> Self {
        Self {
            kind,
            start,
            started: Instant::now(),
            advanced: Duration::ZERO,
        }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// In microseconds, the precision of the API's times.
    pub(crate) fn now(&self) -> Time {
        let elapsed = match self.kind {
            Clock::Real => self.started.elapsed().saturating_add(self.advanced),
            Clock::Manual => self.advanced,
        };
        let micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX / 2);
        self.start
            .checked_add_signed(chrono::Duration::microseconds(micros))
            .unwrap_or(self.start)
    }
}
