//! Runs an export within a call.

use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, ProtocolVersion, Resource};
use rmcp::service::RequestContext;

use super::call::{Call, CallError, OUTCOME_NOT_LOGGED};
use crate::tools::{Outcome, PreparedExport};

impl Call {
    /// Runs an export, with its line in the audit log around it. A cancelled one leaves the first line alone.
    pub(super) async fn export(
        &self,
        export: PreparedExport,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, CallError> {
        let line = self
            .record(
                &export.persons,
                &export.property_keys,
                &[],
                None,
                "not needed",
            )
            .await?;
        let result = self.in_slot(export.run).await;
        let outcome = match &result {
            Ok(Ok(_)) => Outcome::Done,
            _ => Outcome::NotDone,
        };
        let logged = match line {
            Some(line) => line.complete(outcome.name()).await,
            None => Ok(()),
        };
        let (output, file) = result??;
        let mut result = self.success(output);
        if context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2025_06_18)
        {
            let mut link = Resource::new(file.uri, file.name).with_mime_type(file.media_type);
            link.size = Some(file.bytes);
            result.content.push(ContentBlock::resource_link(link));
        }
        match logged {
            Ok(()) => Ok(result),
            Err(error) => {
                tracing::error!(tool = self.tool.name, %error, "audit log entry not completed");
                self.with_note(Ok(result), OUTCOME_NOT_LOGGED)
            }
        }
    }
}
