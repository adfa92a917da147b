//! What rounds of calls cost.

use std::time::{Duration, Instant};

use crate::subject::{Call, Subject};

use crate::ROUNDS;

/// What one round of calls cost.
#[derive(Clone)]
pub(super) struct Cost {
    pub(super) calls: f64,
    pub(super) cpu: Duration,
    pub(super) elapsed: Duration,
}

impl Cost {
    pub(super) fn cpu(&self) -> f64 {
        milliseconds(self.cpu) * 1e3 / self.calls
    }

    pub(super) fn time(&self) -> f64 {
        milliseconds(self.elapsed) * 1e3 / self.calls
    }

    pub(super) fn a_second(&self) -> f64 {
        self.calls / self.elapsed.as_secs_f64()
    }
}

/// Who makes which call.
pub(super) type Turn<'a> = (&'a mut dyn Subject, &'a Call);

/// Lets the subjects make their calls in turn, after a round that does not count; the costs of each.
pub(super) fn rounds(turns: &mut [Turn], count: usize, in_flight: usize) -> Vec<Vec<Cost>> {
    let mut costs = vec![Vec::new(); turns.len()];
    for round in 0..=ROUNDS {
        for ((subject, call), costs) in turns.iter_mut().zip(&mut costs) {
            let (before, started) = (subject.process().cpu(), Instant::now());
            subject.run(call, count, in_flight);
            let elapsed = started.elapsed();
            let cost = Cost {
                calls: count as f64,
                cpu: subject.process().cpu().saturating_sub(before),
                elapsed,
            };
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    costs
}

pub(super) fn each(costs: &[Cost], measure: fn(&Cost) -> f64) -> Vec<f64> {
    costs.iter().map(measure).collect()
}

pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
