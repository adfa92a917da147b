//! Measures rounds of calls.

use std::time::{Duration, Instant};

use crate::subject::{Call, Subject};

use crate::measure::ROUNDS;

/// The CPU time and duration of one round of calls.
#[derive(Clone)]
pub(super) struct RoundCost {
    pub(super) calls: f64,
    pub(super) cpu: Duration,
    pub(super) elapsed: Duration,
}

impl RoundCost {
    /// CPU time per call in microseconds.
    pub(super) fn cpu(&self) -> f64 {
        milliseconds(self.cpu) * 1e3 / self.calls
    }

    /// Wall time per call in microseconds.
    pub(super) fn latency(&self) -> f64 {
        milliseconds(self.elapsed) * 1e3 / self.calls
    }

    /// Calls per second.
    pub(super) fn throughput(&self) -> f64 {
        self.calls / self.elapsed.as_secs_f64()
    }
}

/// A subject and the call that it runs.
pub(super) type Workload<'a> = (&'a mut dyn Subject, &'a Call);

/// Runs the workloads alternately for a warm-up round and [`ROUNDS`] measured rounds; reworkloads the costs of each workload.
pub(super) fn measure_rounds(
    workloads: &mut [Workload],
    count: usize,
    in_flight: usize,
) -> Vec<Vec<RoundCost>> {
    let mut costs = vec![Vec::new(); workloads.len()];
    for round in 0..=ROUNDS {
        for ((subject, call), costs) in workloads.iter_mut().zip(&mut costs) {
            let (before, started) = (subject.process().cpu(), Instant::now());
            subject.run(call, count, in_flight);
            let elapsed = started.elapsed();
            let cost = RoundCost {
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

pub(super) fn values(costs: &[RoundCost], measure: fn(&RoundCost) -> f64) -> Vec<f64> {
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
