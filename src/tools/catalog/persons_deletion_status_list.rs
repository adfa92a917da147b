//! `persons-deletion-status-list`: the status of event deletions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::{Cells, Row, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Limit, Offset, PersonUuid};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{DeletionStatusQuery, RequiredScopes};

pub(super) struct PersonsDeletionStatusList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// UUID of one person. Default: all persons.
    person_uuid: Option<PersonUuid>,
    /// Which deletions to list. Default: all.
    status: Option<Status>,
    /// Number of rows per page.
    #[serde(default)]
    limit: Limit,
    /// Rows to skip: `next_offset` of the previous page.
    #[serde(default)]
    offset: Offset,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Status {
    Pending,
    Completed,
    All,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::All => "all",
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    results: Vec<DeletionRow>,
    count: u64,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u32>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DeletionRow {
    person_uuid: String,
    status: String,
    // When it was first requested.
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete_verified_at: Option<String>,
}

impl Row for DeletionRow {
    fn header(_: &[Self]) -> Vec<String> {
        ["person_uuid", "status", "created_at", "delete_verified_at"]
            .map(str::to_owned)
            .to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.person_uuid);
        cells.text(&self.status);
        cells.text(&self.created_at);
        cells.optional(self.delete_verified_at.as_deref());
    }
}

impl Tool for PersonsDeletionStatusList {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-deletion-status-list";
    const TITLE: &'static str = "Event deletion status";
    const DESCRIPTION: &'static str = "List the event deletions that were queued with delete_events, and whether \
         they are done. Whether a person is deleted shows persons-retrieve.";
    const SEARCH_HINT: &'static str = "is a GDPR erasure or deletion of a user or customer done, finished or \
         pending; verify that events are deleted";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = RequiredScopes::Scopes(&["person:read"]);
    const EXAMPLE: &'static str = "{}";

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let query = DeletionStatusQuery {
            person_uuid: input.person_uuid.map(|uuid| uuid.0),
            status: input.status.map(Status::name),
            limit: input.limit.0,
            offset: input.offset.0,
        };
        let page = context.posthog.deletion_status(&query).await?;
        let truncated = truncate_rows(&context.limits, &page.results, |row, sanitizer| {
            DeletionRow {
                person_uuid: sanitizer.word(&row.person_uuid),
                status: sanitizer.word(&row.status),
                created_at: sanitizer.timestamp(&row.created_at),
                delete_verified_at: row
                    .delete_verified_at
                    .as_ref()
                    .map(|time| sanitizer.timestamp(time)),
            }
        });
        let shown = truncated.rows.len();
        let next_offset = if shown < page.results.len() {
            Some(
                query
                    .offset
                    .saturating_add(u32::try_from(shown).unwrap_or(query.limit)),
            )
        } else {
            page.has_next()
                .then(|| query.offset.saturating_add(query.limit))
        };
        let mut notes = vec![if page.count == 0 {
            "No event deletions match. This does not mean that nothing was deleted: persons and recordings have no row here, and events are queued only with delete_events."
        } else {
            "Events are deleted in a weekly batch. A repeated request keeps the old row and its created_at."
        }
        .to_owned()];
        if let Some(next) = next_offset {
            notes.push(format!(
                "There is more: call {} with the same arguments and offset {next}.",
                Self::NAME
            ));
        }
        let head = format!("{shown} of {} rows\n", page.count);
        let output = truncated.into_output(&head, notes, |results, notes| Output {
            results,
            count: page.count,
            next_offset,
            notes,
        });
        Ok(output.into())
    }
}
