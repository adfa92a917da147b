//! Figures with their baselines and goals, rendered as a table, as JSON and as a plot.

use std::fmt::Write;

use serde_json::{Value, json};

/// A measured value; one row of the table.
pub struct Figure {
    pub name: String,
    pub unit: Unit,
    pub value: f64,
    /// Measured in the same run, for comparison.
    pub baseline: Option<Baseline>,
    pub goal: Option<Goal>,
}

/// A value that a figure is compared with.
pub struct Baseline {
    pub name: &'static str,
    pub value: f64,
    /// The figure divided by the baseline; with several rounds the median of their ratios.
    pub ratio: f64,
}

/// A goal of the design.
#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

#[derive(Clone, Copy)]
pub enum Unit {
    Milliseconds,
    Microseconds,
    Megabytes,
    Kilobytes,
    PerSecond,
    Tokens,
}

impl Unit {
    /// Formats a value of this unit.
    fn format(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Kilobytes => format!("{value:.1} KB"),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Tokens => format!("{value:.0} tokens"),
        }
    }
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            baseline: None,
            goal: None,
        }
    }

    /// Sets a baseline with a single value.
    pub fn with_baseline(self, name: &'static str, value: f64) -> Self {
        let ratio = self.value / value;
        self.with_baseline_ratio(name, value, ratio)
    }

    /// Sets a baseline whose ratio was determined separately, from several rounds.
    pub fn with_baseline_ratio(mut self, name: &'static str, value: f64, ratio: f64) -> Self {
        self.baseline = Some(Baseline { name, value, ratio });
        self
    }

    pub fn with_goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    fn ratio(&self) -> f64 {
        self.baseline
            .as_ref()
            .map_or(f64::NAN, |baseline| baseline.ratio)
    }

    /// The figure as a share of its goal: the goal is met up to 1.
    fn share_of_goal(&self) -> Option<f64> {
        Some(match self.goal? {
            Goal::AtMost(max) => self.value / max,
            Goal::RatioAtMost(max) => self.ratio() / max,
            Goal::RatioAtLeast(min) => min / self.ratio(),
        })
    }

    fn format_goal(&self) -> String {
        match self.goal {
            None => String::new(),
            Some(Goal::AtMost(max)) => format!("at most {}", self.unit.format(max)),
            Some(Goal::RatioAtMost(max)) => format!("at most {max}×"),
            Some(Goal::RatioAtLeast(min)) => format!("at least {min}×"),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.share_of_goal() {
            None => "",
            Some(share) if share <= 1.0 => "yes",
            Some(_) => "no",
        }
    }

    fn json(&self) -> Value {
        let baseline = self.baseline.as_ref().map(
            |baseline| json!({"name": baseline.name, "value": baseline.value, "ratio": baseline.ratio}),
        );
        json!({
            "name": self.name, "value": self.value, "formatted": self.unit.format(self.value), "baseline": baseline,
            "goal": self.goal.map(|_| self.format_goal()), "share_of_goal": self.share_of_goal(),
        })
    }
}

/// Renders the figures as a Markdown table.
pub fn table(figures: &[Figure]) -> String {
    let mut table =
        "| figure | this server | baseline | ratio | goal | met |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for figure in figures {
        let (baseline, ratio) =
            figure
                .baseline
                .as_ref()
                .map_or_else(Default::default, |baseline| {
                    let value = figure.unit.format(baseline.value);
                    (
                        format!("{}: {value}", baseline.name),
                        format!("{:.2}×", baseline.ratio),
                    )
                });
        let _ = writeln!(
            table,
            "| {} | {} | {baseline} | {ratio} | {} | {} |",
            figure.name,
            figure.unit.format(figure.value),
            figure.format_goal(),
            figure.verdict(),
        );
    }
    table
}

/// Renders the figures as JSON.
pub fn document(machine: &str, figures: &[Figure]) -> Value {
    let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
    json!({"measured": machine, "figures": figures})
}

/// Left edge of the bars.
const LEFT: f64 = 380.0;
/// Length of a bar that exactly meets its goal.
const GOAL_LENGTH: f64 = 260.0;
const WIDTH: f64 = 950.0;
/// Space for the label after the longest bar.
const LABEL_WIDTH: f64 = 190.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;

/// Renders the figures with goals as an SVG bar chart, each as a share of its goal.
pub fn plot(machine: &str, figures: &[Figure]) -> String {
    let bars: Vec<(&Figure, f64)> = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.share_of_goal()?)))
        .collect();
    let bottom = TOP + ROW * bars.len() as f64;
    let height = bottom + 34.0;
    let line = LEFT + GOAL_LENGTH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Each figure as a share of its goal; bars that end left of the line meet the goal</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{line}\" y=\"24\" text-anchor=\"middle\" fill=\"#333333\">goal</text>\n"
    );
    for ((figure, share), index) in bars.iter().zip(0_u8..) {
        let y = TOP + ROW * f64::from(index);
        // Clipped at the edge; the label has the value.
        let length = (share * GOAL_LENGTH).min(WIDTH - LEFT - LABEL_WIDTH);
        let colour = if *share <= 1.0 { "#2a7f62" } else { "#c8553d" };
        let value = match figure.goal {
            Some(Goal::AtMost(_)) => figure.unit.format(figure.value),
            _ => format!("{:.2}×", figure.ratio()),
        };
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#333333\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"16\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#333333\">{value}, {}</text>\n",
            LEFT - 10.0,
            y + 13.0,
            escape(&figure.name),
            y,
            LEFT + length.max(GOAL_LENGTH) + 8.0,
            y + 13.0,
            figure.format_goal(),
        );
    }
    let _ = write!(
        svg,
        "<line x1=\"{line}\" y1=\"32\" x2=\"{line}\" y2=\"{bottom}\" stroke=\"#333333\" stroke-dasharray=\"4 3\"/>\n\
         <text x=\"10\" y=\"{}\" fill=\"#777777\" font-size=\"11\">{}</text>\n</svg>\n",
        bottom + 22.0,
        escape(machine),
    );
    svg
}

/// Removes Markdown and escapes text for SVG.
fn escape(text: &str) -> String {
    text.replace('`', "")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}
