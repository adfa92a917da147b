//! `persons-activity-retrieve`: who changed a person, or any person.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::output::{Cells, Row, Sanitizer, truncate_rows};
use crate::policy::{Effect, Toolset};
use crate::tools::arguments::{Id, Limit, PageNumber};
use crate::tools::support::known_person::limits_knowing;
use crate::tools::{Context, Tool, ToolError, ToolOutcome};
use posthog_client::{Activity, Change, ErrorKind, Merge, MergedPerson, RequiredScopes};

pub(super) struct PersonsActivityRetrieve;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Person UUID, or the numeric person id as text. Default: all persons, including deleted ones.
    id: Option<Id>,
    /// Number of entries per page.
    #[serde(default)]
    limit: Limit,
    /// Page number, from 1.
    #[serde(default)]
    page: PageNumber,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    // The one of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<String>,
    results: Vec<ActivityRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    // Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextPage>,
    notes: Vec<String>,
}

/// The arguments of the next page
#[derive(Debug, Serialize, JsonSchema)]
struct NextPage {
    limit: u32,
    page: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ActivityRow {
    created_at: String,
    activity: String,
    user: String,
    // The numeric one.
    #[serde(skip_serializing_if = "Option::is_none")]
    person_id: Option<u64>,
    /// The UUID for a deletion
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<ChangeRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merge: Option<MergeRow>,
}

/// Who was merged into whom
#[derive(Debug, Serialize, JsonSchema)]
struct MergeRow {
    merged: Vec<MergedRow>,
    // Those of `merged` that are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    into: Option<MergedRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct MergedRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangeRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Value::is_null")]
    before: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    after: Value,
}

impl Row for ActivityRow {
    fn header(_: &[Self]) -> Vec<String> {
        [
            "created_at",
            "activity",
            "user",
            // The argument of other tools that takes it.
            "id",
            "name",
            "changes",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.text(&self.created_at);
        cells.text(&self.activity);
        cells.text(&self.user);
        match self.person_id {
            Some(id) => cells.number(id),
            None => cells.empty(),
        }
        cells.optional(self.name.as_deref());
        match &self.merge {
            Some(merge) => cells.value(&json!(merge)),
            None if self.changes.is_empty() => cells.empty(),
            None => cells.value(&json!(self.changes)),
        }
    }
}

const OF_EVENTS: &str = "The activity log has no changes made by events: persons-properties-timeline-retrieve shows those.";
/// The persons of a merge that are shown.
const MAX_MERGED: usize = 10;

fn merge_row(merge: &Merge, sanitizer: &Sanitizer) -> MergeRow {
    let merged = |person: &MergedPerson| MergedRow {
        uuid: person.uuid.as_ref().map(|uuid| sanitizer.word(uuid)),
        name: person
            .name
            .as_ref()
            .map(|name| sanitizer.text(&sanitizer.redaction().unattributed_name(name))),
    };
    let more = merge.source.len().saturating_sub(MAX_MERGED);
    MergeRow {
        merged: merge.source.iter().take(MAX_MERGED).map(merged).collect(),
        more: (more > 0).then_some(more),
        into: merge.target.first().map(merged),
    }
}

fn row(entry: &Activity, sanitizer: &Sanitizer) -> ActivityRow {
    let user = entry.user.as_ref();
    let detail = entry.detail.as_ref();
    let change = |change: &Change| {
        let field = change.field.clone().unwrap_or_default();
        ChangeRow {
            field: change.field.as_ref().map(|field| sanitizer.text(field)),
            action: change.action.as_ref().map(|action| sanitizer.word(action)),
            before: sanitizer.unattributed(&field, &change.before),
            after: sanitizer.unattributed(&field, &change.after),
        }
    };
    ActivityRow {
        created_at: sanitizer.timestamp(&entry.created_at),
        activity: sanitizer.word(&entry.activity),
        user: user.map_or_else(String::new, |user| sanitizer.text(&user.label())),
        person_id: entry.item_id,
        name: detail
            .and_then(|detail| detail.name.as_ref())
            .map(|name| sanitizer.text(&sanitizer.redaction().unattributed_name(name))),
        changes: detail
            .map(|detail| detail.changes.iter().map(change).collect())
            .unwrap_or_default(),
        merge: detail
            .and_then(|detail| detail.merge.as_ref())
            .map(|merge| merge_row(merge, sanitizer)),
    }
}

impl Tool for PersonsActivityRetrieve {
    type Input = Input;
    type Output = Output;
    const NAME: &'static str = "persons-activity-retrieve";
    const TITLE: &'static str = "Person activity log";
    const DESCRIPTION: &'static str = "List who changed, split or deleted a person and when, newest first: the \
         activity log. Without id it covers the whole project, which is the only way to see deleted persons. For the \
         values of changed properties use persons-properties-at-time-retrieve.";
    const SEARCH_HINT: &'static str = "who changed, edited, merged or deleted this user or customer; audit trail, \
         change log, history";
    const EFFECT: Effect = Effect::Read;
    const TOOLSET: Toolset = Toolset::History;
    const ACCESS: RequiredScopes = RequiredScopes(&["activity_log:read"]);
    const EXAMPLE: &'static str = r#"{"id": "ada0ada0-1815-4852-8000-000000000101"}"#;

    async fn call(context: &Context, input: Input) -> Result<ToolOutcome<Output>, ToolError> {
        let (limit, page) = (input.limit.0, input.page.0);
        let id = input.id.as_ref().map(|id| &id.0);
        let activity = context.posthog.activity(id, limit, page).await;
        let activity = activity.map_err(|error| {
            // PostHog has no empty page after the last one.
            if page > 1 && *error.kind() == (ErrorKind::Server { status: 500 }) {
                return ToolError::lasting_failure(
                    format_args!("page {page} is past the last page"),
                    "Call with page 1, and go on only while a result names a next page.",
                );
            }
            error.into()
        })?;
        let limits = match id {
            Some(id) => limits_knowing(context, id).await?,
            None => context.limits.clone(),
        };
        let truncated = truncate_rows(&limits, &activity.results, row);
        let shown = truncated.rows.len();
        let cut = shown < activity.results.len();
        let next = if cut {
            let before = (page - 1).saturating_mul(limit);
            page_from(
                before.saturating_add(u32::try_from(shown).unwrap_or(limit)),
                shown,
            )
        } else {
            activity.has_next().then(|| NextPage {
                limit,
                page: page.saturating_add(1),
            })
        };
        let mut notes = Vec::new();
        if cut {
            notes.push(format!(
                "Only {shown} of {} entries fit into the result.",
                activity.results.len()
            ));
        }
        if let Some(next) = &next {
            notes.push(format!(
                "There is more: call {} with limit {} and page {}.",
                Self::NAME,
                next.limit,
                next.page
            ));
        }
        notes.push(OF_EVENTS.to_owned());
        let head = match activity.total_count {
            Some(total) => format!("{shown} of {total} entries\n"),
            None => format!("{shown} entries\n"),
        };
        let output = truncated.into_output(&head, notes, |results, notes| Output {
            person_id: id.map(|id| id.as_str().to_owned()),
            results,
            total: activity.total_count,
            next,
            notes,
        });
        Ok(output.into())
    }
}

/// The page that begins exactly after the first `start` entries, as large as possible and not larger than `most`.
fn page_from(start: u32, most: usize) -> Option<NextPage> {
    let most = u32::try_from(most).ok()?.max(1);
    let limit = (1..=most)
        .rev()
        .find(|limit| start.is_multiple_of(*limit))?;
    Some(NextPage {
        limit,
        page: start / limit + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::page_from;

    #[test]
    fn a_cut_page_is_continued_exactly() {
        for (start, most) in [(7, 7), (27, 7), (41, 20), (40, 20), (1, 1)] {
            let next = page_from(start, most).unwrap();
            assert_eq!((next.page - 1) * next.limit, start, "{start} {most}");
            assert!(next.limit as usize <= most);
        }
    }
}
