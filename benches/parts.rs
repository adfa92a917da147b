//! Microbenchmarks of the stages of a tool result, for a page of 100 persons: `cargo bench --bench parts`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed measurement should panic"
)]

#[path = "whole/page.rs"]
mod page;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use posthog_client::PersonPage;
use posthog_persons_mcp::output::{
    OutputOptions, Page, Redaction, Select, page_of_persons, sanitize,
};
use posthog_persons_mcp::server::to_protocol_tool;
use posthog_persons_mcp::tools::catalog;

/// The text properties of the persons, which the sanitizer processes.
fn property_texts() -> Vec<String> {
    let persons = (0..page::PAGE).map(page::person);
    persons
        .flat_map(|person| {
            let properties = person["properties"].as_object().cloned();
            properties.unwrap_or_default().into_values()
        })
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn page_bytes(options: &OutputOptions, persons: &PersonPage, select: &Select) -> usize {
    let page = Page {
        tool: "persons-list",
        offset: 0,
        limit: 100,
        has_next: true,
        count: None,
        persons: &persons.results,
        select,
        notes: Vec::new(),
    };
    page_of_persons(options, page, |row, _| row).text.len()
}

fn stages(criterion: &mut Criterion) {
    let json = page::page(page::PAGE);
    let persons: PersonPage = serde_json::from_str(&json).expect("a page");
    let mut group = criterion.benchmark_group("page of 100 persons");
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| serde_json::from_str::<PersonPage>(black_box(&json)));
    });
    let text = OutputOptions {
        structured: false,
        ..OutputOptions::default()
    };
    let both = OutputOptions::default();
    let redacted = OutputOptions {
        redaction: Redaction::new(&["email".to_owned(), "*phone*".to_owned()], true),
        ..OutputOptions::default()
    };
    for (name, options, select) in [
        ("table", &text, Select::Default),
        ("rows and table", &both, Select::Default),
        ("rows and table, every property", &both, Select::All),
        ("rows and table, redacted", &redacted, Select::Default),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| page_bytes(options, black_box(&persons), &select));
        });
    }
    let texts = property_texts();
    group.bench_function("sanitize all texts", |bencher| {
        bencher.iter(|| {
            texts
                .iter()
                .map(|text| sanitize(black_box(text)).len())
                .sum::<usize>()
        });
    });
    group.finish();

    let tools = catalog();
    criterion.bench_function("tools/list: schemas", |bencher| bencher.iter(catalog));
    criterion.bench_function("tools/list: result", |bencher| {
        bencher.iter(|| {
            let listed: Vec<_> = tools
                .iter()
                .map(|tool| to_protocol_tool(tool, true))
                .collect();
            serde_json::to_string(&listed)
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = stages
}
criterion_main!(benches);
