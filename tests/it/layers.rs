//! The allowed imports between the modules of the server. Cargo enforces the rest: the client and the sandbox are
//! crates that do not depend on it.

use std::path::{Path, PathBuf};

/// Each module and the modules that it may import.
const ALLOWED_IMPORTS: &[(&str, &[&str])] = &[
    ("setting_files", &[]),
    ("setting_values", &[]),
    ("policy", &["setting_values"]),
    ("hexadecimal", &[]),
    ("sync", &[]),
    ("audit", &["hexadecimal", "sync"]),
    ("coordination", &["sync"]),
    ("output", &[]),
    ("export", &["hexadecimal", "output", "sync"]),
    ("question", &["output"]),
    ("approval", &["question", "sync"]),
    ("tools", &["export", "output", "policy", "question", "sync"]),
    (
        "server",
        &[
            "approval",
            "audit",
            "coordination",
            "export",
            "output",
            "policy",
            "question",
            "sync",
            "tools",
        ],
    ),
    ("stdio", &["server", "sync"]),
    (
        "http",
        &[
            "coordination",
            "export",
            "hexadecimal",
            "output",
            "policy",
            "server",
            "setting_values",
            "sync",
        ],
    ),
    ("cli", &["output", "policy", "setting_values"]),
    (
        "config",
        &[
            "approval",
            "cli",
            "output",
            "policy",
            "setting_files",
            "setting_values",
        ],
    ),
    (
        "commands",
        &[
            "approval",
            "audit",
            "cli",
            "config",
            "coordination",
            "export",
            "http",
            "output",
            "policy",
            "server",
            "setting_files",
            "stdio",
            "tools",
        ],
    ),
];

#[test]
fn modules_import_only_lower_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut seen = 0;
    for file in &files {
        let relative = file.strip_prefix(&root).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if matches!(module, "main" | "lib") {
            continue;
        }
        let (_, allowed) = ALLOWED_IMPORTS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("say in this test what src/{first} may name"));
        let code = std::fs::read_to_string(file).unwrap();
        for (named, _) in ALLOWED_IMPORTS.iter().filter(|(named, _)| *named != module) {
            if imports(&code, named) {
                seen += 1;
                assert!(
                    allowed.contains(named),
                    "src/{} must not name crate::{named}",
                    relative.display()
                );
            }
        }
        if matches!(
            module,
            "approval" | "export" | "output" | "tools" | "policy" | "question"
        ) {
            assert!(
                !code.contains("rmcp::"),
                "src/{} must not name the protocol",
                relative.display()
            );
        }
    }
    assert!(seen > 10, "the test looks in the wrong place");
}

/// The only files outside the client that may expose untrusted text.
const SANITIZER: [&str; 3] = [
    "src/output/file_text.rs",
    "src/output/redact/person.rs",
    "src/output/sanitize.rs",
];

#[test]
fn only_the_sanitizer_reads_untrusted_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "examples", "benches"] {
        collect(&root.join(folder), &mut files);
    }
    let opens = |file: &PathBuf| {
        let code = std::fs::read_to_string(file).unwrap();
        code.contains("expose_untrusted")
    };
    for file in files.iter().filter(|file| opens(file)) {
        let path = file.strip_prefix(root).unwrap();
        assert!(
            SANITIZER.iter().any(|allowed| path == Path::new(allowed)),
            "{} must show text through output::Sanitizer",
            path.display()
        );
    }
    assert!(
        opens(&root.join("src/output/sanitize.rs")),
        "the test looks in the wrong place"
    );
}

/// Whether code imports a module, alone or in a group.
fn imports(code: &str, module: &str) -> bool {
    let grouped = code
        .split("use crate::{")
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    code.contains(&format!("crate::{module}::"))
        || code.contains(&format!("crate::{module};"))
        || grouped
            .flat_map(|names| names.split(','))
            .any(|name| name.trim() == module)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
