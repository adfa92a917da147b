//! The tests that docs/security.md names for the promises exist.

use std::path::Path;

#[test]
fn every_promise_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let page = include_str!("../../../docs/security.md");
    let promises = page.split("## What is promised").nth(1).unwrap();
    let promises = promises.split("## What is not promised").next().unwrap();
    let mut named = 0;
    for name in promises.split('`').skip(1).step_by(2) {
        let (file, test) = name.split_once("::").unwrap_or((name, ""));
        if !file.ends_with(".rs") || file.starts_with("src/") {
            continue;
        }
        let code = std::fs::read_to_string(root.join(file));
        let code = code.unwrap_or_else(|_| panic!("{file} does not exist"));
        let is_there = test.is_empty() || code.contains(&format!("fn {test}("));
        assert!(is_there, "{file} has no test {test}");
        named += 1;
    }
    assert!(named > 20, "only {named} tests are named");
}
