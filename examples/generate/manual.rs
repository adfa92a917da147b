//! The man pages, and the completions for the shells. They are made from the same settings as `--help`. The binary does
//! not make them itself: that would take a quarter of a megabyte in it.

use std::fs;
use std::io;
use std::path::Path;

use clap::ValueEnum;
use clap_complete::Shell;
use posthog_persons_mcp::cli;

/// Where the pages are in the folder, in the layout of `MANPATH`.
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
