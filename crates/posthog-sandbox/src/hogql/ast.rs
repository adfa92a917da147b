//! The tree of a HogQL query, and how its expressions are written where a column has no alias.

use std::fmt;

use serde_json::Value as Json;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Constant(Json),
    /// A name with dots.
    Field(Vec<String>),
    Call(Call),
    Compare(Comparison, Box<Node>, Box<Node>),
    /// `in cohort` and `not in cohort`.
    InCohort {
        person: Box<Node>,
        cohort: Box<Node>,
        expected: bool,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Array(Vec<Node>),
    Tuple(Vec<Node>),
    Index(Box<Node>, Box<Node>),
    Lambda(Vec<String>, Box<Node>),
    Subquery(Box<Select>),
    Star,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The first parentheses of `groupArray(20)(x)`.
    pub(crate) parameters: Vec<Node>,
    pub(crate) arguments: Vec<Node>,
    pub(crate) distinct: bool,
    pub(crate) over: Option<Box<WindowNode>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WindowNode {
    pub(super) partition: Vec<Node>,
    pub(super) order: Vec<Order>,
    /// In rows; `None` for the default frame.
    pub(super) frame: Option<(Bound, Bound)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Start,
    /// Rows before the current one; negative for those after it.
    Before(i64),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Like,
    NotLike,
    ILike,
    NotILike,
    Regex,
    NotRegex,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) node: Node,
    pub(crate) alias: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) node: Node,
    pub(crate) descending: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FromSource {
    Table(String),
    Subquery(Box<Select>),
    /// The table that [`super::Database::actors`] holds.
    Actors,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct From {
    pub(crate) source: FromSource,
    pub(crate) alias: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: Option<From>,
    pub(crate) filter: Option<Node>,
    pub(crate) group_by: Vec<Node>,
    pub(crate) having: Option<Node>,
    pub(crate) order_by: Vec<Order>,
    pub(crate) limit: Option<Node>,
    pub(crate) offset: Option<Node>,
    /// The next one of a UNION ALL.
    pub(crate) union: Option<Box<Select>>,
}

impl Select {
    /// Whether this or a query in its FROM or UNION has an OFFSET.
    pub(crate) fn has_offset(&self) -> bool {
        let in_from = match &self.from {
            Some(From {
                source: FromSource::Subquery(inner),
                ..
            }) => inner.has_offset(),
            _ => false,
        };
        self.offset.is_some()
            || in_from
            || self.union.as_ref().is_some_and(|next| next.has_offset())
    }
}

impl Item {
    /// The name of the column in the response.
    pub(super) fn column(&self) -> String {
        match (&self.alias, &self.node) {
            (Some(alias), _) => alias.clone(),
            (None, Node::Field(chain)) => chain.last().cloned().unwrap_or_default(),
            (None, node) => node.to_string(),
        }
    }
}

impl Comparison {
    /// The function that PostHog writes in its place.
    pub(super) fn function(self) -> &'static str {
        match self {
            Self::Equal => "equals",
            Self::NotEqual => "notEquals",
            Self::Less => "less",
            Self::LessOrEqual => "lessOrEquals",
            Self::Greater => "greater",
            Self::GreaterOrEqual => "greaterOrEquals",
            Self::In => "in",
            Self::NotIn => "notIn",
            Self::Like => "like",
            Self::NotLike => "notLike",
            Self::ILike => "ilike",
            Self::NotILike => "notILike",
            Self::Regex => "match",
            Self::NotRegex => "not match",
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(json) => constant(f, json),
            Self::Field(chain) => f.write_str(&chain.join(".")),
            Self::Call(call) => {
                f.write_str(&call.name)?;
                if !call.parameters.is_empty() {
                    list(f, "(", &call.parameters, ")")?;
                }
                let open = if call.distinct { "(DISTINCT " } else { "(" };
                list(f, open, &call.arguments, ")")
            }
            Self::Compare(comparison, left, right) => {
                write!(f, "{}({left}, {right})", comparison.function())
            }
            Self::InCohort {
                person,
                cohort,
                expected,
            } => {
                let not = if *expected { "" } else { "NOT " };
                write!(f, "{person} {not}IN COHORT {cohort}")
            }
            Self::And(nodes) => list(f, "and(", nodes, ")"),
            Self::Or(nodes) => list(f, "or(", nodes, ")"),
            Self::Not(node) => write!(f, "not({node})"),
            Self::Array(nodes) => list(f, "[", nodes, "]"),
            Self::Tuple(nodes) => list(f, "tuple(", nodes, ")"),
            Self::Index(node, index) => write!(f, "{node}[{index}]"),
            Self::Lambda(names, body) => write!(f, "({}) -> {body}", names.join(", ")),
            Self::Subquery(_) => f.write_str("(SELECT)"),
            Self::Star => f.write_str("*"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, open: &str, nodes: &[Node], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (index, node) in nodes.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{node}")?;
    }
    f.write_str(close)
}

fn constant(f: &mut fmt::Formatter<'_>, json: &Json) -> fmt::Result {
    match json {
        Json::Null => f.write_str("NULL"),
        Json::String(text) => {
            let escaped = text
                .replace('\\', r"\\")
                .replace('\'', r"\'")
                .replace('\n', r"\n")
                .replace('\t', r"\t");
            write!(f, "'{escaped}'")
        }
        Json::Array(items) => {
            f.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                constant(f, item)?;
            }
            f.write_str("]")
        }
        other => write!(f, "{other}"),
    }
}
