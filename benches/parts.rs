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
use posthog_client::{Person, PersonPage};
use posthog_persons_mcp::output::{
    Card, DistinctIdPage, OutputOptions, Page, Redaction, Select, page_of_persons, person_card,
    sanitize,
};
use posthog_persons_mcp::server::to_protocol_tool;
use posthog_persons_mcp::tools::catalog;
use serde_json::json;

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
    let text = OutputOptions::default();
    let both = OutputOptions {
        structured: true,
        ..OutputOptions::default()
    };
    let redacted = OutputOptions {
        redaction: Redaction::new(&["email".to_owned(), "*phone*".to_owned()], true),
        ..both.clone()
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
                .map(|tool| to_protocol_tool(tool, &text))
                .collect();
            serde_json::to_string(&listed)
        });
    });
}

/// One person of 500 KB with `--redact email`, decoded and shown with every property, whatever end users wrote.
fn large_person(criterion: &mut Criterion) {
    const BYTES: usize = 500_000;
    let text = |part: &str| part.repeat(BYTES / part.len());
    let addresses: Vec<String> = (0..4000)
        .map(|number| format!("person{number:05}@example.com"))
        .collect();
    let nested: Vec<String> = (1..=600).map(|length| "a".repeat(length)).collect();
    let (one, addresses, nested) = (json!("ada@example.com"), json!(addresses), json!(nested));
    let mut group = criterion.benchmark_group("one person of 500 KB, redacted");
    for (name, email, text) in [
        (
            "words",
            &one,
            text("The quick brown fox jumps over the lazy dog. "),
        ),
        (
            "URLs",
            &one,
            text("https://x.example/?q=ada%40example.com&a=%C3%A4%20b%2540c&"),
        ),
        ("not ASCII", &one, text("größe İstanbul 王伟 Κόσμος ")),
        ("escapes", &one, text("%25&\\")),
        ("an entity without an end", &one, text("&#")),
        (
            "4,000 addresses",
            &addresses,
            text("person00001@example.com or person00002%40example.com, "),
        ),
        ("values that contain each other", &nested, text("a")),
    ] {
        let person = json!({
            "uuid": page::uuid(1), "name": "ada@example.com", "distinct_ids": ["ada@example.com"],
            "properties": {"email": email, "text": text},
        });
        let json = person.to_string();
        let options = OutputOptions {
            redaction: Redaction::new(&["email".to_owned()], false),
            ..OutputOptions::default()
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let person: Person = serde_json::from_str(black_box(&json)).expect("a person");
                person_card(
                    &options,
                    &Card {
                        person: &person,
                        url: "",
                        select: &Select::All,
                        distinct_ids: &DistinctIdPage::default(),
                        notes: &[],
                    },
                )
                .text
                .len()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = stages, large_person
}
criterion_main!(benches);
