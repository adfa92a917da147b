//! The files of `cargo run --example generate` are up to date.

use std::collections::BTreeSet;
use std::path::Path;

#[path = "../../../examples/generate/conversations.rs"]
mod conversations;
#[path = "../../../examples/generate/files.rs"]
mod files;
#[path = "../../../examples/generate/session_picture.rs"]
mod session_picture;

use crate::evals::harness;
use crate::process::binary;

#[tokio::test]
async fn generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files::files(root, || binary(&[])).await.unwrap();
    for (path, content) in &files {
        let written = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(
            written == *content,
            "{} is out of date; write it with: cargo run --example generate",
            path.display()
        );
    }
    let contracts = std::fs::read_dir(root.join(files::CONTRACTS)).unwrap();
    let contracts: BTreeSet<_> = contracts.map(|entry| entry.unwrap().file_name()).collect();
    let tools = files
        .iter()
        .map(|(path, _)| path.strip_prefix(files::CONTRACTS));
    let tools: BTreeSet<_> = tools
        .flatten()
        .map(|name| name.as_os_str().to_owned())
        .collect();
    assert_eq!(
        contracts, tools,
        "write them with: cargo run --example generate"
    );
}
