//! What is merged into whom, by which distinct ids, and what the person has afterwards.

use std::collections::HashSet;
use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};
use posthog_client::{
    Error, Person, PersonId, ProjectToken, Untrusted, merge_target_id, mergeable_id,
};
use uuid::Uuid;

use super::result::{MergeResult, Output};
use crate::output::{
    MergedProperties, OutputOptions, merged_properties, quote, truncate_rows, write_list,
    write_notes,
};
use crate::tools::arguments::WaitSeconds;
use crate::tools::support::confirmation_text;
use crate::tools::support::poll::poll;
use crate::tools::support::target::{Target, digest_of, note_earlier_deletions, note_unlisted};
use crate::tools::{Context, Preview, ToolError, WriteResult};

/// A person that is merged away.
pub(super) struct PlannedMerge {
    pub(super) uuid: Uuid,
    /// The distinct id by which it is merged.
    pub(super) by: Untrusted<String>,
    pub(super) shown_by: String,
    /// All that move.
    pub(super) ids: Vec<Untrusted<String>>,
}

/// A merge that can be previewed and sent.
pub(super) struct Plan {
    /// The person that stays first.
    pub(super) targets: Vec<Target>,
    pub(super) merges: Vec<PlannedMerge>,
    pub(super) properties: MergedProperties,
    pub(super) project: u64,
    pub(super) host: String,
    pub(super) capture_host: String,
    limits: OutputOptions,
    token: ProjectToken,
    pub(super) kept: Uuid,
    /// The distinct id of the person that stays, into which the others are merged.
    into: Untrusted<String>,
    shown_into: String,
    pub(super) distinct_id_count: usize,
    created_at: Option<String>,
}

impl Plan {
    pub(super) async fn new(
        context: &Context,
        persons: &[Person],
        token: ProjectToken,
    ) -> Result<Self, ToolError> {
        // They become one person, so that what is withheld of one is withheld of all.
        let limits = context
            .limits
            .knowing(context.limits.redaction.terms_of_all(persons));
        let (Some(kept), others) = (persons.first(), persons.get(1..).unwrap_or_default()) else {
            return Err(ToolError::invalid_input("Nothing was sent."));
        };
        let into = into_id(kept, &limits)?;
        let merges = planned(others, &limits)?;
        let mut targets: Vec<Target> = persons
            .iter()
            .map(|person| Target::new(&limits, person, &[]))
            .collect();
        note_earlier_deletions(context, &mut targets).await;
        // A third for the persons, the rest for their properties.
        let for_properties = limits.without(limits.bytes / 3);
        Ok(Self {
            merges,
            properties: merged_properties(&for_properties, persons),
            project: context.posthog.project().await?,
            host: context.posthog.host().to_owned(),
            capture_host: context.posthog.capture_host().to_owned(),
            kept: kept.uuid,
            into: into.clone(),
            shown_into: limits.sanitizer().identifier(into),
            distinct_id_count: targets.iter().map(|target| target.distinct_id_count).sum(),
            created_at: earliest(&targets),
            targets,
            limits,
            token,
        })
    }

    pub(super) fn uuids(&self) -> Vec<String> {
        self.targets
            .iter()
            .map(|target| target.uuid.clone())
            .collect()
    }

    /// The name of the person that stays.
    pub(super) fn name(&self) -> &str {
        self.targets.first().map_or("", |target| &target.name)
    }

    pub(super) fn preview(&self) -> Preview<Output> {
        let persons = truncate_rows(
            &self.limits.without(self.limits.bytes / 2),
            &self.targets,
            |target, _| target.clone(),
        );
        let mut facts = self.facts(Vec::new());
        facts.persons = persons.rows;
        facts.properties = self.properties.changed.rows.clone();
        let (conflicts, added) = (self.properties.conflict_count, self.properties.added_count);
        let mut text = format!(
            "merge these persons into the first, in project {} at {}:\n{}",
            self.project, self.host, persons.table
        );
        let _ = write!(
            text,
            "{} stays, with {} and {} in all",
            self.kept,
            confirmation_text::distinct_ids(self.distinct_id_count),
            confirmation_text::properties(self.properties.count)
        );
        if let Some(created) = &self.created_at {
            let _ = write!(text, ", created {created}");
        }
        text.push_str(". The others are deleted; their distinct ids, events and places in static cohorts move to it.\n");
        let _ = writeln!(
            text,
            "{} differ between the persons, {} it does not have yet. The value of the first person that has a property stays{}",
            confirmation_text::properties(conflicts),
            added,
            if conflicts + added > 0 { ":" } else { "." }
        );
        text.push_str(&self.properties.changed.table);
        let shown = facts.properties.len();
        if shown < self.properties.changed_count {
            facts
                .notes
                .push(format!("Only {shown} of these properties are listed here."));
        }
        note_unlisted(&mut facts.notes, facts.persons.len(), self.targets.len());
        let by: Vec<String> = self.merges.iter().map(|one| one.shown_by.clone()).collect();
        let mut used = format!(
            "The merge uses the distinct id {} of the first, and ",
            quote(&self.shown_into, 400)
        );
        write_list(&mut used, &by);
        let _ = write!(used, " of the others, in events to {}.", self.capture_host);
        facts.notes.push(used);
        facts.notes.push(UNDO.to_owned());
        write_notes(&mut text, &facts.notes);
        Preview {
            question: self.question(),
            text,
            facts,
            digest: digest_of(&self.targets),
        }
    }

    /// Properties that the person gets and that have the same value everywhere.
    pub(super) fn added_without_conflict(&self) -> usize {
        self.properties
            .changed_count
            .saturating_sub(self.properties.conflict_count)
    }

    pub(super) fn facts(&self, merges: Vec<MergeResult>) -> Output {
        Output {
            project: self.project,
            person_uuid: self.kept.to_string(),
            distinct_id: self.shown_into.clone(),
            persons: Vec::new(),
            distinct_id_count: self.distinct_id_count,
            created_at: self.created_at.clone(),
            properties: Vec::new(),
            property_count: self.properties.count,
            conflict_count: self.properties.conflict_count,
            added_count: self.properties.added_count,
            merges: if merges.is_empty() {
                self.not_sent_yet()
            } else {
                merges
            },
            notes: Vec::new(),
        }
    }

    fn not_sent_yet(&self) -> Vec<MergeResult> {
        let planned = self.merges.iter().map(|one| MergeResult {
            person_uuid: one.uuid.to_string(),
            distinct_id: one.shown_by.clone(),
            outcome: None,
            reason: None,
        });
        planned.collect()
    }

    /// Sends one event for each person. One that is not accepted, or whose outcome is unknown, ends the series.
    pub(super) async fn send(
        self,
        context: &Context,
        wait: WaitSeconds,
    ) -> Result<WriteResult<Output>, ToolError> {
        let mut sent: Vec<Result<(), Error>> = Vec::new();
        for one in &self.merges {
            let result = context
                .posthog
                .merge_person(&self.token, &self.into, &one.by)
                .await;
            let stop = result.is_err();
            sent.push(result);
            if stop {
                break;
            }
        }
        if let [Err(_)] = &*sent
            && let Some(Err(error)) = sent.pop()
        {
            return Err(ToolError::from(error).with_verification_hint(self.verification()));
        }
        let accepted = sent.iter().filter(|result| result.is_ok()).count();
        let arrived = self.watch(context, accepted, wait).await;
        Ok(self.result(&sent, arrived.as_ref(), wait))
    }

    /// The persons whose distinct ids have all moved, once all have or the time is up.
    async fn watch(
        &self,
        context: &Context,
        accepted: usize,
        wait: WaitSeconds,
    ) -> Option<HashSet<Uuid>> {
        let accepted = self.merges.get(..accepted).unwrap_or_default();
        let arrived = |kept: &Person| -> HashSet<Uuid> {
            let ids: HashSet<&Untrusted<String>> = kept.distinct_ids.iter().collect();
            let moved = accepted
                .iter()
                .filter(|one| one.ids.iter().all(|id| ids.contains(id)));
            moved.map(|one| one.uuid).collect()
        };
        let id = PersonId::from(self.kept);
        let read = || context.posthog.person(&id);
        let kept = poll(context, wait, read, |kept| {
            arrived(kept).len() == accepted.len()
        })
        .await;
        (wait.0 > 0).then(|| kept.as_ref().map(arrived).unwrap_or_default())
    }

    /// Why an event was not accepted.
    pub(super) fn reason(&self, error: &Error) -> String {
        let reason = self.limits.sanitizer().reason(error);
        reason.unwrap_or_else(|| error.kind().name().replace('_', " "))
    }

    /// The read that shows whether the persons are merged.
    pub(super) fn verification(&self) -> String {
        let ids: Vec<&str> = self
            .merges
            .iter()
            .map(|one| one.shown_by.as_str())
            .collect();
        format!(
            "persons-batch-retrieve with the distinct ids {} shows in a few minutes whether each belongs to the person {}. Do not merge again before checking.",
            serde_json::json!(ids),
            self.kept
        )
    }
}

/// The distinct id of the person that stays, into which the others are merged.
fn into_id<'a>(
    kept: &'a Person,
    limits: &OutputOptions,
) -> Result<&'a Untrusted<String>, ToolError> {
    merge_target_id(kept)
        .ok_or_else(|| no_legal_id(kept, limits, "Name another of the persons as `into`."))
}

fn planned(persons: &[Person], limits: &OutputOptions) -> Result<Vec<PlannedMerge>, ToolError> {
    let sanitizer = limits.sanitizer();
    let planned = persons.iter().map(|person| {
        let by = mergeable_id(person).ok_or_else(|| {
            let remedy = "Leave it out: only an event with another distinct id can link it.";
            no_legal_id(person, limits, remedy)
        })?;
        Ok(PlannedMerge {
            uuid: person.uuid,
            by: by.clone(),
            shown_by: sanitizer.identifier(by),
            ids: person.distinct_ids.clone(),
        })
    });
    planned.collect()
}

fn no_legal_id(person: &Person, limits: &OutputOptions, remedy: &str) -> ToolError {
    let sanitizer = limits.sanitizer();
    let ids = person.distinct_ids.iter().take(3);
    let shown: Vec<String> = ids.map(|id| sanitizer.identifier(id)).collect();
    let mut ids = String::new();
    write_list(&mut ids, &shown);
    ToolError::invalid_input(format!(
        "PostHog merges by none of the distinct ids of the person {} ({ids}): it refuses placeholders of faulty code, such as \
         undefined, and ids that are too long. Nothing was sent. {remedy}",
        person.uuid
    ))
}

/// What remains of a merge.
pub(super) const UNDO: &str = "This cannot be undone: persons-split can move distinct ids to new persons again, but without properties, \
     and the properties of both stay together on the person.";

/// The earliest time at which one of the persons was created, as PostHog wrote it.
fn earliest(targets: &[Target]) -> Option<String> {
    let created = targets
        .iter()
        .filter_map(|target| target.created_at.as_ref());
    let times = created.filter_map(|time| Some((parse(time)?, time)));
    times
        .min_by_key(|(parsed, _)| *parsed)
        .map(|(_, time)| time.clone())
}

fn parse(time: &str) -> Option<DateTime<FixedOffset>> {
    DateTime::parse_from_rfc3339(time).ok()
}
