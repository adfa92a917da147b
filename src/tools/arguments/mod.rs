//! Arguments: read leniently in form and strictly in meaning.

mod coerce;
mod insight;
mod read;
mod types;

pub(super) use coerce::coerce;
pub(super) use insight::{Action, BreakdownType, Event, Interval};
pub(super) use read::read;
pub(super) use types::{
    Date, DistinctId, Id, Limit, NonEmptyString, Offset, PageNumber, Periods, PersonUuid, Select,
    Subject, Timestamp, WaitSeconds, distinct, select, subject,
};
