//! The man pages and the shell completions are complete.

#[path = "../../../examples/generate/manual.rs"]
mod example;

use std::fs;
use std::path::PathBuf;

use posthog_persons_mcp::cli;

/// A temporary folder with the man pages and completions.
struct Written(PathBuf);

impl Written {
    fn new(test: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        example::write(&folder).unwrap();
        Self(folder)
    }

    fn read(&self, place: &str, file: &str) -> String {
        fs::read_to_string(self.0.join(place).join(file)).unwrap()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Each shell's file, and its syntax for a command and a flag.
const SHELLS: [(&str, &str, &str); 4] = [
    ("posthog-persons-mcp.bash", "__mcp,NAME)", " --NAME "),
    ("_posthog-persons-mcp", "'NAME:", "'--NAME"),
    ("posthog-persons-mcp.fish", "-a \"NAME\"", "-l NAME "),
    ("_posthog-persons-mcp.ps1", "('NAME',", "('--NAME',"),
];

#[test]
fn completions_cover_every_command_and_flag() {
    let written = Written::new("completions");
    let command = cli::command();
    let flags = std::iter::once(&command)
        .chain(command.get_subcommands())
        .flat_map(clap::Command::get_arguments)
        .filter_map(clap::Arg::get_long);
    let flags: Vec<&str> = flags.collect();
    for (file, offers_command, offers_flag) in SHELLS {
        let completions = written.read(example::COMPLETIONS, file);
        // Zsh marks a repeatable flag.
        let completions = completions.replace("'*--", "'--");
        for name in command.get_subcommands().map(clap::Command::get_name) {
            let offered = completions.contains(&offers_command.replace("NAME", name));
            assert!(offered, "{file} does not offer {name}");
        }
        for name in &flags {
            let offered = completions.contains(&offers_flag.replace("NAME", name));
            assert!(offered, "{file} does not offer --{name}");
        }
    }
}

#[test]
fn man_pages_cover_every_command_flag_and_variable() {
    let written = Written::new("man");
    let command = cli::command();
    let whole = written.read(example::MAN, "posthog-persons-mcp.1");
    page_holds(&whole, &command);
    for subcommand in command.get_subcommands() {
        let name = format!("posthog-persons-mcp-{}", subcommand.get_name());
        assert!(
            plain(&whole).contains(&name),
            "the page does not lead to {name}"
        );
        page_holds(
            &written.read(example::MAN, &format!("{name}.1")),
            subcommand,
        );
    }
}

#[test]
fn help_lists_only_settings_that_take_effect() {
    let command = cli::command();
    let shown = |command: &clap::Command, flag: &str| {
        let mut arguments = command.get_arguments();
        arguments.any(|argument| argument.get_long() == Some(flag) && !argument.is_hide_set())
    };
    for (subcommand, shows, hides) in [
        ("sandbox", "sandbox-persons", "host"),
        ("demo", "redact", "audit-log"),
        ("http", "bind", "approval-bind"),
        ("call", "confirm", "open-browser"),
        ("tools", "read-only", "project"),
        ("doctor", "host", "max-result-bytes"),
    ] {
        let subcommand = command.find_subcommand(subcommand).unwrap();
        assert!(shown(subcommand, shows), "{subcommand} {shows}");
        assert!(!shown(subcommand, hides), "{subcommand} {hides}");
    }
}

fn page_holds(page: &str, command: &clap::Command) {
    let page = plain(page);
    let shown = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set());
    for argument in shown {
        if let Some(flag) = argument.get_long() {
            let flag = format!("--{flag}");
            assert!(page.contains(&flag), "{}: {flag}", command.get_name());
        }
        if let Some(variable) = argument.get_env() {
            let variable = variable.to_str().unwrap();
            assert!(
                page.contains(variable),
                "{}: {variable}",
                command.get_name()
            );
        }
    }
}

/// A page without roff escapes of hyphens.
fn plain(page: &str) -> String {
    page.replace("\\-", "-")
}
