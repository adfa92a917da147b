//! The scalar functions: their names, the types that they take and return, and what they do.

mod array;
mod function;
mod json;
mod number;
pub(super) mod text;
mod time;

pub(super) use function::find;
pub(super) use json::{extract, extract_type};
