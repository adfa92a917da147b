//! Runs an export within a call.

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, ProtocolVersion, Resource};
use rmcp::service::RequestContext;
use serde_json::Value;

use super::call::{Call, CallError};
use super::logged::Request;
use crate::export::ExportedFile;
use crate::output::ToolOutput;
use crate::tools::{Outcome, PreparedExport};

impl Call {
    /// Runs an export, with its line in the audit log around it. A cancelled one leaves the first line alone.
    pub(super) async fn export(
        &self,
        export: PreparedExport,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, CallError> {
        let line = self
            .begin_line(Request {
                persons: &export.persons,
                property_keys: &export.property_keys,
                deletes: &[],
                merged_into: None,
                confirmation: "not needed",
            })
            .await?;
        let result = self.in_slot(export.run).await;
        let outcome = match &result {
            Ok(Ok(_)) => Outcome::Done,
            _ => Outcome::NotDone,
        };
        let result = result.and_then(|done| {
            let (output, file) = done?;
            Ok(self.linked(output, file, context))
        });
        self.complete_line(line, outcome, result).await
    }

    /// The result, with a link to the file where the client knows links.
    fn linked(
        &self,
        output: ToolOutput<Value>,
        file: ExportedFile,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let mut result = self.success(output);
        if context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2025_06_18)
        {
            let mut link = Resource::new(file.uri, file.name).with_mime_type(file.media_type);
            link.size = Some(file.bytes);
            result.content.push(ContentBlock::resource_link(link));
        }
        result
    }
}
