//! The binary: parses the command line and runs the command.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands;

/// A tool call makes many small allocations; with the system allocator it takes an eighth longer.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let arguments = CliArguments::read();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("could not start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(commands::run(arguments));
    // A pending read of standard input must not delay the exit.
    runtime.shutdown_background();
    code
}
