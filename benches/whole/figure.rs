//! The figures: what was measured, beside what, and against which goal; as a table, as JSON and as a plot.

use std::fmt::Write;

use serde_json::{Value, json};

/// One line of the table.
pub struct Figure {
    pub name: String,
    pub unit: Unit,
    pub value: f64,
    /// What was measured in the same run to compare it with.
    pub beside: Option<Beside>,
    pub goal: Option<Goal>,
}

/// Something to compare a figure with.
pub struct Beside {
    pub name: &'static str,
    pub value: f64,
    /// The figure divided by this one: the middle of the rounds' ratios.
    pub ratio: f64,
}

/// What the design asks for.
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
    ASecond,
}

impl Unit {
    /// A value in the unit's base, as it is read.
    fn shown(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Kilobytes => format!("{value:.1} KB"),
            Self::ASecond => format!("{value:.0}/s"),
        }
    }
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            beside: None,
            goal: None,
        }
    }

    /// Compares with one value.
    pub fn beside(self, name: &'static str, value: f64) -> Self {
        let ratio = self.value / value;
        self.beside_rounds(name, value, ratio)
    }

    /// Compares with a value where the ratio is known better than by the two.
    pub fn beside_rounds(mut self, name: &'static str, value: f64, ratio: f64) -> Self {
        self.beside = Some(Beside { name, value, ratio });
        self
    }

    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    fn ratio(&self) -> f64 {
        self.beside.as_ref().map_or(f64::NAN, |beside| beside.ratio)
    }

    /// How much of what the goal allows is used: 1 is just reached, less is better.
    fn used(&self) -> Option<f64> {
        Some(match self.goal? {
            Goal::AtMost(most) => self.value / most,
            Goal::RatioAtMost(most) => self.ratio() / most,
            Goal::RatioAtLeast(least) => least / self.ratio(),
        })
    }

    fn goal_shown(&self) -> String {
        match self.goal {
            None => String::new(),
            Some(Goal::AtMost(most)) => format!("at most {}", self.unit.shown(most)),
            Some(Goal::RatioAtMost(most)) => format!("at most {most}×"),
            Some(Goal::RatioAtLeast(least)) => format!("at least {least}×"),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.used() {
            None => "",
            Some(used) if used <= 1.0 => "yes",
            Some(_) => "no",
        }
    }

    fn json(&self) -> Value {
        let beside = self.beside.as_ref().map(
            |beside| json!({"name": beside.name, "value": beside.value, "ratio": beside.ratio}),
        );
        json!({
            "name": self.name, "value": self.value, "shown": self.unit.shown(self.value), "beside": beside,
            "goal": self.goal.map(|_| self.goal_shown()), "used_of_goal": self.used(),
        })
    }
}

/// The table in Markdown.
pub fn table(figures: &[Figure]) -> String {
    let mut table =
        "| figure | this server | beside | ratio | goal | reached |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for figure in figures {
        let (beside, ratio) = figure
            .beside
            .as_ref()
            .map_or_else(Default::default, |beside| {
                let value = figure.unit.shown(beside.value);
                (
                    format!("{}: {value}", beside.name),
                    format!("{:.2}×", beside.ratio),
                )
            });
        let _ = writeln!(
            table,
            "| {} | {} | {beside} | {ratio} | {} | {} |",
            figure.name,
            figure.unit.shown(figure.value),
            figure.goal_shown(),
            figure.verdict(),
        );
    }
    table
}

/// Every number, for programs.
pub fn document(machine: &str, figures: &[Figure]) -> Value {
    let figures: Vec<Value> = figures.iter().map(Figure::json).collect();
    json!({"measured": machine, "figures": figures})
}

/// Where the plot's bars begin, and how long one is that just reaches its goal.
const LEFT: f64 = 380.0;
const GOAL: f64 = 260.0;
const WIDTH: f64 = 950.0;
/// What stands behind the longest bar.
const LABEL: f64 = 190.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;

/// The figures that have goals, as a plot in SVG: how much of what its goal allows each one uses.
pub fn plot(machine: &str, figures: &[Figure]) -> String {
    let bars: Vec<(&Figure, f64)> = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.used()?)))
        .collect();
    let bottom = TOP + ROW * bars.len() as f64;
    let height = bottom + 34.0;
    let line = LEFT + GOAL;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>How much of what its goal allows each figure uses; left of the line is within the goal</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{line}\" y=\"24\" text-anchor=\"middle\" fill=\"#333333\">goal</text>\n"
    );
    for ((figure, used), index) in bars.iter().zip(0_u8..) {
        let y = TOP + ROW * f64::from(index);
        // A figure far over its goal ends at the edge; its value says by how much.
        let length = (used * GOAL).min(WIDTH - LEFT - LABEL);
        let colour = if *used <= 1.0 { "#2a7f62" } else { "#c8553d" };
        let value = match figure.goal {
            Some(Goal::AtMost(_)) => figure.unit.shown(figure.value),
            _ => format!("{:.2}×", figure.ratio()),
        };
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#333333\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"16\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#333333\">{value}, {}</text>\n",
            LEFT - 10.0,
            y + 13.0,
            escaped(&figure.name),
            y,
            LEFT + length.max(GOAL) + 8.0,
            y + 13.0,
            figure.goal_shown(),
        );
    }
    let _ = write!(
        svg,
        "<line x1=\"{line}\" y1=\"32\" x2=\"{line}\" y2=\"{bottom}\" stroke=\"#333333\" stroke-dasharray=\"4 3\"/>\n\
         <text x=\"10\" y=\"{}\" fill=\"#777777\" font-size=\"11\">{}</text>\n</svg>\n",
        bottom + 22.0,
        escaped(machine),
    );
    svg
}

/// Markdown as text of the plot.
fn escaped(text: &str) -> String {
    text.replace('`', "")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
}
