//! Comments cite sections of `docs/posthog-persons-api.md` by name.

use std::fs;
use std::path::Path;

const CITATION: &str = "Persons API, ";

#[test]
fn cited_sections_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/posthog-persons-api.md")).unwrap();
    let sections: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let mut cited = 0;
    for folder in ["crates/posthog-sandbox/src", "crates/posthog-client/src"] {
        let mut files = Vec::new();
        find_sources(&root.join(folder), &mut files);
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for citation in source.split(CITATION).skip(1) {
                let end = citation.find([')', ';', '.', ':', '"', '\n']);
                let section = &citation[..end.unwrap_or(citation.len())];
                assert!(sections.contains(&section), "{section:?} in {file:?}");
                cited += 1;
            }
        }
    }
    assert!(cited > 30);
}

fn find_sources(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
