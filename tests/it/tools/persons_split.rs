//! `persons-split`.

mod moves;
mod support;
mod wait;
