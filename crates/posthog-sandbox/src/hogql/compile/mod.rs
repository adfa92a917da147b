//! From nodes to expressions: names are resolved and types are checked, whatever rows there are.

mod call;
mod compare;
mod compiler;

pub(super) use compiler::{Compiler, Stage, Typed, WindowCall};
