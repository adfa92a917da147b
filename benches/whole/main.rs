//! End-to-end benchmark of the release binary, compared with goals: `cargo bench --bench whole`.
//!
//! Programs that are compared run alternately in the same rounds, so that other load on the machine affects all of them.
//! `-- --write` writes the table to `docs/performance.md` and the plot to `docs/performance.svg`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed measurement should panic"
)]

mod cost;
mod figure;
mod measure;
mod page;
mod process;
mod programs;
mod subject;
mod upstream;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use programs::{Programs, build_minimal};
use upstream::Upstream;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == upstream::ARGUMENT)
    {
        return upstream::serve();
    }
    let started = Instant::now();
    let programs = Programs {
        minimal: build_minimal(),
        upstream: Upstream::start(),
    };
    let mut figures = measure::starts(&programs);
    figures.extend(measure::calls(&programs));
    figures.extend(measure::peak_memory(&programs));
    figures.extend(measure::sizes(&programs));
    figures.extend(measure::tokens());
    let machine = machine();
    let table = figure::table(&figures);
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("performance.json");
    let document = figure::document(&machine, &figures);
    fs::write(&results, format!("{document:#}\n")).expect("a file");
    print(&format!(
        "\n{machine}; {:.0} s\n\n{table}\nResults as JSON: {}\n",
        started.elapsed().as_secs_f64(),
        results.display()
    ));
    if arguments.iter().any(|argument| argument == "--write") {
        write(&machine, &table, &figure::plot(&machine, &figures));
    }
}

fn print(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output is open");
}

/// The date and the machine.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let models: Vec<&str> = cpus
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| Some(line.split_once(':')?.1.trim()))
        .collect();
    format!(
        "{}, {} × {}, Linux {}",
        chrono::Utc::now().format("%Y-%m-%d"),
        models.len(),
        models.first().unwrap_or(&"unknown"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

const BEGIN: &str = "<!-- figures: begin -->\n";
const END: &str = "<!-- figures: end -->";

/// Writes the figures to the documentation.
fn write(machine: &str, table: &str, plot: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page).expect("the page");
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the begin marker of the figures");
    let (_, after) = rest.split_once(END).expect("the end marker of the figures");
    let text = format!("{before}{BEGIN}Measured {machine}.\n\n{table}{END}{after}");
    fs::write(page, text).expect("the page");
    fs::write(docs.join("performance.svg"), plot).expect("the plot");
}
