//! Everything about one person: the archive for a request of access, or for support.

use chrono::{SecondsFormat, Utc};
use posthog_client::{
    Activity, ActivityPage, Client, Cohort, Error, EventSource, EventTotal, EventsQuery, Person,
    PersonId, TimeRange,
};
use serde_json::{Value, json};

use super::archive::Archive;
use super::directory::{ExportedFile, Exports};
use super::error::ExportError;
use super::events::{self, EventSummary};
use super::manifest::{EventCheck, Missing, PersonManifest};
use super::recordings;
use super::report::{Report, report};
use super::section::unless_closed;
use super::waiting::waiting;
use crate::output::{EarlierTerms, FileRedactor, Redaction};

/// Entries of the activity log in a page.
const ACTIVITY_PAGE: u32 = 100;
/// Cohorts of a person that PostHog is asked for.
const MAX_COHORTS: usize = 100;

/// What to export.
pub struct PersonExport<'a> {
    /// PostHog, as the caller's credential sees it.
    pub posthog: &'a Client,
    /// Where to.
    pub exports: &'a Exports,
    /// What is withheld.
    pub redaction: &'a Redaction,
    /// The person, with all properties and distinct ids.
    pub person: &'a Person,
    /// When the events happened.
    pub range: TimeRange,
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
/// When PostHog fails or the file cannot be written; nothing is left then.
pub async fn export_person(export: &PersonExport<'_>) -> Result<PersonExported, ExportError> {
    let mut missing = Vec::new();
    let started = Utc::now();
    let total = export.total(export.range).await;
    let known = FileRedactor::new(export.redaction, export.person, EarlierTerms::default());
    let total = unless_closed(total, "events", &known, &mut missing)?;
    // PostHog's clock decides what has arrived: ours may be wrong.
    let counted_at = total.as_ref().and_then(|total| total.counted_at);
    let began = counted_at.unwrap_or(started);
    let range = export.range.before(began);
    let events = match (total, range) {
        (Some(_), Some(range)) => Some(export.events(range).await?),
        _ => None,
    };
    let earlier = match &events {
        Some((query, total)) => export.earlier_terms(query, total).await?,
        None => EarlierTerms::default(),
    };
    let redactor = FileRedactor::new(export.redaction, export.person, earlier);
    let mut archive = Archive::new(export.exports.create()?, began);
    let person = redactor.person(export.person);
    archive.json("person.json", &person, None)?;
    let (mut check, mut summary) = (None, EventSummary::default());
    if let Some((query, total)) = &events {
        let written = export.write_events(query, total, &redactor, &mut archive);
        let (written, names) = written.await?;
        (check, summary) = (Some(written), names);
    }
    let recordings = export.recordings(
        range.unwrap_or(export.range),
        &redactor,
        &mut archive,
        &mut missing,
    );
    let recordings = recordings.await?;
    let activity = export
        .activity(&redactor, &mut archive, &mut missing)
        .await?;
    let cohorts = export
        .cohorts(&redactor, &mut archive, &mut missing)
        .await?;
    standing(&mut missing, redactor.withholds(), recordings);
    let mut manifest = PersonManifest {
        program: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        host: export.posthog.host().to_owned(),
        project: export.posthog.project().await?,
        person: export.person.uuid.to_string(),
        began_at: began.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        events_from: export.range.from(),
        events_until: range.unwrap_or(export.range).until(),
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
    let file = archive.finish()?;
    let file = export
        .exports
        .publish(file, "person", "zip", "application/zip", began)?;
    Ok(PersonExported { file, manifest })
}

impl PersonExport<'_> {
    fn query(&self, range: TimeRange) -> EventsQuery {
        EventsQuery {
            source: EventSource::Person(self.person.uuid),
            names: Vec::new(),
            range,
        }
    }

    async fn total(&self, range: TimeRange) -> Result<EventTotal, Error> {
        let query = self.query(range);
        waiting(self.posthog, self.exports.max_wait(), || {
            self.posthog.event_total(&query)
        })
        .await
    }

    /// The events of the range, and how many there are.
    async fn events(&self, range: TimeRange) -> Result<(EventsQuery, EventTotal), Error> {
        let total = self.total(range).await?;
        // An open range would read the whole table for each page.
        let first = total.first.and_then(|first| range.since(first));
        Ok((self.query(first.unwrap_or(range)), total))
    }

    async fn earlier_terms(
        &self,
        query: &EventsQuery,
        total: &EventTotal,
    ) -> Result<EarlierTerms, ExportError> {
        events::earlier_terms(self.posthog, self.exports, query, total, self.redaction).await
    }

    async fn write_events(
        &self,
        query: &EventsQuery,
        total: &EventTotal,
        redactor: &FileRedactor,
        archive: &mut Archive,
    ) -> Result<(EventCheck, EventSummary), ExportError> {
        let written = events::write(self.posthog, self.exports, query, total, redactor, archive);
        let (mut check, summary) = written.await?;
        if !check.complete {
            let after = self.total(query.range).await?.count;
            check.counted_after = Some(after);
            check.complete = after == check.exported + check.repeated_rows;
        }
        Ok((check, summary))
    }

    async fn recordings(
        &self,
        range: TimeRange,
        redactor: &FileRedactor,
        archive: &mut Archive,
        missing: &mut Vec<Missing>,
    ) -> Result<Option<u64>, ExportError> {
        let (posthog, exports, person) = (self.posthog, self.exports, self.person.uuid);
        let first = recordings::page(posthog, exports, person, range, 0).await;
        let Some(first) = unless_closed(first, "recordings", redactor, missing)? else {
            return Ok(None);
        };
        recordings::write(posthog, exports, person, range, first, redactor, archive)
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
        let page = async |number| -> Result<ActivityPage, Error> {
            waiting(self.posthog, self.exports.max_wait(), || {
                self.posthog.activity(Some(&id), ACTIVITY_PAGE, number)
            })
            .await
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
        // A query finds those of this project; the endpoint, those of the project that the key's owner has selected.
        let queried = waiting(self.posthog, self.exports.max_wait(), || {
            self.posthog.cohorts_in_project(&id)
        });
        let cohorts = match queried.await {
            Ok(cohorts) => Ok(cohorts),
            Err(_) => self.posthog.person_cohorts(&id).await,
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
