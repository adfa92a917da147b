//! The persons of an insight, as the source of an actors query.

mod filters;
mod funnels;
mod lifecycle;
mod paths;
mod retention;
mod series;
mod source;
mod stickiness;
mod trends;

pub(super) use filters::matching;
pub(super) use source::{ActorSource, read};
