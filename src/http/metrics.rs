//! `/metrics` in the Prometheus text format. Labels are tools, outcomes and statuses, never personal data.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Histogram buckets in seconds, from a small response to PostHog's own timeout.
const BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder, once per process.
    ///
    /// # Errors
    /// When another recorder is installed.
    pub fn install() -> Result<Self, BuildError> {
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
            .install_recorder()?;
        metrics::describe_counter!("mcp_tool_calls_total", "Tool calls by tool and outcome");
        metrics::describe_histogram!("mcp_tool_call_seconds", "Duration of tool calls by tool");
        metrics::describe_gauge!("mcp_requests_in_flight", "Requests in flight");
        metrics::describe_gauge!("mcp_sessions", "Open sessions");
        metrics::describe_counter!(
            "posthog_requests_total",
            "PostHog requests by response status; `error` without a response"
        );
        Ok(Self(handle))
    }

    /// Keeps histograms small while nothing scrapes them.
    pub(super) async fn run_upkeep(&self) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
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
