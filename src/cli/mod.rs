//! The command line: commands, flags, and the variables that stand in for them.

mod arguments;
mod export;
mod http;
mod settings;

pub use arguments::{AuditCommand, CliArguments, Command, ErasureReportArgs, command};
pub use export::ExportArgs;
pub use http::HttpArgs;
pub use settings::{
    ConfirmMode, ConnectionArgs, GlobalArgs, ResultArgs, SandboxArgs, SettingsArgs, Switch,
    ToolArgs, WriteArgs,
};
