//! Writes the man pages and the completions for the shells into a folder:
//!
//! ```sh
//! cargo run --example manual -- target/manual
//! ```
//!
//! They are made from the same settings as `--help`. The binary does not make them itself: what that takes would be a
//! quarter of a megabyte in it.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap_complete::Shell;
use posthog_persons_mcp::cli;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args_os().nth(1) else {
        return Err("which folder? cargo run --example manual -- target/manual".into());
    };
    let folder = PathBuf::from(folder);
    write(&folder)?;
    eprintln!(
        "Man pages are in {}, completions in {}.",
        folder.join(MAN).display(),
        folder.join(COMPLETIONS).display()
    );
    Ok(())
}

/// Where the pages are in the folder, laid out as `MANPATH` wants it.
pub const MAN: &str = "man/man1";
/// Where the completions are in the folder.
pub const COMPLETIONS: &str = "completions";

/// Writes a page for the command and each of its commands, and a file for each shell.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    let man = folder.join(MAN);
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(cli::command(), &man)?;
    let completions = folder.join(COMPLETIONS);
    fs::create_dir_all(&completions)?;
    for shell in Shell::value_variants() {
        let mut command = cli::command();
        let name = command.get_name().to_owned();
        clap_complete::generate_to(*shell, &mut command, name, &completions)?;
    }
    Ok(())
}
