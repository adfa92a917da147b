//! HogQL, as far as queries about persons and their events need it: parsing, and evaluation over the state of a project.
//! What is not known is refused, as PostHog does.
//!
//! Invariant: knows the model, and nothing of HTTP.

mod aggregates;
mod ast;
mod compile;
mod error;
mod evaluate;
mod fields;
mod functions;
mod lexer;
mod parser;
mod scan;
mod select;
mod tables;
mod types;
mod value;
mod window;

pub(crate) use ast::{Comparison, From, FromSource, Item, Node, Order, Select};
pub(crate) use error::QueryError;
pub(crate) use parser::{parse_expression, parse_order, parse_select};
pub(crate) use select::{has_aggregate, run};
pub(crate) use tables::{Actors, Database, MAX_ROWS};
pub(crate) use types::Type;
pub(crate) use value::Value;
