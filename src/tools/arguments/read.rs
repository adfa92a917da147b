//! Reads arguments into a tool's type; an error names the argument.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tools::ToolError;

/// Reads a tool's arguments. An example shows how to call a tool where an argument is missing.
pub(in crate::tools) fn read<T: DeserializeOwned>(
    arguments: Value,
    example: &str,
) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        let reason = reason.trim_end_matches('.');
        // As a caller would say it, who knows neither fields nor variants.
        let reason = reason.replacen("unknown variant ", "unknown value ", 1);
        let missing = reason.strip_prefix("missing field ");
        ToolError::invalid_input(match (path.as_str(), missing) {
            (".", Some(name)) => format!("Argument {name} is missing. An example: {example}."),
            (".", None) => format!("Invalid arguments: {reason}."),
            (path, Some(name)) => format!("Invalid argument `{path}`: {name} is missing."),
            (path, None) => format!("Invalid argument `{path}`: {reason}."),
        })
    })
}
