//! Evaluating a compiled expression for one row.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use regex_lite::Regex;

use super::ast::Comparison;
use super::error::QueryError;
use super::fields::read_property;
use super::functions::text::like;
use super::value::{Key, Value};
use crate::model::PropertyType;

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Constant(Value),
    Column(usize),
    Joined(usize),
    Key(usize),
    Aggregate(usize),
    Window(usize),
    Local(usize),
    Call {
        run: fn(&[Value]) -> Result<Value, QueryError>,
        /// Whether the result is NULL if an argument is.
        strict: bool,
        arguments: Vec<Expr>,
    },
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// In a set of constants.
    Among {
        value: Box<Expr>,
        set: Arc<BTreeSet<Key>>,
        expected: bool,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Property {
        properties: Box<Expr>,
        path: Vec<Expr>,
        read_as: Option<PropertyType>,
    },
    Array(Vec<Expr>),
    Tuple(Vec<Expr>),
    Each(Each),
}

/// A function that applies a lambda to the items of arrays.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) body: Box<Expr>,
    pub(super) arrays: Vec<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EachKind {
    Map,
    Filter,
    Exists,
    All,
    Count,
    Sort,
}

/// The values that expressions refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) columns: Vec<Value>,
    pub(super) joined: Vec<Value>,
    pub(super) keys: Vec<Value>,
    pub(super) aggregates: Vec<Value>,
    pub(super) windows: Vec<Value>,
}

fn at(values: &[Value], index: usize) -> Value {
    values.get(index).cloned().unwrap_or(Value::Null)
}

impl Expr {
    pub(super) fn constant(&self) -> Option<&Value> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn of(&self, row: &Row) -> Result<Value, QueryError> {
        self.evaluate(row, &[])
    }

    fn all(nodes: &[Self], row: &Row, locals: &[Value]) -> Result<Vec<Value>, QueryError> {
        nodes
            .iter()
            .map(|node| node.evaluate(row, locals))
            .collect()
    }

    fn evaluate(&self, row: &Row, locals: &[Value]) -> Result<Value, QueryError> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Column(index) => at(&row.columns, *index),
            Self::Joined(index) => at(&row.joined, *index),
            Self::Key(index) => at(&row.keys, *index),
            Self::Aggregate(index) => at(&row.aggregates, *index),
            Self::Window(index) => at(&row.windows, *index),
            Self::Local(index) => at(locals, *index),
            Self::Call {
                run,
                strict,
                arguments,
            } => {
                let arguments = Self::all(arguments, row, locals)?;
                if *strict && arguments.iter().any(Value::is_null) {
                    Value::Null
                } else {
                    run(&arguments)?
                }
            }
            Self::Compare(comparison, left, right) => {
                let left = left.evaluate(row, locals)?;
                let right = right.evaluate(row, locals)?;
                Value::flag(compare(*comparison, &left, &right)?)
            }
            Self::Among {
                value,
                set,
                expected,
            } => {
                let value = value.evaluate(row, locals)?;
                Value::flag(set.contains(&Key(vec![value])) == *expected)
            }
            Self::And(nodes) => {
                let mut result = Value::flag(true);
                for node in nodes {
                    let value = node.evaluate(row, locals)?;
                    if value.is_null() {
                        result = Value::Null;
                    } else if !value.holds() {
                        return Ok(Value::flag(false));
                    }
                }
                result
            }
            Self::Or(nodes) => {
                let mut result = Value::flag(false);
                for node in nodes {
                    let value = node.evaluate(row, locals)?;
                    if value.holds() {
                        return Ok(Value::flag(true));
                    }
                    if value.is_null() {
                        result = Value::Null;
                    }
                }
                result
            }
            Self::Not(node) => match node.evaluate(row, locals)? {
                Value::Null => Value::Null,
                value => Value::flag(!value.holds()),
            },
            Self::Property {
                properties,
                path,
                read_as,
            } => {
                let properties = properties.evaluate(row, locals)?;
                let path = Self::all(path, row, locals)?;
                read_property(&properties, &path, *read_as)
            }
            Self::Array(nodes) => Value::Array(Self::all(nodes, row, locals)?),
            Self::Tuple(nodes) => Value::Tuple(Self::all(nodes, row, locals)?),
            Self::Each(each) => each.evaluate(row, locals)?,
        })
    }
}

impl Each {
    fn evaluate(&self, row: &Row, locals: &[Value]) -> Result<Value, QueryError> {
        let arrays = Expr::all(&self.arrays, row, locals)?;
        let first = arrays.first().map(Value::items).unwrap_or_default();
        let mut results = Vec::new();
        for index in 0..first.len() {
            let mut locals = locals.to_vec();
            locals.extend(arrays.iter().map(|array| at(array.items(), index)));
            results.push(self.body.evaluate(row, &locals)?);
        }
        let pairs = first.iter().zip(&results);
        Ok(match self.kind {
            EachKind::Map => Value::Array(results),
            EachKind::Filter => {
                let kept = pairs.filter(|(_, result)| result.holds());
                Value::Array(kept.map(|(item, _)| item.clone()).collect())
            }
            EachKind::Exists => Value::flag(results.iter().any(Value::holds)),
            EachKind::All => Value::flag(results.iter().all(Value::holds)),
            EachKind::Count => Value::count(results.iter().filter(|value| value.holds()).count()),
            EachKind::Sort => {
                let mut pairs: Vec<_> = pairs.collect();
                pairs.sort_by(|(_, a), (_, b)| a.order(b));
                Value::Array(pairs.into_iter().map(|(item, _)| item.clone()).collect())
            }
        })
    }
}

/// HogQL decides what a comparison with NULL is, so that it never results in NULL.
fn compare(comparison: Comparison, left: &Value, right: &Value) -> Result<bool, QueryError> {
    let is_null = left.is_null() || right.is_null();
    let order = || left.order(right);
    let text = |value: &Value| value.as_text().unwrap_or_default().into_owned();
    let matches = |ignore_case| like(&text(left), &text(right), ignore_case);
    Ok(match comparison {
        Comparison::Equal => order() == Ordering::Equal,
        Comparison::NotEqual => order() != Ordering::Equal,
        Comparison::NotLike | Comparison::NotILike | Comparison::NotRegex if is_null => true,
        _ if is_null => false,
        Comparison::Less => order().is_lt(),
        Comparison::LessOrEqual => order().is_le(),
        Comparison::Greater => order().is_gt(),
        Comparison::GreaterOrEqual => order().is_ge(),
        Comparison::In => right.items().iter().any(|item| left.order(item).is_eq()),
        Comparison::NotIn => !right.items().iter().any(|item| left.order(item).is_eq()),
        Comparison::Like => matches(false),
        Comparison::NotLike => !matches(false),
        Comparison::ILike => matches(true),
        Comparison::NotILike => !matches(true),
        Comparison::Regex | Comparison::NotRegex => {
            // PostHog does not pass on the error of a pattern that cannot be compiled.
            let regex = Regex::new(&text(right)).map_err(|_| QueryError::Failure)?;
            regex.is_match(&text(left)) == (comparison == Comparison::Regex)
        }
    })
}
