//! What `/metrics` shows, in Prometheus' format: numbers by tool, outcome and status, nothing about anybody.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds, from a small answer to PostHog's patience.
const SECONDS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

const UPKEEP: Duration = Duration::from_secs(5);

/// The numbers of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Begins counting. Once for a process.
    ///
    /// # Errors
    /// When somebody else in the process counts already.
    pub fn start() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder()?;
        metrics::describe_counter!("mcp_tool_calls_total", "Tool calls by tool and outcome");
        metrics::describe_histogram!("mcp_tool_call_seconds", "How long tool calls took, by tool");
        metrics::describe_gauge!("mcp_requests_in_flight", "Requests under way");
        metrics::describe_gauge!("mcp_sessions", "Open sessions of the older protocol");
        metrics::describe_counter!(
            "posthog_requests_total",
            "Answers of PostHog by status; error: none"
        );
        Ok(Self(handle))
    }

    /// Keeps the memory of what was measured small where nobody reads it.
    pub(super) async fn run_upkeep(&self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }

    pub(super) fn render(&self) -> String {
        self.0.render()
    }
}

pub(super) fn sessions(count: usize) {
    metrics::gauge!("mcp_sessions").set(count as f64);
}
