//! Man pages and shell completions, generated from the same definitions as `--help`. The binary does not generate them
//! itself because that would add 250 KB to it.

use std::fs;
use std::io;
use std::path::Path;

use clap::ValueEnum;
use clap_complete::Shell;
use posthog_persons_mcp::cli;

/// Subdirectory of the man pages, in the layout of `MANPATH`.
pub const MAN: &str = "man/man1";
/// Subdirectory of the completions.
pub const COMPLETIONS: &str = "completions";

/// Writes a man page for the program and each subcommand, and the completions for each shell.
///
/// # Errors
/// If a file cannot be written.
pub fn write(directory: &Path) -> io::Result<()> {
    let man = directory.join(MAN);
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(cli::command(), &man)?;
    let completions = directory.join(COMPLETIONS);
    fs::create_dir_all(&completions)?;
    for shell in Shell::value_variants() {
        let mut command = cli::command();
        let name = command.get_name().to_owned();
        clap_complete::generate_to(*shell, &mut command, name, &completions)?;
    }
    Ok(())
}
