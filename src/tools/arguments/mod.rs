//! Arguments: read leniently in form and strictly in meaning.

mod coerce;
mod insight;
mod names;
mod read;
mod types;

pub(super) use coerce::coerce;
pub(super) use insight::{Action, AnyFilter, BreakdownKeys, Event, breakdown, series};
pub(super) use names::check_names;
pub(super) use read::read;
pub(super) use types::{
    Cursor, Date, DistinctId, Groups, Id, Limit, NonEmptyString, Offset, PageNumber, Periods,
    PersonUuid, SearchText, Select, Subject, Timestamp, WaitSeconds, blanks_count, distinct, list,
    select, subject,
};
