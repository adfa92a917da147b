//! The same change of several persons: previewed, confirmed, sent one by one, and reported for each.

use std::collections::{HashMap, HashSet};

use futures::FutureExt;
use posthog_client::{Error, ErrorKind, Person, PersonId, Untrusted};
use uuid::Uuid;

use super::{Change, Output, PersonResult};
use crate::output::{ToolOutput, truncate_rows, write_list};
use crate::question::{Consequence, Question, Section, Table};
use crate::tools::arguments::{DistinctId, PersonUuid, distinct};
use crate::tools::support::confirmation_text::{names_line, persons, place_line, quoted_pair_line};
use crate::tools::support::poll::poll;
use crate::tools::support::property_change::is_applied;
use crate::tools::support::resolve_person::{once_each, partition};
use crate::tools::support::target::{Target, digest_of, targets};
use crate::tools::{Context, Outcome, PendingWrite, Preview, Status, ToolError, WriteResult};

/// As many as a user can review; PostHog takes one request for each, and 240 per minute.
const MAX_PERSONS: usize = 100;

/// A change of several persons that can be previewed and sent.
struct Plan {
    context: Context,
    change: Change,
    targets: Vec<Target>,
    uuids: Vec<Uuid>,
    /// Sanitized.
    keys: Vec<String>,
    not_found: Vec<String>,
    project: u64,
}

pub(super) async fn prepare(
    context: &Context,
    ids: Option<Vec<PersonUuid>>,
    distinct_ids: Option<Vec<DistinctId>>,
    change: Change,
) -> Result<PendingWrite<Output>, ToolError> {
    let (found, not_found) = resolve(context, ids, distinct_ids).await?;
    let sanitizer = context.limits.sanitizer();
    let plan = Plan {
        uuids: found.iter().map(|(person, _)| person.uuid).collect(),
        targets: targets(context, found).await?,
        keys: change
            .properties
            .keys()
            .map(|key| sanitizer.argument(key))
            .collect(),
        not_found: not_found.iter().map(|id| sanitizer.text(id)).collect(),
        project: context.posthog.project().await?,
        context: context.clone(),
        change,
    };
    Ok(PendingWrite {
        persons: plan.uuids.iter().map(Uuid::to_string).collect(),
        property_keys: plan.change.keys(),
        deletes: Vec::new(),
        merged_into: None,
        preview: Some(Box::new(plan.preview())),
        execute: async move { plan.send().await }.boxed(),
    })
}

type Found = Vec<(Person, Vec<Untrusted<String>>)>;

/// The persons, and the ids of nobody.
async fn resolve(
    context: &Context,
    ids: Option<Vec<PersonUuid>>,
    distinct_ids: Option<Vec<DistinctId>>,
) -> Result<(Found, Vec<Untrusted<String>>), ToolError> {
    let posthog = &context.posthog;
    let (found, not_found): (Vec<_>, Vec<_>) = match (ids, distinct_ids) {
        (Some(ids), None) => {
            let ids = distinct(ids.into_iter().map(|id| id.0));
            check_count(ids.len())?;
            let found = posthog.persons_by_uuids(&ids).await?;
            let (found, not_found) = partition(ids, found);
            let not_found = not_found.iter().map(|uuid| uuid.to_string().into());
            (
                found
                    .into_iter()
                    .map(|(_, person)| (person, None))
                    .collect(),
                not_found.collect(),
            )
        }
        (None, Some(ids)) => {
            let ids = distinct(ids.into_iter().map(|id| Untrusted::from(id.0)));
            check_count(ids.len())?;
            let found = posthog.persons_by_distinct_ids(&ids).await?;
            let (found, not_found) = partition(ids, found);
            let found = found.into_iter().map(|(id, person)| (person, Some(id)));
            (found.collect(), not_found)
        }
        _ => {
            return Err(ToolError::invalid_input(
                "Give exactly one of `id`, `distinct_id`, `ids` and `distinct_ids`. Nothing was sent.",
            ));
        }
    };
    if found.is_empty() {
        return Err(ToolError::invalid_input(format!(
            "None of the {} ids belongs to a person in this project. Nothing was sent. Find the persons with persons-list.",
            not_found.len()
        )));
    }
    Ok((once_each(found), not_found))
}

fn check_count(count: usize) -> Result<(), ToolError> {
    match count {
        0 => Err(ToolError::invalid_input(
            "The list of ids is empty. Nothing was sent.",
        )),
        1..=MAX_PERSONS => Ok(()),
        count => Err(ToolError::invalid_input(format!(
            "{count} ids are too many; at most {MAX_PERSONS} are allowed per call, so that the user can review them. Nothing was sent."
        ))),
    }
}

impl Plan {
    fn preview(&self) -> Preview<Output> {
        let rows = truncate_rows(&self.context.limits, &self.targets, |target, _| {
            target.clone()
        });
        let mut text = format!("set, in project {}, ", self.project);
        write_list(&mut text, &self.keys);
        text.push_str(" of these persons:\n");
        text.push_str(&rows.table);
        self.write_not_found(&mut text);
        Preview {
            question: self.question(),
            text,
            facts: Output {
                queued: self.keys.clone(),
                check: self.check(),
                persons: rows.rows,
                not_found: self.not_found.clone(),
                ..Output::default()
            },
            digest: digest_of(&self.targets),
        }
    }

    fn question(&self) -> Question {
        let count = persons(self.targets.len() as u64);
        let what = match self.keys.len() {
            1 => "1 property".to_owned(),
            count => format!("{count} properties"),
        };
        let sanitizer = self.context.limits.sanitizer();
        let properties = self.change.properties.iter().map(|(key, value)| {
            let value = sanitizer.property_text(key, &value.clone().into());
            vec![sanitizer.argument(key), value]
        });
        let rows: Vec<Vec<String>> = properties.collect();
        let line = |row: &Vec<String>| match row.as_slice() {
            [key, value] => quoted_pair_line("set ", key, " to ", value),
            _ => String::new(),
        };
        Question {
            action: format!("Update {count}"),
            summary: [
                format!("Set {what} of {count}?"),
                names_line(&self.targets),
                "Their values are overwritten; all other properties stay.".to_owned(),
                place_line(self.project, self.context.posthog.host()),
            ],
            consequences: vec![
                Consequence::new("Overwritten", ["the values of the properties below"]),
                Consequence::new("Stays", ["all other properties"]),
            ],
            sections: vec![
                Section::Table(Table {
                    caption: "Set on each of these persons",
                    columns: vec!["property", "value"],
                    lines: rows.iter().map(line).collect(),
                    rows,
                }),
                Section::Persons(self.targets.clone()),
                Section::NotFound(self.not_found.clone()),
            ],
        }
    }

    fn check(&self) -> String {
        format!(
            "PostHog applies it asynchronously and reports no failure; verify with persons-batch-retrieve, the uuids and select {}.",
            serde_json::json!(self.keys)
        )
    }

    fn write_not_found(&self, text: &mut String) {
        if !self.not_found.is_empty() {
            text.push_str(&format!("Ids of nobody ({}): ", self.not_found.len()));
            write_list(text, &self.not_found);
            text.push('\n');
        }
    }

    /// Sends one request for each person. One with an unknown outcome, or that fails for a reason that is not the
    /// person's, ends the series.
    async fn send(self) -> Result<WriteResult<Output>, ToolError> {
        let mut sent: Vec<(Uuid, Result<(), Error>)> = Vec::new();
        for uuid in &self.uuids {
            let id = PersonId::from(*uuid);
            let result = self
                .context
                .posthog
                .update_properties(&id, &self.change.properties)
                .await;
            let stop = result.as_ref().is_err_and(|error| {
                !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotPerformed)
            });
            sent.push((*uuid, result));
            if stop {
                break;
            }
        }
        let accepted: Vec<Uuid> = sent
            .iter()
            .filter(|(_, result)| result.is_ok())
            .map(|(uuid, _)| *uuid)
            .collect();
        let applied = self.applied(&accepted).await;
        self.result(&sent, &accepted, &applied)
    }

    /// The persons that have the values, once all of them have or the time is up.
    async fn applied(&self, uuids: &[Uuid]) -> HashSet<Uuid> {
        if uuids.is_empty() {
            return HashSet::new();
        }
        let is_done = |person: &Person| is_applied(person, &self.change.properties);
        let all_done = |found: &HashMap<Uuid, Person>| {
            found.len() == uuids.len() && found.values().all(is_done)
        };
        let read = || self.context.posthog.persons_by_uuids(uuids);
        let found = poll(&self.context, self.change.wait, read, all_done).await;
        found
            .into_iter()
            .flatten()
            .filter(|(_, person)| is_done(person))
            .map(|(uuid, _)| uuid)
            .collect()
    }

    fn result(
        &self,
        sent: &[(Uuid, Result<(), Error>)],
        accepted: &[Uuid],
        applied: &HashSet<Uuid>,
    ) -> Result<WriteResult<Output>, ToolError> {
        let sanitizer = self.context.limits.sanitizer();
        let mut results: Vec<PersonResult> = sent
            .iter()
            .map(|(uuid, result)| PersonResult {
                person_uuid: uuid.to_string(),
                outcome: match result {
                    Ok(()) if applied.contains(uuid) => Outcome::Done.name(),
                    Ok(()) => Outcome::Queued.name(),
                    Err(error) if error.kind().outcome_unknown() => Outcome::Unknown.name(),
                    Err(_) => Outcome::NotDone.name(),
                },
                reason: result.as_ref().err().map(|error| {
                    error.reason().map_or_else(
                        || error.kind().name().to_owned(),
                        |reason| sanitizer.text(reason),
                    )
                }),
            })
            .collect();
        let not_sent = self.uuids.iter().skip(sent.len());
        results.extend(not_sent.map(|uuid| PersonResult {
            person_uuid: uuid.to_string(),
            outcome: NOT_SENT,
            reason: None,
        }));
        let (all, some) = (self.uuids.len(), accepted.len());
        let unknown = results
            .iter()
            .any(|one| one.outcome == Outcome::Unknown.name());
        let (status, outcome, head) = match (some, unknown) {
            (0, false) => (Status::Failed, Outcome::NotDone, "Not done"),
            (0, true) => (Status::Failed, Outcome::Unknown, "Outcome unknown"),
            (_, true) => (Status::Partly, Outcome::Unknown, "Partly done"),
            (some, false) if some < all => (Status::Partly, Outcome::Partly, "Partly done"),
            (_, false) if applied.len() == all => (Status::Done, Outcome::Done, "Done"),
            _ if self.change.wait.0 > 0 => (
                Status::Queued,
                Outcome::Queued,
                "Queued, not done within wait_seconds",
            ),
            _ => (Status::Queued, Outcome::Queued, "Queued, not done yet"),
        };
        let mut text = format!("{head}: set ");
        write_list(&mut text, &self.keys);
        text.push_str(&if some > 0 && some < all {
            format!(" of {some} of {}.\n", persons(all as u64))
        } else {
            format!(" of {}.\n", persons(all as u64))
        });
        for one in &results {
            text.push_str(&format!("{}: {}", one.outcome, one.person_uuid));
            if let Some(reason) = &one.reason {
                text.push_str(&format!(": {reason}"));
            }
            text.push('\n');
        }
        self.write_not_found(&mut text);
        let check = if status == Status::Done {
            format!(
                "persons-batch-retrieve, the uuids and select {} shows it.",
                serde_json::json!(self.keys)
            )
        } else {
            self.check()
        };
        text.push_str(&check);
        text.push('\n');
        if some == 0 {
            return Err(ToolError::write_failed(text, outcome));
        }
        Ok(WriteResult {
            status,
            output: ToolOutput {
                structured: Output {
                    queued: self.keys.clone(),
                    check,
                    results,
                    not_found: self.not_found.clone(),
                    ..Output::default()
                },
                text,
            },
            outcome,
        })
    }
}

/// The outcome of a person whose request was not sent, because one before it ended the series.
const NOT_SENT: &str = "not sent";
