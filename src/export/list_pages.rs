//! The pages of a list of persons.
//!
//! Where PostHog answers queries, a page goes on after the last person of the one before. Otherwise pages go by offset, and
//! shift while persons come and go: each begins within the one before, and one that has no person in common with what is
//! known is requested again from further ahead.

use std::collections::HashSet;

use posthog_client::{Error, ErrorKind, Person, PersonCursor, PersonLogPage, PersonPage};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::waiting::{MAX_RESPONSE_BYTES, Reader, shorter};

/// Persons of a page, and the fewest of one that PostHog could not send.
const PAGE: u32 = 500;
const MIN_PAGE: u32 = 1;
/// Persons that a page by offset has in common with the one before.
const OVERLAP: u32 = 10;
/// How often a page by offset may be requested from further ahead.
const MAX_STEPS_BACK: u32 = 20;

/// Where pages come from.
pub trait ListSource: Sync {
    /// The page after a person, newest first; the first one with the number of all persons, if PostHog counts them.
    fn after(
        &self,
        limit: u32,
        cursor: Option<&PersonCursor>,
        size_limit: usize,
    ) -> impl Future<Output = Result<PersonLogPage, Error>> + Send;

    /// The page from an offset on, with the number of all persons on request.
    fn by_offset(
        &self,
        limit: u32,
        offset: u32,
        count: bool,
    ) -> impl Future<Output = Result<PersonPage, Error>> + Send;
}

/// Where the next page begins.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Place {
    /// After a person, or at the beginning.
    After(Option<PersonCursor>),
    Offset(u32),
    End,
}

impl Default for Place {
    fn default() -> Self {
        Self::After(None)
    }
}

/// A page, and the number of all persons if PostHog counted them for it.
pub(super) struct Page {
    pub(super) persons: Vec<Person>,
    pub(super) counted: Option<u64>,
}

/// The pages from a place on.
pub(super) struct Pages<'a, S> {
    reader: Reader<'a>,
    source: &'a S,
    place: Place,
    size: u32,
}

impl<'a, S: ListSource> Pages<'a, S> {
    pub(super) fn new(reader: Reader<'a>, source: &'a S, place: Place) -> Self {
        Self {
            reader,
            source,
            place,
            size: PAGE,
        }
    }

    /// Where the next page begins.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The next page, which can begin with persons who are known.
    pub(super) async fn next(&mut self, known: &HashSet<Uuid>) -> Result<Option<Page>, Error> {
        loop {
            match self.place {
                Place::End => return Ok(None),
                Place::Offset(offset) => return self.next_by_offset(offset, known).await.map(Some),
                Place::After(cursor) => match self.next_after(cursor).await {
                    Err(error) => match shorter(self.size, MIN_PAGE, &error) {
                        Some(size) => self.size = size,
                        None if cursor.is_none() && is_refused(&error) => {
                            self.place = Place::Offset(0);
                        }
                        None => return Err(error),
                    },
                    Ok(page) => return Ok(Some(page)),
                },
            }
        }
    }

    async fn next_after(&mut self, cursor: Option<PersonCursor>) -> Result<Page, Error> {
        let request = || {
            self.source
                .after(self.size, cursor.as_ref(), MAX_RESPONSE_BYTES)
        };
        let page = self.reader.read(request).await?;
        // Only some persons are that large.
        self.size = (self.size * 4).min(PAGE);
        self.place = match page.next {
            Some(next) => Place::After(Some(next)),
            None => Place::End,
        };
        Ok(Page {
            persons: page.persons,
            counted: page.count,
        })
    }

    async fn next_by_offset(
        &mut self,
        mut offset: u32,
        known: &HashSet<Uuid>,
    ) -> Result<Page, Error> {
        let mut steps_back = 0;
        loop {
            let request = || self.source.by_offset(PAGE, offset, offset == 0);
            let page = self.reader.read(request).await?;
            let mut persons = page.results.iter();
            let is_joined = offset == 0
                || page.results.is_empty()
                || persons.any(|person| known.contains(&person.uuid));
            if !is_joined && steps_back < MAX_STEPS_BACK {
                steps_back += 1;
                offset = offset.saturating_sub(PAGE / 2);
                continue;
            }
            self.place = match page.has_next() {
                true => Place::Offset(offset + PAGE - OVERLAP),
                false => Place::End,
            };
            return Ok(Page {
                persons: page.results,
                counted: page.count,
            });
        }
    }
}

/// Whether a query cannot be made at all, so that pages by offset may still be possible.
fn is_refused(error: &Error) -> bool {
    error.is_closed() || matches!(error.kind(), ErrorKind::Invalid { .. })
}
