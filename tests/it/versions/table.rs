//! Every test that the table of this module names exists.

use std::fs;
use std::path::Path;

#[test]
fn every_test_of_the_table_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let read = |folder: &str| -> String {
        let files = fs::read_dir(tests.join(folder)).unwrap();
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    };
    let code = read("versions") + &read("doctor");
    let table = fs::read_to_string(tests.join("versions/mod.rs")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    // After the head and the line below it.
    for row in rows.skip(2) {
        let names = row.rsplit(" | ").next().unwrap().split('`');
        let names: Vec<&str> = names
            .skip(1)
            .step_by(2)
            .filter(|name| *name != "doctor")
            .collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(code.contains(&format!("fn {name}()")), "{name}");
        }
    }
}
