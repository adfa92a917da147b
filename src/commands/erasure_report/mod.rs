//! `erasure-report`: what an audit log says of deletions, and what PostHog shows of them now.

mod check;
mod deletions;
mod markdown;
mod report;

pub(super) use report::run;
