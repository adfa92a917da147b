//! Nobody may paste a command with a package name that nobody holds yet.

const DOCUMENTS: [&str; 2] = [
    include_str!("../../../README.md"),
    include_str!("../../../docs/installing.md"),
];

/// The documents name npx and uvx only in what `packaging/published` switches on.
#[test]
fn commands_with_unpublished_names_are_comments() {
    for document in DOCUMENTS {
        let Some((before, rest)) = document.split_once("<!-- until published -->\n") else {
            // Published.
            assert!(!document.contains("<!-- once published"));
            continue;
        };
        let (until, rest) = rest.split_once("<!-- once published\n").unwrap();
        let (once, after) = rest.split_once("\n-->\n").unwrap();
        for command in ["npx -y posthog-persons-mcp", "uvx posthog-persons-mcp"] {
            assert!(once.contains(command), "{command}");
            for shown in [before, until, after] {
                assert!(!shown.contains(command), "{command}");
            }
        }
    }
}

/// npm asks its registry for the packages of the other platforms too, and uv asks PyPI beside the folder.
#[test]
fn installing_files_never_asks_a_registry_for_unpublished_names() {
    for document in DOCUMENTS {
        let Some((before, rest)) = document.split_once("<!-- once published\n") else {
            continue;
        };
        let (_, after) = rest.split_once("\n-->\n").unwrap();
        for line in before.lines().chain(after.lines()) {
            for (command, option) in [
                ("npm install", "--offline"),
                ("uv tool install", "--no-index"),
                ("pip install", "--no-index"),
            ] {
                let asks = line.starts_with(command) && !line.contains(option);
                assert!(!asks, "needs {option}: {line}");
            }
        }
    }
}
