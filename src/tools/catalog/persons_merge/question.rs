//! The question before a merge.

use serde_json::Value;

use super::plan::Plan;
use crate::output::{MergedProperty, quote_list};
use crate::question::{Consequence, Question, Section, Table};
use crate::tools::support::confirmation_text::{
    WIDTH, list_line, persons, place_line, properties, quoted_line,
};

/// Properties whose values are shown.
const MAX_PROPERTIES: usize = 20;
/// Characters of a name in the first four lines.
const MAX_NAME_CHARS: usize = 40;

impl Plan {
    pub(super) fn question(&self) -> Question {
        let count = persons(self.targets.len() as u64);
        let (kept, merged) = self.targets.split_at(self.targets.len().min(1));
        let names: Vec<&str> = merged.iter().map(|target| &*target.name).collect();
        let head = "Deleted after the merge: ";
        let lost = match self.properties.conflict_count {
            0 => "No property value is lost. Distinct ids and events move.".to_owned(),
            conflicts => format!(
                "Other values of {} are lost. Ids and events move.",
                properties(conflicts)
            ),
        };
        let mut sections = vec![
            Section::Note("This person stays:".to_owned()),
            Section::Persons(kept.to_vec()),
            Section::Note("Merged into it and deleted:".to_owned()),
            Section::Persons(merged.to_vec()),
        ];
        if self.properties.changed_count > 0 {
            sections.push(Section::Table(self.properties_table()));
        }
        sections.push(Section::Note(
            "A split can move distinct ids to new persons later. It does not bring properties back."
                .to_owned(),
        ));
        sections.push(Section::Note(quoted_line(
            "The merge is sent to ",
            &self.capture_host,
            ".",
        )));
        Question {
            action: format!("Merge {count}"),
            summary: [
                quoted_line(
                    &format!("Merge {count}, so that only "),
                    self.name(),
                    " stays?",
                ),
                format!(
                    "{head}{}",
                    quote_list(
                        &names,
                        names.len(),
                        MAX_NAME_CHARS,
                        WIDTH.saturating_sub(head.len())
                    )
                ),
                lost,
                place_line(self.project, &self.host),
            ],
            consequences: vec![
                Consequence::new("Deleted", [persons(merged.len() as u64)]),
                Consequence::new(
                    "Lost",
                    [format!(
                        "the other values of {}",
                        properties(self.properties.conflict_count)
                    )],
                ),
                Consequence::new("Moved", ["all distinct ids", "all events"]),
                Consequence::new("Stays", ["one person, with the properties of all"]),
            ],
            sections,
        }
    }

    fn properties_table(&self) -> Table {
        let rows = &self.properties.changed.rows;
        let lost = |row: &MergedProperty| row.lost.iter().map(text).collect::<Vec<_>>();
        Table {
            caption: "Properties that it gets, or that have different values",
            columns: vec!["property", "stays", "lost"],
            rows: rows
                .iter()
                .map(|row| vec![row.property.clone(), text(&row.stays), lost(row).join(", ")])
                .collect(),
            lines: self.property_lines(),
        }
    }

    fn property_lines(&self) -> Vec<String> {
        let rows = self.properties.changed.rows.iter();
        let (conflicts, added): (Vec<_>, Vec<_>) =
            rows.partition(|row: &&MergedProperty| !row.lost.is_empty());
        let mut lines = Vec::new();
        if !conflicts.is_empty() {
            lines.push("Properties with different values:".to_owned());
        }
        for row in conflicts.iter().take(MAX_PROPERTIES) {
            let lost: Vec<String> = row.lost.iter().map(text).collect();
            lines.push(quoted_line("- ", &row.property, ""));
            lines.push(quoted_line("  stays ", &text(&row.stays), ""));
            lines.push(list_line("  lost ", &lost, lost.len()));
        }
        let shown = conflicts.len().min(MAX_PROPERTIES);
        let more = self.properties.conflict_count.saturating_sub(shown);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        let total = self.added_without_conflict();
        if total > 0 {
            let names: Vec<String> = added.iter().map(|row| row.property.clone()).collect();
            lines.push(list_line("It also gets: ", &names, total));
        }
        lines
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
