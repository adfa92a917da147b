//! The binary: reads the arguments, runs the command, turns failure into words and an exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use posthog_persons_mcp::cli::CliArguments;
use posthog_persons_mcp::commands;

/// An answer is many small pieces of memory, and the system's allocator takes an eighth longer for a call.
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
            eprintln!("The asynchronous runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(commands::run(arguments));
    // A read of standard input that is still waiting must not hold up the end.
    runtime.shutdown_background();
    code
}
