//! What is measured: startup, calls, peak memory and sizes, each against a baseline in the same rounds.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use posthog_persons_mcp::tools::catalog;

use crate::cost::{RoundCost, Workload, measure_rounds, median, milliseconds, values};
use crate::figure::{Figure, Goal, Unit};
use crate::page::{self, PAGE};
use crate::print;
use crate::programs::{Programs, with_sandbox};
use crate::subject::{Call, Direct, Http, Start, Stdio, Subject};
use crate::upstream::LARGE_PAGE;

/// An unoptimized build only checks that the measurements work.
pub(crate) const SMOKE_TEST: bool = cfg!(debug_assertions);
/// Measured rounds of calls.
pub(crate) const ROUNDS: usize = if SMOKE_TEST { 1 } else { 9 };
/// Starts of each server.
const STARTS: usize = if SMOKE_TEST { 2 } else { 30 };
/// Sequential calls per round.
const SEQUENTIAL_CALLS: usize = if SMOKE_TEST { 10 } else { 500 };
/// Concurrent calls per round, with [`IN_FLIGHT`] in flight.
const CONCURRENT_CALLS: usize = if SMOKE_TEST { 256 } else { 6400 };
const IN_FLIGHT: usize = 64;

pub(crate) const MINIMAL: &str = "minimal";
const REQUEST_ONLY: &str = "request only";

/// Startup time, and resident memory after startup.
pub(crate) fn starts(programs: &Programs) -> Vec<Figure> {
    let mut figures = Vec::new();
    let ours = || {
        let (server, start) = Stdio::start(programs.ours_on_stdio(&[]));
        (start, server.process().memory("VmRSS"))
    };
    let minimal = || {
        let (server, start) = Stdio::start(programs.minimal(&[]));
        (start, server.process().memory("VmRSS"))
    };
    let [start, fastest, memory] = start_figures("stdio", ours, minimal);
    figures.extend([
        start.with_goal(Goal::RatioAtMost(2.0)),
        fastest,
        memory.with_goal(Goal::AtMost(10.0)),
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
    print(&format!("{STARTS} starts of each server, {transport}"));
    let (mut durations, mut memory) = ([vec![], vec![]], [vec![], vec![]]);
    for _ in 0..STARTS {
        for ((start, bytes), side) in [ours(), minimal()].into_iter().zip(0..) {
            durations[side].push(milliseconds(start.duration));
            memory[side].push(bytes / 1e6);
        }
    }
    let fastest = durations
        .clone()
        .map(|times| times.into_iter().fold(f64::MAX, f64::min));
    let name = format!("start to `tools/list` response, {transport}");
    [
        compared(
            &name,
            Unit::Milliseconds,
            &durations[0],
            MINIMAL,
            &durations[1],
        ),
        Figure::new(
            format!("start to `tools/list` response, {transport}: fastest of {STARTS}"),
            Unit::Milliseconds,
            fastest[0],
        )
        .with_baseline(MINIMAL, fastest[1]),
        compared(
            &format!("resident memory after `tools/list`, {transport}"),
            Unit::Megabytes,
            &memory[0],
            MINIMAL,
            &memory[1],
        ),
    ]
}

/// Latency, CPU time and throughput of calls.
pub(crate) fn calls(programs: &Programs) -> Vec<Figure> {
    let upstream = &programs.upstream;
    let fetch = |url: String| Call {
        tool: "fetch",
        arguments: json!({"url": url}),
        expected: " bytes",
    };
    let hello = Call {
        tool: "hello",
        arguments: json!({}),
        expected: "hello",
    };
    // The arguments are invalid, so the tool sends no request to PostHog.
    let rejected = Call {
        tool: "persons-retrieve",
        arguments: json!({"id": "not-a-uuid"}),
        expected: "\"isError\":true",
    };
    let person = Call {
        tool: "persons-retrieve",
        arguments: json!({"id": page::uuid(0)}),
        expected: "\"isError\":false",
    };
    let list = Call {
        tool: "persons-list",
        arguments: json!({"limit": PAGE}),
        expected: "\"isError\":false",
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
        print(&format!("calls without a request, {transport}"));
        let mut workloads: [Workload; 2] = [(&mut *ours, &rejected), (&mut *minimal, &hello)];
        let one = measure_rounds(&mut workloads, SEQUENTIAL_CALLS, 1);
        let many = measure_rounds(&mut workloads, CONCURRENT_CALLS, IN_FLIGHT);
        let what = format!("call without a request, {transport}");
        let [latency, cpu, throughput] = call_figures(&what, MINIMAL, &one, &many);
        let latency = match transport {
            "stdio" => latency.with_goal(Goal::RatioAtMost(3.0)),
            _ => latency,
        };
        figures.extend([latency, cpu, throughput]);

        print(&format!("calls with a small request, {transport}"));
        let mut workloads: [Workload; 3] = [
            (&mut *ours, &person),
            (&mut *minimal, &fetch_person),
            (&mut direct, &fetch_person),
        ];
        let one = measure_rounds(&mut workloads, SEQUENTIAL_CALLS, 1);
        let many = measure_rounds(&mut workloads, CONCURRENT_CALLS / 2, IN_FLIGHT);
        let what = format!("call with a small request, {transport}");
        let [latency, cpu, throughput] = call_figures(&what, MINIMAL, &one, &many);
        figures.extend([latency, cpu, throughput.with_goal(Goal::RatioAtLeast(0.65))]);
        let without_minimal = |rounds: &[Vec<RoundCost>]| [rounds[0].clone(), rounds[2].clone()];
        figures.extend(call_figures(
            &what,
            REQUEST_ONLY,
            &without_minimal(&one),
            &without_minimal(&many),
        ));

        print(&format!("pages of {PAGE} persons, {transport}"));
        let mut workloads: [Workload; 2] = [(&mut *ours, &list), (&mut direct, &fetch_page)];
        let one = measure_rounds(&mut workloads, SEQUENTIAL_CALLS, 1);
        let many = measure_rounds(&mut workloads, SEQUENTIAL_CALLS, IN_FLIGHT);
        let what = format!("page of {:.0} KB, {transport}", page_bytes() / 1e3);
        figures.extend(call_figures(&what, REQUEST_ONLY, &one, &many));
        let [ours, request] = [0, 1].map(|side| values(&one[side], RoundCost::cpu));
        let overheads: Vec<f64> = ours.iter().zip(&request).map(|(a, b)| a - b).collect();
        let figure = Figure::new(
            format!("{what}: CPU time beyond the request"),
            Unit::Milliseconds,
            median(&overheads) / 1e3,
        );
        figures.push(figure.with_goal(Goal::AtMost(0.4)));
    }
    figures
}

fn call_figures(
    what: &str,
    baseline: &'static str,
    one: &[Vec<RoundCost>],
    many: &[Vec<RoundCost>],
) -> [Figure; 3] {
    let figure = |name: &str, unit, rounds: &[Vec<RoundCost>], measure: fn(&RoundCost) -> f64| {
        let [ours, theirs] = [0, 1].map(|side| values(&rounds[side], measure));
        compared(&format!("{what}: {name}"), unit, &ours, baseline, &theirs)
    };
    [
        figure(
            "latency, sequential",
            Unit::Microseconds,
            one,
            RoundCost::latency,
        ),
        figure(
            "CPU time, sequential",
            Unit::Microseconds,
            one,
            RoundCost::cpu,
        ),
        figure(
            &format!("throughput, {IN_FLIGHT} in flight"),
            Unit::PerSecond,
            many,
            RoundCost::throughput,
        ),
    ]
}

/// Peak memory while [`IN_FLIGHT`] calls each receive a response of 1 MB.
pub(crate) fn peak_memory(programs: &Programs) -> Vec<Figure> {
    print(&format!("{IN_FLIGHT} concurrent responses of 1 MB"));
    let list = Call {
        tool: "persons-list",
        arguments: json!({"limit": LARGE_PAGE}),
        expected: "\"isError\":false",
    };
    let fetch = Call {
        tool: "fetch",
        arguments: json!({"url": programs.upstream.page(LARGE_PAGE)}),
        expected: " bytes",
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
            let name = format!("peak memory, {IN_FLIGHT} responses of 1 MB in flight, {transport}");
            Figure::new(name, Unit::Megabytes, ours)
                .with_baseline(MINIMAL, minimal)
                .with_goal(Goal::AtMost(200.0))
        })
        .into()
}

/// Sizes, which do not depend on the machine.
pub(crate) fn sizes(programs: &Programs) -> Vec<Figure> {
    let kilobytes = |bytes: usize| bytes as f64 / 1e3;
    let (mut server, with_structured) = Stdio::start(programs.ours_on_stdio(&[]));
    let (_, without_structured) = Stdio::start(programs.ours_on_stdio(&["--structured", "off"]));
    let list = |name: &str, bytes: usize| Figure::new(name, Unit::Kilobytes, kilobytes(bytes));
    let result = server.call(&Call {
        tool: "persons-list",
        arguments: json!({"limit": PAGE}),
        expected: "\"isError\":false",
    });
    let text = result["content"][0]["text"].as_str().expect("text").len();
    let persons = |name: &str| Figure::new(name, Unit::Kilobytes, kilobytes(text));
    let megabytes = |path: &Path| fs::metadata(path).expect("a file").len() as f64 / 1e6;
    let binary = Path::new(env!("CARGO_BIN_EXE_posthog-persons-mcp"));
    vec![
        list("`tools/list`", with_structured.list_bytes),
        list(
            "`tools/list`, `--structured off`",
            without_structured.list_bytes,
        ),
        persons("text of 100 persons, default columns")
            .with_baseline("same fields as JSON", kilobytes(same_fields_bytes())),
        persons("text of 100 persons, default columns")
            .with_baseline("PostHog's response", page_bytes() / 1e3),
        Figure::new("release binary", Unit::Megabytes, megabytes(binary))
            .with_baseline(MINIMAL, megabytes(&programs.minimal))
            .with_goal(Goal::AtMost(10.0)),
    ]
}

/// What a model pays for the list of tools and for a page, in tokens of `o200k`.
pub(crate) fn tokens() -> Vec<Figure> {
    let tokenizer = tiktoken_rs::o200k_base().expect("a tokenizer");
    let figure = |name: &str, text: &str| {
        let tokens = tokenizer.encode_ordinary(text).len();
        Figure::new(name, Unit::Tokens, tokens as f64)
    };
    let listed: String = catalog()
        .iter()
        .map(|tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}))
        .map(|tool| tool.to_string())
        .collect();
    // The persons that the tests measure.
    let list = Call {
        tool: "persons-list",
        arguments: json!({"search": "@example.net", "limit": PAGE}),
        expected: "\"isError\":false",
    };
    let result = Stdio::start(with_sandbox(PAGE)).0.call(&list);
    let text = result["content"][0]["text"].as_str().expect("text");
    let fields = &result["structuredContent"];
    let persons = format!("{PAGE} persons, default columns");
    vec![
        figure("all tools, as a model sees them", &listed).with_goal(Goal::AtMost(8000.0)),
        figure(&format!("{persons}: text, as sent by default"), text)
            .with_goal(Goal::AtMost(5400.0)),
        figure(
            &format!("{persons}: fields, with `--structured on`"),
            &fields.to_string(),
        )
        .with_goal(Goal::AtMost(7000.0)),
        figure(
            &format!("{persons}: fields, in a client that indents them"),
            &format!("{fields:#}"),
        ),
    ]
}

fn page_bytes() -> f64 {
    page::page(PAGE).len() as f64
}

/// Size of the page's persons as compact JSON, with only the fields that PostHog's own MCP server keeps.
fn same_fields_bytes() -> usize {
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

/// A figure with a baseline from the same rounds: the medians, and the median of the ratios.
fn compared(
    name: &str,
    unit: Unit,
    ours: &[f64],
    baseline: &'static str,
    theirs: &[f64],
) -> Figure {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    Figure::new(name, unit, median(ours)).with_baseline_ratio(
        baseline,
        median(theirs),
        median(&ratios),
    )
}
