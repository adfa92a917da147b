//! What would move where, the split itself, and whether it happened.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::loss::{self, Comparison};
use super::selection::{Selected, Selection};
use crate::output::{RedactedTerms, Sanitizer, ToolOutput, quote, write_list, write_notes};
use crate::sync::lock;
use crate::tools::arguments::WaitSeconds;
use crate::tools::support::confirmation_text;
use crate::tools::support::poll::poll;
use crate::tools::support::target::{Target, digest_of};
use crate::tools::{Context, Outcome, Preview, Status, ToolError, WriteResult};
use posthog_client::{Person, PersonId, Untrusted, is_creator, split_uuid};

/// Up to this many moves are shown one by one; of more, a few.
const MAX_SHOWN: usize = 200;
const SAMPLE: usize = 20;
/// How many distinct ids are looked up at once.
const BATCH: usize = 200;

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::tools) struct Output {
    project: u64,
    person_uuid: String,
    name: String,
    /// All of them, or a few of more than 200
    moves: Vec<Move>,
    move_count: usize,
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

/// The distinct ids of a person as they are shown.
pub(super) struct Shown<'a> {
    sanitizer: &'a Sanitizer,
    terms: RedactedTerms,
}

impl<'a> Shown<'a> {
    fn new(sanitizer: &'a Sanitizer, person: &Person) -> Self {
        let terms = sanitizer.redaction().terms(person);
        Self { sanitizer, terms }
    }

    pub(super) fn id(&self, id: &Untrusted<String>) -> String {
        self.sanitizer.identifier(&self.terms.redact_text(id))
    }

    /// What is withheld cannot be found out by trying prefixes.
    pub(super) fn begins_with(&self, id: &Untrusted<String>, prefix: &str) -> bool {
        Sanitizer::has_prefix(&self.terms.redact_text(id), prefix)
    }
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
    /// Rejects what PostHog would perform without an error: blanking a person by moving the id that its UUID derives from.
    pub(super) fn new(
        context: &Context,
        project: u64,
        person: &Person,
        wanted: &Selection,
        partial: bool,
        allow_creator_id: bool,
    ) -> Result<Self, ToolError> {
        let sanitizer = context.limits.sanitizer();
        let shown = Shown::new(&sanitizer, person);
        let Selected { ids, main } = wanted.of(person, &shown)?;
        let creator = ids.iter().find(|id| is_creator(project, id, person.uuid));
        if let Some(creator) = creator
            && !allow_creator_id
        {
            return Err(ToolError::invalid_input(format!(
                "The person's UUID was derived from the distinct id {}. PostHog versions before autumn 2026 report success for such a split, move nothing and blank the person in lists and insights. Nothing was sent. Keep this distinct id and split off the others instead. If PostHog is newer and this distinct id must move, call again with allow_creator_id true.",
                quote(&shown.id(creator), 100)
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
                    let shown = shown.id(&id);
                    PlannedMove { id, shown, uuid }
                })
                .collect(),
            moves_creator,
            project,
            host: context.posthog.host().to_owned(),
            before: person.clone(),
            only_main: main.filter(|_| !partial),
        })
    }

    /// The moves that are shown.
    pub(super) fn sample(&self) -> &[PlannedMove] {
        let sample = self.moves.get(..SAMPLE);
        sample
            .filter(|_| self.moves.len() > MAX_SHOWN)
            .unwrap_or(&self.moves)
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
            .sample()
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
        let hidden = self.moves.len() - moves.len();
        if hidden > 0
            && let Some(there) = there
        {
            notes.push(format!(
                "{} of {} distinct ids were seen on their new persons.",
                there.len(),
                self.moves.len()
            ));
        }
        let count = match hidden {
            0 => String::new(),
            _ => format!(" {}", confirmation_text::distinct_ids(self.moves.len())),
        };
        let mut text = format!(
            "{head}{count}, off person {} {} of project {}, which keeps {}:\n",
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
        if hidden > 0 {
            let _ = writeln!(text, "- and {hidden} more");
        }
        write_notes(&mut text, &notes);
        ToolOutput {
            structured: Output {
                project: self.project,
                person_uuid: self.target.uuid.clone(),
                name: self.target.name.clone(),
                moves,
                move_count: self.moves.len(),
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
        let there = Mutex::new(HashSet::new());
        // A distinct id that was seen on its new person is not looked up again.
        let read = || async {
            let pending: Vec<Untrusted<String>> = {
                let there = lock(&there);
                let pending = ids.iter().filter(|id| !there.contains(*id));
                pending.cloned().collect()
            };
            for batch in pending.chunks(BATCH) {
                let found = context.posthog.persons_by_distinct_ids(batch).await?;
                let moved = found
                    .into_iter()
                    .filter(|(id, person)| goes_to.get(id) == Some(&person.uuid));
                let moved: Vec<_> = moved.map(|(id, _)| id).collect();
                let all = moved.len() == batch.len();
                lock(&there).extend(moved);
                if !all {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        poll(context, wait, read, |all| *all).await;
        (wait.0 > 0).then(|| there.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn listed(names: &[String]) -> String {
    let mut text = String::new();
    write_list(&mut text, names.iter().take(20));
    if names.len() > 20 {
        let _ = write!(text, ", … ({} in all)", names.len());
    }
    text
}
