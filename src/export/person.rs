//! Everything about one person: the archive for a request of access, or for support.

use chrono::SecondsFormat;
use posthog_client::{Activity, ActivityPage, Client, Cohort, Error, Person, PersonId, TimeRange};
use serde_json::{Value, json};

use super::archive::Archive;
use super::directory::ExportedFile;
use super::error::ExportError;
use super::event_summary::EventSummary;
use super::events::{self, Events};
use super::kept::Attempt;
use super::manifest::{Missing, PersonManifest};
use super::pending_file::PendingFile;
use super::recordings;
use super::report::{Report, report};
use super::section::unless_closed;
use super::waiting::{Reader, is_temporary};
use crate::output::{EarlierTerms, FileRedactor, Redaction};

/// Entries of the activity log in a page.
const ACTIVITY_PAGE: u32 = 100;
/// Cohorts of a person that PostHog is asked for.
const MAX_COHORTS: usize = 100;

/// What to export.
pub struct PersonExport<'a> {
    /// Which attempt it is.
    pub attempt: &'a Attempt,
    /// What is withheld.
    pub redaction: &'a Redaction,
    /// The person, with all properties and distinct ids.
    pub person: &'a Person,
    /// When the events happened.
    pub range: TimeRange,
    /// Whether that is from the first event, because no start was asked for.
    pub from_first: bool,
}

/// A complete export.
#[derive(Debug)]
pub struct PersonExported {
    /// The archive.
    pub file: ExportedFile,
    /// What is in it.
    pub manifest: PersonManifest,
}

/// Exports a person.
///
/// # Errors
/// When PostHog fails or the file cannot be written.
pub async fn export_person(export: &PersonExport<'_>) -> Result<PersonExported, ExportError> {
    let PersonExport {
        attempt,
        redaction,
        person,
        range,
        ..
    } = *export;
    let mut events = Events::resume(attempt, redaction, person, range);
    match export.run(&mut events).await {
        Err(ExportError::PostHog(error)) if is_temporary(&error) => Err(match events {
            Some(events) => events.keep(attempt, error),
            None => error.into(),
        }),
        result => result,
    }
}

impl PersonExport<'_> {
    fn posthog(&self) -> &Client {
        self.attempt.posthog()
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(self.posthog(), self.attempt.exports())
    }

    /// Exports the person. The events stay where they are, as far as they are read.
    async fn run(&self, events: &mut Option<Events>) -> Result<PersonExported, ExportError> {
        let reader = self.reader();
        let mut missing = Vec::new();
        let mut redactor = FileRedactor::new(self.redaction, self.person, &EarlierTerms::default());
        if events.is_none() {
            let total = events::total(&reader, self.person.uuid, self.range).await;
            let total = unless_closed(total, "events", &redactor, &mut missing)?;
            if let Some(total) = total {
                let (person, range) = (self.person.uuid, self.range);
                *events = Events::begin(&reader, self.attempt, person, range, &total).await?;
            }
        }
        let until = events.as_ref().and_then(Events::until);
        let began = until.unwrap_or_else(|| self.attempt.began());
        let range = until.and_then(|until| self.range.before(until));
        let range = range.unwrap_or(self.range);
        if let Some(events) = events {
            let terms = events.learn(&reader, self.redaction, self.person).await?;
            redactor = FileRedactor::new(self.redaction, self.person, terms);
            events.read(&reader, &redactor).await?;
        }
        let exports = self.attempt.exports();
        let mut archive = Archive::new(PendingFile::create(exports)?, began);
        let person = redactor.person(self.person);
        archive.json("person.json", &person, None)?;
        let (mut check, mut summary) = (None, EventSummary::default());
        if let Some(events) = events {
            check = Some(events.check(&reader).await?);
            summary = events.write(&reader, &redactor, &mut archive).await?;
        }
        let recordings = self
            .recordings(range, &redactor, &mut archive, &mut missing)
            .await?;
        let activity = self.activity(&redactor, &mut archive, &mut missing).await?;
        let cohorts = self.cohorts(&redactor, &mut archive, &mut missing).await?;
        standing(&mut missing, redactor.withholds(), recordings);
        let mut manifest = PersonManifest {
            program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
            host: self.posthog().host().to_owned(),
            project: self.posthog().project().await?,
            person: self.person.uuid.to_string(),
            began_at: began.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            events_from: (!self.from_first).then(|| self.range.from()),
            events_until: range.until(),
            events: check,
            withheld: redactor.withholds(),
            missing,
            files: archive.files().to_vec(),
        };
        let text = report(&Report {
            manifest: &manifest,
            person: &person,
            events: &summary,
            recordings,
            activity: &activity,
            cohorts: &cohorts,
        });
        archive.text("report.md", &text, None)?;
        manifest.files = archive.files().to_vec();
        archive.json("manifest.json", &manifest, None)?;
        let file = exports.publish(archive.finish()?, "person", "zip", "application/zip", began)?;
        Ok(PersonExported { file, manifest })
    }

    async fn recordings(
        &self,
        range: TimeRange,
        redactor: &FileRedactor,
        archive: &mut Archive,
        missing: &mut Vec<Missing>,
    ) -> Result<Option<u64>, ExportError> {
        let (reader, person) = (self.reader(), self.person.uuid);
        let first = recordings::page(&reader, person, range, 0).await;
        let Some(first) = unless_closed(first, "recordings", redactor, missing)? else {
            return Ok(None);
        };
        recordings::write(&reader, person, range, first, redactor, archive)
            .await
            .map(Some)
    }

    /// Writes `activity.json` and returns its entries.
    async fn activity(
        &self,
        redactor: &FileRedactor,
        archive: &mut Archive,
        missing: &mut Vec<Missing>,
    ) -> Result<Vec<Value>, ExportError> {
        let id = PersonId::from(self.person.uuid);
        let (reader, posthog) = (self.reader(), self.posthog());
        let page = async |number| -> Result<ActivityPage, Error> {
            let request = || posthog.activity(Some(&id), ACTIVITY_PAGE, number);
            reader.read(request).await
        };
        let first = unless_closed(page(1).await, "activity", redactor, missing)?;
        let Some(mut current) = first else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        let mut number = 1;
        loop {
            entries.extend(
                current
                    .results
                    .iter()
                    .map(|entry| activity(entry, redactor)),
            );
            if !current.has_next() || current.results.is_empty() {
                break;
            }
            number += 1;
            current = page(number).await?;
        }
        archive.json("activity.json", &entries, Some(entries.len() as u64))?;
        Ok(entries)
    }

    /// Writes `cohorts.json` and returns the cohorts.
    async fn cohorts(
        &self,
        redactor: &FileRedactor,
        archive: &mut Archive,
        missing: &mut Vec<Missing>,
    ) -> Result<Vec<Value>, ExportError> {
        let id = PersonId::from(self.person.uuid);
        let (reader, posthog) = (self.reader(), self.posthog());
        // A query finds those of this project; the endpoint, those of the project that the key's owner has selected.
        let cohorts = match reader.read(|| posthog.cohorts_in_project(&id)).await {
            Err(error) if !is_temporary(&error) => {
                reader.read(|| posthog.person_cohorts(&id)).await
            }
            cohorts => cohorts,
        };
        let Some(cohorts) = unless_closed(cohorts, "cohorts", redactor, missing)? else {
            return Ok(Vec::new());
        };
        if cohorts.len() >= MAX_COHORTS {
            missing.push(Missing {
                what: "cohorts",
                why: format!(
                    "There may be more than the {} that were read.",
                    cohorts.len()
                ),
            });
        }
        let cohorts: Vec<Value> = cohorts
            .iter()
            .map(|cohort| cohort_entry(cohort, redactor))
            .collect();
        archive.json("cohorts.json", &cohorts, Some(cohorts.len() as u64))?;
        Ok(cohorts)
    }
}

/// What no export has.
fn standing(missing: &mut Vec<Missing>, withheld: bool, recordings: Option<u64>) {
    if withheld {
        missing.push(Missing {
            what: "withheld values",
            why: "The operator withholds some values: [redacted] and [email] stand in their place."
                .to_owned(),
        });
    }
    if recordings.is_some() {
        missing.push(Missing {
            what: "recordings themselves",
            why: "recordings.csv lists them with links; what they show is in PostHog.".to_owned(),
        });
    }
    missing.push(Missing {
        what: "expired data",
        why: "Events and recordings that are older than the retention of the project are gone from PostHog.".to_owned(),
    });
    missing.push(Missing {
        what: "later data",
        why: "What arrived after the export began is not included.".to_owned(),
    });
}

fn activity(entry: &Activity, redactor: &FileRedactor) -> Value {
    let detail = entry.detail.as_ref();
    let changes: Vec<Value> = detail
        .into_iter()
        .flat_map(|detail| &detail.changes)
        .map(|change| {
            let field = change.field.as_ref().map(|field| redactor.text(field));
            let key = field.clone().unwrap_or_default();
            json!({
                "action": change.action.as_ref().map(|action| redactor.word(action)),
                "field": field,
                "before": redactor.value(&key, &change.before),
                "after": redactor.value(&key, &change.after),
            })
        })
        .collect();
    let merged = |persons: &[posthog_client::MergedPerson]| -> Vec<Value> {
        let persons = persons.iter();
        persons
            .map(|person| {
                json!({
                    "uuid": person.uuid.as_ref().map(|uuid| redactor.word(uuid)),
                    "name": person.name.as_ref().map(|name| redactor.name(name)),
                })
            })
            .collect()
    };
    let merge = detail.and_then(|detail| detail.merge.as_ref());
    json!({
        "at": redactor.time(&entry.created_at),
        "activity": redactor.word(&entry.activity),
        "by": entry.user.as_ref().map(|user| redactor.text(&user.label())),
        "changes": changes,
        "merge": merge.map(|merge| json!({"source": merged(&merge.source), "target": merged(&merge.target)})),
    })
}

fn cohort_entry(cohort: &Cohort, redactor: &FileRedactor) -> Value {
    json!({
        "id": cohort.id,
        "name": cohort.name.as_ref().map(|name| redactor.text(name)),
        "persons": cohort.count,
    })
}
