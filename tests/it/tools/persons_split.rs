//! `persons-split`.

mod large;
mod moves;
mod support;
mod wait;
