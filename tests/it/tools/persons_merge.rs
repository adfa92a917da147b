//! `persons-merge`.

mod failures;
mod predicted;
mod preview;
mod refused;
mod support;
