//! The persons of each insight, by its tool and by a computation of its own here: the same, for random questions about random
//! projects.
//!
//! The computations know the events because they made them, and follow PostHog's rules as
//! `docs/posthog-persons-api.md` has them. They use neither the client nor the sandbox.

mod funnels;
mod lifecycle;
mod paths;
mod project;
mod question;
mod retention;
mod stickiness;
mod trends;
