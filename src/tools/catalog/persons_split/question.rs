//! The question before a split.

use super::plan::Plan;
use crate::question::{Consequence, Question, Section, Table};
use crate::tools::support::confirmation_text;

impl Plan {
    pub(super) fn question(&self) -> Question {
        let ids = confirmation_text::distinct_ids(self.moves.len());
        let targets = std::slice::from_ref(&self.target);
        let mut sections = vec![Section::Persons(vec![self.target.clone()])];
        if self.moves_creator {
            sections.push(Section::Note(
                "NOTE: one of them is the id that the person's UUID was derived from. PostHog versions before autumn 2026 blank the person instead.".to_owned(),
            ));
        }
        sections.push(Section::Table(self.moves_table()));
        Question {
            action: format!("Split off {ids}"),
            summary: [
                format!("Split {ids} off this person?"),
                confirmation_text::names_line(targets),
                format!(
                    "It keeps its properties and {}. Events follow the ids.",
                    confirmation_text::distinct_ids(self.kept())
                ),
                confirmation_text::place_line(self.project, &self.host),
            ],
            consequences: vec![
                Consequence::new(
                    "Moved",
                    [
                        format!("{ids}, each to a new person without properties"),
                        "their events".to_owned(),
                    ],
                ),
                Consequence::new(
                    "Stays",
                    [
                        "the properties of the person".to_owned(),
                        confirmation_text::distinct_ids(self.kept()),
                    ],
                ),
            ],
            sections,
        }
    }

    fn moves_table(&self) -> Table {
        const CAPTION: &str = "Moved, each to a new person without properties";
        let lines = self.sample().iter().flat_map(|one| {
            [
                confirmation_text::quoted_line("- ", &one.shown, ""),
                format!("  to {}", one.uuid),
            ]
        });
        let mut lines: Vec<String> = [format!("{CAPTION}:")].into_iter().chain(lines).collect();
        let hidden = self.moves.len() - self.sample().len();
        if hidden > 0 {
            lines.push(format!("- and {hidden} more"));
        }
        Table {
            caption: CAPTION,
            columns: vec!["distinct id", "new person"],
            lines,
            rows: self
                .moves
                .iter()
                .map(|one| vec![one.shown.clone(), one.uuid.to_string()])
                .collect(),
        }
    }
}
