//! Reads arguments into a tool's type; an error names the argument.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tools::ToolError;

/// Reads a tool's arguments.
pub(in crate::tools) fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner();
        ToolError::invalid_input(match path.as_str() {
            "." => format!("Invalid arguments: {reason}."),
            path => format!("Invalid argument `{path}`: {reason}."),
        })
    })
}
