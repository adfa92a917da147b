//! The figures that the design sets goals for, measured on the release binary from outside: `cargo bench --bench whole`.
//!
//! Everything that is compared runs in the same rounds, in turn, so that whatever else the machine does falls on all
//! alike. `-- --write` puts the table and the plot into `docs/performance.md` and beside it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement that fails should stop where it fails"
)]

mod cost;
mod figure;
mod page;
mod process;
mod programs;
mod subject;
mod upstream;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use cost::{Cost, Turn, each, median, milliseconds, rounds};
use figure::{Figure, Goal, Unit};
use page::PAGE;
use programs::{Programs, build_minimal};
use subject::{Call, Direct, Http, Start, Stdio, Subject};
use upstream::{BIG, Upstream};

/// Without optimization nothing is worth measuring: such a run only shows that the measurements work.
const TRIAL: bool = cfg!(debug_assertions);
/// Rounds of calls.
const ROUNDS: usize = if TRIAL { 1 } else { 9 };
/// Starts of each server.
const STARTS: usize = if TRIAL { 2 } else { 30 };
/// Calls of a round, one after the other.
const ALONE: usize = if TRIAL { 10 } else { 500 };
/// Concurrent calls of a round.
const TOGETHER: usize = if TRIAL { 256 } else { 6400 };
const IN_FLIGHT: usize = 64;

const MINIMAL: &str = "minimal";
const REQUEST: &str = "the request alone";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == upstream::ARGUMENT)
    {
        return upstream::serve();
    }
    let begun = Instant::now();
    let programs = Programs {
        minimal: build_minimal(),
        upstream: Upstream::start(),
    };
    let mut figures = starts(&programs);
    figures.extend(calls(&programs));
    figures.extend(memory_of_big_answers(&programs));
    figures.extend(sizes(&programs));
    let machine = machine();
    let table = figure::table(&figures);
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("performance.json");
    let document = figure::document(&machine, &figures);
    fs::write(&results, format!("{document:#}\n")).expect("a file");
    say(&format!(
        "\n{machine}; {:.0} s\n\n{table}\nEvery number: {}\n",
        begun.elapsed().as_secs_f64(),
        results.display()
    ));
    if arguments.iter().any(|argument| argument == "--write") {
        write(&machine, &table, &figure::plot(&machine, &figures));
    }
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("a reader");
}

/// How long servers take to start, and how much memory they take then.
fn starts(programs: &Programs) -> Vec<Figure> {
    let mut figures = Vec::new();
    let ours = || {
        let (server, start) = Stdio::start(programs.ours_on_stdio(&[]));
        (start, server.process().memory("VmRSS"))
    };
    let minimal = || {
        let (server, start) = Stdio::start(programs.minimal(&[]));
        (start, server.process().memory("VmRSS"))
    };
    let [start, least, memory] = start_figures("stdio", ours, minimal);
    figures.extend([
        start.goal(Goal::RatioAtMost(2.0)),
        least,
        memory.goal(Goal::AtMost(10.0)),
    ]);
    let ours = || {
        let (server, start) = Http::start(|address| programs.ours_on_http(address));
        (start, server.process().memory("VmRSS"))
    };
    let minimal = || {
        let (server, start) = Http::start(|address| programs.minimal_on_http(address));
        (start, server.process().memory("VmRSS"))
    };
    figures.extend(start_figures("HTTP", ours, minimal));
    figures
}

fn start_figures(
    transport: &str,
    ours: impl Fn() -> (Start, f64),
    minimal: impl Fn() -> (Start, f64),
) -> [Figure; 3] {
    say(&format!("starting both {STARTS} times, {transport}"));
    let (mut took, mut memory) = ([vec![], vec![]], [vec![], vec![]]);
    for _ in 0..STARTS {
        for ((start, bytes), side) in [ours(), minimal()].into_iter().zip(0..) {
            took[side].push(milliseconds(start.took));
            memory[side].push(bytes / 1e6);
        }
    }
    let least = took
        .clone()
        .map(|times| times.into_iter().fold(f64::MAX, f64::min));
    let name = format!("start to `tools/list` answered, {transport}");
    [
        compared(&name, Unit::Milliseconds, &took[0], MINIMAL, &took[1]),
        Figure::new(
            format!("the same, the quickest of {STARTS}"),
            Unit::Milliseconds,
            least[0],
        )
        .beside(MINIMAL, least[1]),
        compared(
            &format!("resident memory after `tools/list`, {transport}"),
            Unit::Megabytes,
            &memory[0],
            MINIMAL,
            &memory[1],
        ),
    ]
}

/// What calls cost.
fn calls(programs: &Programs) -> Vec<Figure> {
    let upstream = &programs.upstream;
    let fetch = |url: String| Call {
        tool: "fetch",
        arguments: json!({"url": url}),
        answer: " bytes",
    };
    let hello = Call {
        tool: "hello",
        arguments: json!({}),
        answer: "hello",
    };
    // The shortest way through a tool that asks PostHog nothing: what it is given cannot be a person's id.
    let refused = Call {
        tool: "persons-retrieve",
        arguments: json!({"id": "nobody"}),
        answer: "\"isError\":true",
    };
    let person = Call {
        tool: "persons-retrieve",
        arguments: json!({"id": page::uuid(0)}),
        answer: "\"isError\":false",
    };
    let list = Call {
        tool: "persons-list",
        arguments: json!({"limit": PAGE}),
        answer: "\"isError\":false",
    };
    let fetch_person = fetch(upstream.person());
    let fetch_page = fetch(upstream.page(PAGE));
    let mut direct = Direct::start(programs.minimal(&["--direct"]));
    let mut figures = Vec::new();
    for transport in ["stdio", "HTTP"] {
        let (mut ours, mut minimal): (Box<dyn Subject>, Box<dyn Subject>) = match transport {
            "stdio" => (
                Box::new(Stdio::start(programs.ours_on_stdio(&[])).0),
                Box::new(Stdio::start(programs.minimal(&[])).0),
            ),
            _ => (
                Box::new(Http::start(|address| programs.ours_on_http(address)).0),
                Box::new(Http::start(|address| programs.minimal_on_http(address)).0),
            ),
        };
        say(&format!("calls that ask PostHog nothing, {transport}"));
        let mut turns: [Turn; 2] = [(&mut *ours, &refused), (&mut *minimal, &hello)];
        let one = rounds(&mut turns, ALONE, 1);
        let many = rounds(&mut turns, TOGETHER, IN_FLIGHT);
        let what = format!("a call without a request, {transport}");
        figures.extend(call_figures(&what, MINIMAL, &one, &many));

        say(&format!("calls with one small request, {transport}"));
        let mut turns: [Turn; 3] = [
            (&mut *ours, &person),
            (&mut *minimal, &fetch_person),
            (&mut direct, &fetch_person),
        ];
        let one = rounds(&mut turns, ALONE, 1);
        let many = rounds(&mut turns, TOGETHER / 2, IN_FLIGHT);
        let what = format!("a call with a small request, {transport}");
        let [time, cpu, throughput] = call_figures(&what, MINIMAL, &one, &many);
        figures.extend([time, cpu, throughput.goal(Goal::RatioAtLeast(0.6))]);
        let without_minimal = |rounds: &[Vec<Cost>]| [rounds[0].clone(), rounds[2].clone()];
        figures.extend(call_figures(
            &what,
            REQUEST,
            &without_minimal(&one),
            &without_minimal(&many),
        ));

        say(&format!("pages of {PAGE} persons, {transport}"));
        let mut turns: [Turn; 2] = [(&mut *ours, &list), (&mut direct, &fetch_page)];
        let one = rounds(&mut turns, ALONE, 1);
        let many = rounds(&mut turns, ALONE, IN_FLIGHT);
        let what = format!("a page of {:.0} KB, {transport}", page_bytes() / 1e3);
        figures.extend(call_figures(&what, REQUEST, &one, &many));
        let [ours, request] = [0, 1].map(|side| each(&one[side], Cost::cpu));
        let on_top: Vec<f64> = ours.iter().zip(&request).map(|(a, b)| a - b).collect();
        let figure = Figure::new(
            format!("{what}: cpu on top of the request"),
            Unit::Milliseconds,
            median(&on_top) / 1e3,
        );
        figures.push(figure.goal(Goal::AtMost(0.6)));
    }
    figures
}

fn call_figures(
    what: &str,
    beside: &'static str,
    one: &[Vec<Cost>],
    many: &[Vec<Cost>],
) -> [Figure; 3] {
    let figure = |name: &str, unit, rounds: &[Vec<Cost>], measure: fn(&Cost) -> f64| {
        let [ours, theirs] = [0, 1].map(|side| each(&rounds[side], measure));
        compared(&format!("{what}: {name}"), unit, &ours, beside, &theirs)
    };
    [
        figure("time, one at a time", Unit::Microseconds, one, Cost::time),
        figure("cpu, one at a time", Unit::Microseconds, one, Cost::cpu),
        figure("calls, 64 in flight", Unit::ASecond, many, Cost::a_second),
    ]
}

/// How much memory is taken at most while so many answers of 1 MB are under way.
fn memory_of_big_answers(programs: &Programs) -> Vec<Figure> {
    say(&format!("{IN_FLIGHT} answers of 1 MB at once"));
    let list = Call {
        tool: "persons-list",
        arguments: json!({"limit": BIG}),
        answer: "\"isError\":false",
    };
    let fetch = Call {
        tool: "fetch",
        arguments: json!({"url": programs.upstream.page(BIG)}),
        answer: " bytes",
    };
    let peak = |mut server: Box<dyn Subject>, call: &Call| {
        server.run(call, IN_FLIGHT, IN_FLIGHT);
        server.process().memory("VmHWM") / 1e6
    };
    let stdio = [
        peak(Box::new(Stdio::start(programs.ours_on_stdio(&[])).0), &list),
        peak(Box::new(Stdio::start(programs.minimal(&[])).0), &fetch),
    ];
    let ours = Http::start(|address| programs.ours_on_http(address)).0;
    let minimal = Http::start(|address| programs.minimal_on_http(address)).0;
    let http = [peak(Box::new(ours), &list), peak(Box::new(minimal), &fetch)];
    [("stdio", stdio), ("HTTP", http)]
        .map(|(transport, [ours, minimal])| {
            let name = format!("peak memory, {IN_FLIGHT} answers of 1 MB in flight, {transport}");
            Figure::new(name, Unit::Megabytes, ours)
                .beside(MINIMAL, minimal)
                .goal(Goal::AtMost(200.0))
        })
        .into()
}

/// What does not depend on the machine.
fn sizes(programs: &Programs) -> Vec<Figure> {
    let kilobytes = |bytes: usize| bytes as f64 / 1e3;
    let (mut server, whole) = Stdio::start(programs.ours_on_stdio(&[]));
    let (_, bare) = Stdio::start(programs.ours_on_stdio(&["--structured", "off"]));
    let list = |name: &str, bytes: usize, most: f64| {
        Figure::new(name, Unit::Kilobytes, kilobytes(bytes)).goal(Goal::AtMost(most))
    };
    let result = server.call(&Call {
        tool: "persons-list",
        arguments: json!({"limit": PAGE}),
        answer: "\"isError\":false",
    });
    let text = result["content"][0]["text"].as_str().expect("text").len();
    let persons = |name: &str| Figure::new(name, Unit::Kilobytes, kilobytes(text));
    let megabytes = |path: &Path| fs::metadata(path).expect("a file").len() as f64 / 1e6;
    let binary = Path::new(env!("CARGO_BIN_EXE_posthog-persons-mcp"));
    vec![
        list("`tools/list`", whole.list, 24.0),
        list("`tools/list`, `--structured off`", bare.list, 14.0),
        persons("text of 100 persons, default columns")
            .beside("the same facts as JSON", kilobytes(same_facts()))
            .goal(Goal::RatioAtMost(0.5)),
        persons("text of 100 persons, default columns")
            .beside("PostHog's answer", page_bytes() / 1e3),
        Figure::new("release binary", Unit::Megabytes, megabytes(binary))
            .beside(MINIMAL, megabytes(&programs.minimal))
            .goal(Goal::AtMost(9.0)),
    ]
}

fn page_bytes() -> f64 {
    page::page(PAGE).len() as f64
}

/// Bytes of the page's persons as compact JSON, with those fields alone that PostHog's own MCP server keeps.
fn same_facts() -> usize {
    let kept = (0..PAGE).map(|number| {
        let mut person = page::person(number);
        let fields = [
            "id",
            "uuid",
            "name",
            "distinct_ids",
            "created_at",
            "last_seen_at",
        ];
        let mut kept: Value = fields
            .iter()
            .map(|field| ((*field).to_owned(), person[*field].take()))
            .collect();
        kept["properties"] = ["email", "$geoip_country_code"]
            .iter()
            .map(|key| ((*key).to_owned(), person["properties"][*key].take()))
            .collect();
        kept
    });
    json!({"results": kept.collect::<Value>()})
        .to_string()
        .len()
}

/// A figure of several rounds, beside that of the same rounds.
fn compared(name: &str, unit: Unit, ours: &[f64], beside: &'static str, theirs: &[f64]) -> Figure {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    Figure::new(name, unit, median(ours)).beside_rounds(beside, median(theirs), median(&ratios))
}

/// When and on what.
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

/// Puts the figures into the documentation.
fn write(machine: &str, table: &str, plot: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("where the figures begin");
    let (_, after) = rest.split_once(END).expect("where the figures end");
    let text = format!("{before}{BEGIN}Measured {machine}.\n\n{table}{END}{after}");
    fs::write(page, text).expect("the page");
    fs::write(docs.join("performance.svg"), plot).expect("the plot");
}
