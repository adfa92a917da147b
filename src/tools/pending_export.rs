//! A prepared export, whose line in the audit log comes before anything is read for it.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::ToolError;
use super::pending_write::to_value;
use crate::export::ExportedFile;
use crate::output::ToolOutput;

/// A prepared export. Nothing is read until `run` is polled.
pub struct PendingExport<T> {
    /// The UUIDs of the persons, where they are known.
    pub persons: Vec<String>,
    /// The names of the fields that are exported or chosen by; never values.
    pub property_keys: Vec<String>,
    /// Reads and writes.
    pub run: BoxFuture<'static, Result<(ToolOutput<T>, ExportedFile), ToolError>>,
}

/// A [`PendingExport`] with its types erased.
pub struct PreparedExport {
    /// The UUIDs of the persons, where they are known.
    pub persons: Vec<String>,
    /// The names of the fields that are exported or chosen by.
    pub property_keys: Vec<String>,
    /// Reads and writes.
    pub run: BoxFuture<'static, Result<(ToolOutput<Value>, ExportedFile), ToolError>>,
}

impl<T: Serialize + 'static> PendingExport<T> {
    pub(super) fn prepare(self) -> PreparedExport {
        let run = self.run.map(|result| {
            let (output, file) = result?;
            let structured = to_value(&output.structured)?;
            let text = output.text;
            Ok((ToolOutput { structured, text }, file))
        });
        PreparedExport {
            persons: self.persons,
            property_keys: self.property_keys,
            run: run.boxed(),
        }
    }
}
