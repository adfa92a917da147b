//! `persons-deletion-status-list`: the status of event deletions, and the state of an erasure.

mod verify;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::verify::Group;
use crate::output::{Cells, Row, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Limit, Offset, PersonUuid, distinct};
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{DeletionStatusQuery, MAX_DELETED, RequiredScopes};
use uuid::Uuid;

pub(super) struct PersonsDeletionStatusList;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// UUID of one person. Default: all persons.
    person_uuid: Option<PersonUuid>,
    /// Up to 1000 person UUIDs, to verify an erasure: for each whether profile and events are gone, pending or unknown. Alone.
    person_uuids: Option<Vec<PersonUuid>>,
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

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Output {
    // With `person_uuids`, in place of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
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
         they are done. With person_uuids, verify an erasure: whether each profile is gone, there or came back, and whether \
         its events are gone, pending or cannot be known.";
    const SEARCH_HINT: &'static str = "is a GDPR erasure or deletion of a user or customer done, finished or \
         pending; verify that events are deleted";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = RequiredScopes(&["person:read"]);
    const EXAMPLE: &'static str = "{}";

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        if let Some(uuids) = &input.person_uuids {
            let uuids = persons(uuids, &input)?;
            return Ok(verify::verify(context, &uuids).await?.into());
        }
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
            summary: None,
            groups: Vec::new(),
            count: page.count,
            next_offset,
            notes,
        });
        Ok(output.into())
    }
}

/// The persons whose erasure is verified, each once.
fn persons(uuids: &[PersonUuid], input: &Input) -> Result<Vec<Uuid>, ToolError> {
    let is_alone = input.person_uuid.is_none() && input.status.is_none() && input.offset.0 == 0;
    if !is_alone {
        return Err(ToolError::invalid_input(
            "Give `person_uuids` without `person_uuid`, `status` and `offset`: every person has its state.",
        ));
    }
    let uuids = distinct(uuids.iter().map(|uuid| uuid.0));
    match uuids.len() {
        0 => Err(ToolError::invalid_input("The list of persons is empty.")),
        1..=MAX_DELETED => Ok(uuids),
        count => Err(ToolError::invalid_input(format!(
            "{count} persons are too many; at most {MAX_DELETED} are allowed per call."
        ))),
    }
}
