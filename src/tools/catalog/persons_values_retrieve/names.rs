//! The names of the properties that persons have.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Output, PersonsValuesRetrieve, Wanted};
use crate::output::{Cells, Row, ToolOutput, truncate_rows};
use crate::tools::{Context, Tool, ToolError};

const DEFAULT_NAMES: u32 = 100;

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct NameRow {
    name: String,
    // By which PostHog compares it in filters.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    // Persons that have it, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

impl Row for NameRow {
    fn header(rows: &[Self]) -> Vec<String> {
        let counted = rows.iter().any(|row| row.count.is_some());
        let second = if counted { "count" } else { "type" };
        vec!["name".to_owned(), second.to_owned()]
    }

    fn cells(&self, _: &[String], cells: &mut Cells<'_>) {
        cells.identifier(&self.name);
        match self.count {
            Some(count) => cells.number(count),
            None => cells.optional(self.kind),
        }
    }
}

pub(super) async fn list(
    context: &Context,
    wanted: &Wanted<'_>,
) -> Result<ToolOutput<Output>, ToolError> {
    let limit = wanted.limit.unwrap_or(DEFAULT_NAMES);
    let names = context
        .posthog
        .property_names(wanted.part, limit, wanted.exact)
        .await?;
    let truncated = truncate_rows(&context.limits, &names.names, |one, sanitizer| NameRow {
        name: sanitizer.identifier(&sanitizer.redaction().unattributed_key(&one.name)),
        kind: one.kind.and_then(|kind| kind.name()),
        count: one.count,
    });
    let shown = truncated.rows.len();
    let mut notes = Vec::new();
    if shown == 0 {
        notes.push(match wanted.part {
            Some(_) if names.is_counted => "No person has a property with this in its name; call without `value` for all names.".to_owned(),
            Some(_) => {
                "No recorded property has this in its name; call with `exact` to look at the persons themselves, or without `value` for all names.".to_owned()
            }
            None => "PostHog has recorded no property of persons.".to_owned(),
        });
    } else if names.is_counted {
        notes.push(
            "`count` is the number of persons that have the property, of all persons.".to_owned(),
        );
    } else {
        notes.push(
            "`type` is how PostHog compares the property in filters. Some of these may be on no person any more; call with `exact` to \
             count the persons of each."
                .to_owned(),
        );
    }
    if names.has_more || shown < names.names.len() {
        notes.push(format!(
            "There are more: call {} with `value` for a part of the name, or with a higher limit.",
            PersonsValuesRetrieve::NAME
        ));
    }
    let head = match shown {
        0 => "No property\n".to_owned(),
        1 => "1 property\n".to_owned(),
        shown => format!("{shown} properties\n"),
    };
    Ok(truncated.into_output(&head, notes, |names, notes| Output {
        names,
        notes,
        ..Output::default()
    }))
}
