//! A person that a write is about: what a preview shows of it, and what a confirmation is bound to.

use futures::{StreamExt, TryStreamExt, stream};
use posthog_client::{DeletionStatusQuery, MINIMAL_DISTINCT_IDS, Person, PersonId, Untrusted};
use tokio::time::timeout;
use uuid::Uuid;

use super::confirmation_text::day;
use super::poll::POLL_TIMEOUT;
use crate::output::{Cells, OutputOptions, PersonSummary, Row};
use crate::question::FactsDigest;
pub(in crate::tools) use crate::question::Target;
use crate::tools::{Context, ToolError};

/// Distinct ids that a preview shows of a person.
const MAX_SHOWN_IDS: usize = 3;
/// Persons that are read one by one at most, because a batch does not send all their distinct ids.
const MAX_READ: usize = 100;
/// Earlier deletions that are looked through.
const MAX_DELETIONS: u32 = 1000;
/// Requests of one preview that run at the same time.
const CONCURRENCY: usize = 8;

impl Target {
    /// The person with all its distinct ids; `given` are those of the call that led to it.
    pub(in crate::tools) fn new(
        limits: &OutputOptions,
        person: &Person,
        given: &[Untrusted<String>],
    ) -> Self {
        let sanitizer = limits.sanitizer();
        let summary = PersonSummary::new(person, MAX_SHOWN_IDS, &sanitizer);
        let mut target = Self {
            uuid: person.uuid.to_string(),
            name: summary.name,
            email: summary.email,
            distinct_ids: summary.distinct_ids,
            distinct_id_count: person.distinct_ids.len(),
            created_at: summary.created_at,
            last_seen_at: summary.last_seen_at,
            given: given.iter().map(|id| sanitizer.text(id)).collect(),
            notes: Vec::new(),
            digest: digest(person),
        };
        let placeholder = PLACEHOLDERS
            .iter()
            .find(|name| person.distinct_ids.iter().any(|id| *id == ***name));
        if let Some(name) = placeholder {
            target.notes.push(format!(
                "its distinct id {name} is a placeholder that faulty code sends, so it may be the data of many people."
            ));
        }
        target
    }
}

/// What a confirmation is bound to of one person.
fn digest(person: &Person) -> FactsDigest {
    let named = |key: &&str| {
        let mut entries = person.properties.entries();
        entries
            .find(|(name, _)| *name == **key)
            .map(|(_, json)| json)
    };
    let named: Vec<_> = NAMES.iter().map(named).collect();
    let mut ids: Vec<&Untrusted<String>> = person.distinct_ids.iter().collect();
    ids.sort();
    FactsDigest::new(&(person.uuid, &person.name, named, ids))
}

/// The properties that say who a person is.
const NAMES: [&str; 4] = ["name", "email", "$email", "Email"];

/// Distinct ids that faulty code sends in place of a user's, as PostHog's own list of ids that it refuses to merge has them.
const PLACEHOLDERS: [&str; 27] = [
    "undefined",
    "Undefined",
    "UNDEFINED",
    "null",
    "Null",
    "NULL",
    "None",
    "none",
    "NaN",
    "nan",
    "[object Object]",
    "true",
    "True",
    "false",
    "False",
    "0",
    "-1",
    "anonymous",
    "Anonymous",
    "guest",
    "Guest",
    "not_authenticated",
    "distinct_id",
    "distinctid",
    "distinctId",
    "id",
    "email",
];

/// The persons with all their distinct ids, in the same order. Where a batch did not send all of a person's, the person is
/// read by a request of its own.
pub(in crate::tools) async fn targets(
    context: &Context,
    persons: Vec<(Person, Vec<Untrusted<String>>)>,
) -> Result<Vec<Target>, ToolError> {
    let partial = |person: &Person| person.distinct_ids.len() >= MINIMAL_DISTINCT_IDS;
    let to_read = persons.iter().filter(|(person, _)| partial(person)).count();
    if to_read > MAX_READ {
        return Err(ToolError::invalid_input(format!(
            "{to_read} of these persons have {MINIMAL_DISTINCT_IDS} or more distinct ids, and at most {MAX_READ} such persons can be previewed exactly in one call. Nothing was sent. Split the call into several, each with fewer persons."
        )));
    }
    let mut targets = Vec::with_capacity(persons.len());
    for (person, given) in persons {
        targets.push(async move {
            let whole = if partial(&person) {
                context.posthog.person(&PersonId::from(person.uuid)).await?
            } else {
                person
            };
            Ok(Target::new(&context.limits, &whole, &given))
        });
    }
    stream::iter(targets)
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

/// Notes which persons were deleted before, as far as PostHog lists the deletion of their events: a distinct id that sends
/// events again gets its old UUID. A preview goes on without it.
pub(in crate::tools) async fn note_earlier_deletions(context: &Context, targets: &mut [Target]) {
    let query = DeletionStatusQuery {
        person_uuid: match &*targets {
            [one] => Uuid::try_parse(&one.uuid).ok(),
            _ => None,
        },
        status: None,
        limit: MAX_DELETIONS,
        offset: 0,
    };
    let page = timeout(POLL_TIMEOUT, context.posthog.deletion_status(&query));
    let Ok(Ok(page)) = page.await else {
        return;
    };
    let sanitizer = context.limits.sanitizer();
    for row in &page.results {
        let is_target = |target: &&mut Target| row.person_uuid == *target.uuid.as_str();
        let Some(target) = targets.iter_mut().find(is_target) else {
            continue;
        };
        let deleted = sanitizer.timestamp(&row.created_at);
        let Some(day) = day(&deleted) else {
            continue;
        };
        // To the second, without what the two forms of UTC differ in.
        let seen = target.last_seen_at.as_ref();
        let again = seen.is_some_and(|seen| seen.get(..19) > deleted.get(..19));
        target.notes.push(if again {
            format!("deleted before on {day}, sends events again.")
        } else {
            format!("its events were queued for deletion before, on {day}.")
        });
    }
}

/// That a preview does not list all persons, if it does not.
pub(in crate::tools) fn note_unlisted(notes: &mut Vec<String>, listed: usize, persons: usize) {
    if listed < persons {
        notes.push(format!("Only {listed} persons are listed here."));
    }
}

/// The digest of several persons.
pub(in crate::tools) fn digest_of(targets: &[Target]) -> FactsDigest {
    let digests: Vec<FactsDigest> = targets.iter().map(|target| target.digest).collect();
    FactsDigest::new(&digests)
}

impl Row for Target {
    fn header(rows: &[Self]) -> Vec<String> {
        let mut header = vec!["uuid", "name"];
        let mut column = |name, needed: fn(&Self) -> bool| {
            if rows.iter().any(needed) {
                header.push(name);
            }
        };
        column("email", |row| {
            row.email.as_ref().is_some_and(|email| *email != row.name)
        });
        column("distinct_ids", |_| true);
        column("created_at", |row| row.created_at.is_some());
        column("last_seen_at", |row| row.last_seen_at.is_some());
        column("given", |row| !row.given.is_empty());
        column("notes", |row| !row.notes.is_empty());
        header.into_iter().map(str::to_owned).collect()
    }

    fn cells(&self, header: &[String], cells: &mut Cells<'_>) {
        for column in header {
            match column.as_str() {
                "uuid" => cells.text(&self.uuid),
                "name" => cells.text(&self.name),
                "email" => cells.optional(self.email.as_deref()),
                "distinct_ids" => {
                    let total = format!("{} in all", self.distinct_id_count);
                    let more = self.distinct_id_count > self.distinct_ids.len();
                    cells.list(&self.distinct_ids, more.then_some(total.as_str()));
                }
                "created_at" => cells.optional(self.created_at.as_deref()),
                "last_seen_at" => cells.optional(self.last_seen_at.as_deref()),
                "given" => cells.list(&self.given, None),
                _ => cells.text(&self.notes.join(" ")),
            }
        }
    }
}
