//! Parsing HogQL. The values of a query are put into the tree as constants, so that their contents are never parsed.

mod cursor;
mod expression;
mod primary;
mod query;

pub(crate) use cursor::{parse_expression, parse_order, parse_select};
