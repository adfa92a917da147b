//! What would move where, the split itself, and whether it happened.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::Selection;
use super::loss::{self, Comparison};
use crate::output::{ToolOutput, quote, write_list, write_notes};
use crate::tools::arguments::{WaitSeconds, distinct};
use crate::tools::support::confirmation_text;
use crate::tools::support::poll::poll;
use crate::tools::support::resolve_person::own_distinct_id;
use crate::tools::support::target::{Target, digest_of};
use crate::tools::{Context, Outcome, Preview, Status, ToolError, WriteResult};
use posthog_client::{Person, PersonId, Untrusted, is_creator, split_uuid};

/// As many as a user can review and PostHog moves in one task.
const MAX_MOVED: usize = 200;
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::tools) struct Output {
    project: u64,
    person_uuid: String,
    name: String,
    moves: Vec<Move>,
    kept_distinct_id_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Move {
    distinct_id: String,
    new_person_uuid: String,
    /// Absent if not checked
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<bool>,
}

/// A distinct id and its new person.
pub(super) struct PlannedMove {
    id: Untrusted<String>,
    /// The sanitized id.
    pub(super) shown: String,
    pub(super) uuid: Uuid,
}

/// A split that can be previewed and sent.
pub(super) struct Plan {
    id: PersonId,
    pub(super) target: Target,
    pub(super) moves: Vec<PlannedMove>,
    pub(super) moves_creator: bool,
    pub(super) project: u64,
    pub(super) host: String,
    /// The person before the split, as previewed.
    before: Person,
    /// The only distinct id that stays, on versions of PostHog that support no other kind of split.
    only_main: Option<Untrusted<String>>,
}

impl Plan {
    /// Rejects what PostHog would perform without an error: removing all distinct ids because of a misspelt main id, and
    /// blanking a person by moving the id that its UUID derives from.
    pub(super) fn new(
        context: &Context,
        project: u64,
        person: &Person,
        wanted: Selection,
        partial: bool,
        allow_creator_id: bool,
    ) -> Result<Self, ToolError> {
        let sanitizer = context.limits.sanitizer();
        let terms = sanitizer.redaction().terms(person);
        let shown = |id: &_| sanitizer.identifier(&terms.redact_text(id));
        let has: HashSet<&Untrusted<String>> = person.distinct_ids.iter().collect();
        let mut only_main = None;
        let ids: Vec<Untrusted<String>> = match wanted {
            Selection::These(given) => {
                let own = given.iter().map(|id| own_distinct_id(person, id));
                let ids = distinct(own.collect::<Result<Vec<_>, _>>()?);
                let foreign_ids: Vec<String> = ids
                    .iter()
                    .filter(|id| !has.contains(id))
                    .map(&shown)
                    .collect();
                if !foreign_ids.is_empty() {
                    return Err(ToolError::invalid_input(format!(
                        "The person does not have these distinct ids: {}. Nothing was sent. persons-retrieve shows the person's distinct ids.",
                        listed(&foreign_ids)
                    )));
                }
                ids
            }
            Selection::AllBut(given) => {
                let main = own_distinct_id(person, &given)?;
                if !has.contains(&main) {
                    return Err(ToolError::invalid_input(format!(
                        "The person does not have the `main_distinct_id` {}: PostHog would move every distinct id and leave the person without any. Nothing was sent. persons-retrieve shows the person's distinct ids.",
                        quote(&shown(&main), 100)
                    )));
                }
                let others = person.distinct_ids.iter().filter(|id| **id != main);
                let others = others.cloned().collect();
                only_main = (!partial).then_some(main);
                others
            }
        };
        let count = ids.len();
        if count == 0 {
            return Err(ToolError::invalid_input(
                "The person has no other distinct id: there is nothing to split. Nothing was sent.",
            ));
        }
        if count >= has.len() {
            return Err(ToolError::invalid_input(
                "At least one distinct id must stay on the person; without one it can no longer be changed. Nothing was sent.",
            ));
        }
        if count > MAX_MOVED {
            return Err(ToolError::invalid_input(format!(
                "{count} distinct ids would move; at most {MAX_MOVED} are allowed per call, so that the user can review them. Nothing was sent. Pass fewer in distinct_ids_to_split."
            )));
        }
        let creator = ids.iter().find(|id| is_creator(project, id, person.uuid));
        if let Some(creator) = creator
            && !allow_creator_id
        {
            return Err(ToolError::invalid_input(format!(
                "The person's UUID was derived from the distinct id {}. PostHog versions before autumn 2026 report success for such a split, move nothing and blank the person in lists and insights. Nothing was sent. Keep this distinct id and split off the others instead. If PostHog is newer and this distinct id must move, call again with allow_creator_id true.",
                quote(&shown(creator), 100)
            )));
        }
        let moves_creator = creator.is_some();
        Ok(Self {
            id: PersonId::from(person.uuid),
            target: Target::new(&context.limits, person, &[]),
            moves: ids
                .into_iter()
                .map(|id| {
                    let uuid = split_uuid(project, &id, person.uuid);
                    let shown = shown(&id);
                    PlannedMove { id, shown, uuid }
                })
                .collect(),
            moves_creator,
            project,
            host: context.posthog.host().to_owned(),
            before: person.clone(),
            only_main,
        })
    }

    pub(super) fn kept(&self) -> usize {
        self.target.distinct_id_count - self.moves.len()
    }

    pub(super) fn preview(&self) -> Preview<Output> {
        let output = self.output("move", &[], None);
        Preview {
            question: self.question(),
            text: output.text,
            facts: output.structured,
            digest: digest_of(std::slice::from_ref(&self.target)),
        }
    }

    /// The result; `there` holds the distinct ids found on their new persons, if that was checked.
    fn result(
        &self,
        status: Status,
        there: Option<&HashSet<Untrusted<String>>>,
    ) -> WriteResult<Output> {
        let (head, outcome) = match status {
            Status::Done => ("Done: moved", Outcome::Done),
            Status::Partly => (
                "Sent, partly done: moved or still to be moved",
                Outcome::Queued,
            ),
            _ => ("Queued, not done yet: to be moved", Outcome::Queued),
        };
        let notes: &[&str] = match status {
            Status::Done => &[],
            _ => &[
                "PostHog applies the split within seconds and reports no failure; verify with persons-batch-retrieve and the distinct ids.",
            ],
        };
        let output = self.output(head, notes, there);
        WriteResult {
            status,
            output,
            outcome,
        }
    }

    fn output(
        &self,
        head: &str,
        notes: &[&str],
        there: Option<&HashSet<Untrusted<String>>>,
    ) -> ToolOutput<Output> {
        let moves: Vec<Move> = self
            .moves
            .iter()
            .map(|one| Move {
                distinct_id: one.shown.clone(),
                new_person_uuid: one.uuid.to_string(),
                moved: there.map(|there| there.contains(&one.id)),
            })
            .collect();
        let mut notes: Vec<String> = notes.iter().map(|note| (*note).to_owned()).collect();
        let done = there.is_some_and(|there| there.len() == self.moves.len());
        if self.moves_creator && !done {
            notes.push("The split moves the distinct id that the person's UUID was derived from; check the person afterwards with persons-retrieve.".to_owned());
        }
        let mut text = format!(
            "{head}, off person {} {} of project {}, which keeps {}:\n",
            self.target.uuid,
            quote(&self.target.name, 60),
            self.project,
            confirmation_text::distinct_ids(self.kept())
        );
        for one in &moves {
            let seen = match one.moved {
                Some(true) => " (moved)",
                Some(false) => " (not moved yet)",
                None => "",
            };
            let _ = writeln!(
                text,
                "- {} to {}{seen}",
                quote(&one.distinct_id, 400),
                one.new_person_uuid
            );
        }
        write_notes(&mut text, &notes);
        ToolOutput {
            structured: Output {
                project: self.project,
                person_uuid: self.target.uuid.clone(),
                name: self.target.name.clone(),
                moves,
                kept_distinct_id_count: self.kept(),
                notes,
            },
            text,
        }
    }

    pub(super) async fn send(
        &self,
        context: &Context,
        wait: WaitSeconds,
    ) -> Result<WriteResult<Output>, ToolError> {
        let ids: Vec<_> = self.moves.iter().map(|one| one.id.clone()).collect();
        let sent = match &self.only_main {
            Some(main) => context.posthog.split_all_but(&self.id, main).await,
            None => context.posthog.split(&self.id, &ids).await,
        };
        sent.map_err(|error| {
            ToolError::from(error).with_verification_hint(
                "persons-batch-retrieve with the distinct ids shows, in half a minute, which person each belongs to. Do not split again before checking."
                    .to_owned(),
            )
        })?;
        let there = self.watch(context, &ids, wait).await;
        let status = match &there {
            Some(there) if there.len() == ids.len() => Status::Done,
            Some(there) if !there.is_empty() => Status::Partly,
            _ => Status::Queued,
        };
        let mut result = self.result(status, there.as_ref());
        self.report_loss(context, &mut result).await;
        Ok(result)
    }

    /// Compares the person with the plan. Losses are reported at the top of the result.
    async fn report_loss(&self, context: &Context, result: &mut WriteResult<Output>) {
        let moved = self.moves.iter().map(|one| &one.id).collect();
        let note = match loss::compare(context, &self.id, &self.before, &moved).await {
            Comparison::AsPlanned => return,
            Comparison::NotApplied => {
                let note = "The person could not be compared with the plan yet: verify with persons-retrieve that it keeps its other \
                            distinct ids and its properties."
                    .to_owned();
                let _ = writeln!(result.output.text, "{note}");
                result.output.structured.notes.push(note);
                return;
            }
            Comparison::Loss(loss) => {
                result.status = Status::Partly;
                result.outcome = Outcome::Partly;
                let mut note = "PostHog took more from the person than planned.".to_owned();
                for (what, names) in [
                    ("Distinct ids that are gone", &loss.distinct_ids),
                    ("Properties that are gone", &loss.properties),
                ] {
                    if !names.is_empty() {
                        let _ = write!(note, " {what}: {}.", listed(names));
                    }
                }
                note.push_str(" Tell the user; persons-update can set properties again.");
                note
            }
            Comparison::Unread => "The person could not be read after the split: compare it with the preview, with persons-retrieve."
                .to_owned(),
        };
        result.output.text.insert_str(0, &format!("{note}\n"));
        result.output.structured.notes.insert(0, note);
    }

    /// The distinct ids that are on their new persons, once all are or the time is up.
    async fn watch(
        &self,
        context: &Context,
        ids: &[Untrusted<String>],
        wait: WaitSeconds,
    ) -> Option<HashSet<Untrusted<String>>> {
        let goes_to: HashMap<_, _> = self.moves.iter().map(|one| (&one.id, one.uuid)).collect();
        let is_there =
            |id: &Untrusted<String>, person: &Person| goes_to.get(id) == Some(&person.uuid);
        let all_there = |found: &HashMap<Untrusted<String>, Person>| {
            let there = found.iter().filter(|(id, person)| is_there(id, person));
            there.count() == ids.len()
        };
        let read = || context.posthog.persons_by_distinct_ids(ids);
        let found = poll(context, wait, read, all_there).await;
        (wait.0 > 0).then(|| {
            let found = found.into_iter().flatten();
            found
                .filter(|(id, person)| is_there(id, person))
                .map(|(id, _)| id)
                .collect()
        })
    }
}

fn listed(names: &[String]) -> String {
    let mut text = String::new();
    write_list(&mut text, names.iter().take(20));
    if names.len() > 20 {
        let _ = write!(text, ", … ({} in all)", names.len());
    }
    text
}
