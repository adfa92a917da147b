//! The state of compiling one SELECT, and the nodes other than calls and comparisons.

use std::collections::HashMap;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::hogql::aggregates::Aggregate;
use crate::hogql::ast::{Bound, Node};
use crate::hogql::error::QueryError;
use crate::hogql::evaluate::Expr;
use crate::hogql::fields::property_type;
use crate::hogql::select::run;
use crate::hogql::tables::{Column, Database, Source};
use crate::hogql::types::Type;
use crate::hogql::value::Value;
use crate::model::PropertyOwner;

/// An expression with the type of its values.
#[derive(Clone, Debug)]
pub(in crate::hogql) struct Typed {
    pub(in crate::hogql) expr: Expr,
    pub(in crate::hogql) ty: Type,
}

/// Which rows an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hogql) enum Stage {
    /// The rows of the table, before they are filtered.
    Filter,
    /// The rows that are selected.
    Rows,
    Groups,
    /// The arguments of an aggregate: rows again.
    InAggregate,
}

/// An aggregate over the rows of each group.
#[derive(Debug)]
pub(in crate::hogql) struct AggregateCall {
    pub(in crate::hogql) aggregate: Aggregate,
    pub(in crate::hogql) arguments: Vec<Expr>,
}

#[derive(Debug)]
pub(in crate::hogql) struct WindowCall {
    pub(in crate::hogql) function: Aggregate,
    pub(in crate::hogql) arguments: Vec<Expr>,
    pub(in crate::hogql) partition: Vec<Expr>,
    pub(in crate::hogql) order: Vec<(Expr, bool)>,
    pub(in crate::hogql) frame: Option<(Bound, Bound)>,
}

pub(in crate::hogql) struct Compiler<'d> {
    pub(in crate::hogql) db: Database<'d>,
    pub(in crate::hogql) source: &'d Source,
    pub(in crate::hogql) table: Option<String>,
    pub(in crate::hogql) aliases: HashMap<String, Node>,
    pub(in crate::hogql) stage: Stage,
    /// What the rows are grouped by.
    pub(in crate::hogql) keys: Vec<(Node, Type)>,
    pub(in crate::hogql) columns: Vec<Column>,
    /// The arrays that rows are joined with, each once.
    pub(in crate::hogql) joined: Vec<(Node, Expr)>,
    pub(in crate::hogql) aggregates: Vec<AggregateCall>,
    pub(in crate::hogql) windows: Vec<WindowCall>,
    pub(super) locals: Vec<(String, Type)>,
    /// The aliases that are being replaced, so that none is replaced within itself.
    expanding: Vec<String>,
}

impl<'d> Compiler<'d> {
    pub(in crate::hogql) fn new(
        db: Database<'d>,
        source: &'d Source,
        table: Option<String>,
        aliases: HashMap<String, Node>,
    ) -> Self {
        Self {
            db,
            source,
            table,
            aliases,
            stage: Stage::Rows,
            keys: Vec::new(),
            columns: Vec::new(),
            joined: Vec::new(),
            aggregates: Vec::new(),
            windows: Vec::new(),
            locals: Vec::new(),
            expanding: Vec::new(),
        }
    }

    pub(in crate::hogql) fn compile(&mut self, node: &Node) -> Result<Typed, QueryError> {
        if self.stage == Stage::Groups && self.locals.is_empty() {
            let expanded = self.expanded(node);
            let mut keys = self.keys.iter().enumerate();
            if let Some((index, (_, ty))) = keys.find(|(_, (key, _))| *key == expanded) {
                let (expr, ty) = (Expr::Key(index), ty.clone());
                return Ok(Typed { expr, ty });
            }
        }
        match node {
            Node::Constant(json) => constant(json),
            Node::Field(chain) => self.field(chain),
            Node::Call(call) => self.call(call),
            Node::Compare(comparison, left, right) => self.comparison(*comparison, left, right),
            Node::InCohort {
                person,
                cohort,
                expected,
            } => self.in_cohort(person, cohort, *expected),
            Node::And(nodes) => {
                let nodes = self.conditions(nodes)?;
                Ok(flag(Expr::And(nodes)))
            }
            Node::Or(nodes) => {
                let nodes = self.conditions(nodes)?;
                Ok(flag(Expr::Or(nodes)))
            }
            Node::Not(node) => {
                let node = self.condition(node)?;
                Ok(flag(Expr::Not(Box::new(node))))
            }
            Node::Array(nodes) => {
                let items = self.all(nodes)?;
                let mut ty = Type::Nothing;
                for item in &items {
                    ty = ty.common(&item.ty).ok_or_else(|| {
                        let sentence = format!("There is no supertype for types {ty}, {}", item.ty);
                        QueryError::clickhouse("no_common_type", sentence)
                    })?;
                }
                let items: Vec<Expr> = items.into_iter().map(|item| item.expr).collect();
                Ok(folded(items, Type::array(ty), Expr::Array, Value::Array))
            }
            Node::Tuple(nodes) => {
                let items = self.all(nodes)?;
                let ty = Type::Tuple(items.iter().map(|item| item.ty.clone()).collect());
                let items: Vec<Expr> = items.into_iter().map(|item| item.expr).collect();
                Ok(folded(items, ty, Expr::Tuple, Value::Tuple))
            }
            Node::Index(node, index) => self.index(node, index),
            Node::Subquery(select) => {
                let output = run(select, &self.db)?;
                let first = output.rows.into_iter().next();
                let value = first.and_then(|row| row.into_iter().next());
                let ty = output.types.into_iter().next().unwrap_or(Type::Nothing);
                Ok(Typed {
                    expr: Expr::Constant(value.unwrap_or(Value::Null)),
                    ty,
                })
            }
            Node::Lambda(..) => Err(QueryError::invalid("Unexpected lambda")),
            Node::Star => Err(QueryError::invalid("Unexpected *")),
        }
    }

    pub(in crate::hogql) fn all(&mut self, nodes: &[Node]) -> Result<Vec<Typed>, QueryError> {
        nodes.iter().map(|node| self.compile(node)).collect()
    }

    pub(in crate::hogql) fn condition(&mut self, node: &Node) -> Result<Expr, QueryError> {
        let condition = self.compile(node)?;
        if condition.ty.is_number() || *condition.ty.plain() == Type::Nothing {
            return Ok(condition.expr);
        }
        let sentence = format!(
            "Illegal type {} of column for filter. Must be UInt8 or Nullable(UInt8)",
            condition.ty
        );
        Err(QueryError::clickhouse(
            "illegal_type_of_column_for_filter",
            sentence,
        ))
    }

    fn conditions(&mut self, nodes: &[Node]) -> Result<Vec<Expr>, QueryError> {
        nodes.iter().map(|node| self.condition(node)).collect()
    }

    /// The node, or what it is an alias of.
    pub(in crate::hogql) fn expanded(&self, node: &Node) -> Node {
        if let Node::Field(chain) = node
            && let [name] = chain.as_slice()
            && !self.expanding.contains(name)
            && let Some(aliased) = self.aliases.get(name)
        {
            return aliased.clone();
        }
        node.clone()
    }

    fn field(&mut self, chain: &[String]) -> Result<Typed, QueryError> {
        let first = chain.first().map(String::as_str).unwrap_or_default();
        let mut locals = self.locals.iter().enumerate().rev();
        if let Some((index, (_, ty))) = locals.find(|(_, (name, _))| name == first) {
            let (expr, ty) = (Expr::Local(index), ty.clone());
            return Ok(Typed { expr, ty });
        }
        if chain.len() == 1
            && !self.expanding.iter().any(|name| name == first)
            && let Some(aliased) = self.aliases.get(first).cloned()
        {
            self.expanding.push(first.to_owned());
            let compiled = self.compile(&aliased);
            self.expanding.pop();
            return compiled;
        }
        let below_table = match chain.split_first() {
            Some((name, rest)) if self.table.as_ref() == Some(name) && !rest.is_empty() => self
                .source
                .resolve(rest, &self.db)
                .map(|found| (found, rest)),
            _ => None,
        };
        let found = below_table.or_else(|| {
            self.source
                .resolve(chain, &self.db)
                .map(|found| (found, chain))
        });
        let Some((found, chain)) = found else {
            let detail = format!("Unable to resolve field: {first}");
            return Err(QueryError::invalid(detail));
        };
        if self.stage == Stage::Groups {
            let sentence = format!(
                "Column `{first}` is not under aggregate function and not in GROUP BY keys"
            );
            return Err(QueryError::clickhouse("not_an_aggregate", sentence));
        }
        let column = Typed {
            expr: Expr::Column(self.column(found.column)),
            ty: found.ty,
        };
        let path = chain.get(found.names..).unwrap_or_default();
        if path.is_empty() {
            return Ok(column);
        }
        let path = path.iter().map(|name| Expr::Constant(Value::text(name)));
        self.property(column, path.collect(), found.column.owner())
    }

    fn column(&mut self, column: Column) -> usize {
        let known = self.columns.iter().position(|known| *known == column);
        known.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        })
    }

    /// A property of a column of properties, by the type of its definition.
    fn property(
        &self,
        column: Typed,
        path: Vec<Expr>,
        owner: Option<PropertyOwner>,
    ) -> Result<Typed, QueryError> {
        if !column.ty.is_text() {
            let detail = format!("Can not access property on type {}", column.ty);
            return Err(QueryError::invalid(detail));
        }
        let name = match path.as_slice() {
            [Expr::Constant(name)] => name.as_text(),
            _ => None,
        };
        let definitions = &self.db.project.definitions;
        let read_as = owner
            .zip(name)
            .and_then(|(owner, name)| definitions.type_of(owner, &name));
        Ok(Typed {
            expr: Expr::Property {
                properties: Box::new(column.expr),
                path,
                read_as,
            },
            ty: property_type(read_as),
        })
    }

    /// `properties['x']`, an item of an array, or one of a tuple.
    fn index(&mut self, node: &Node, index: &Node) -> Result<Typed, QueryError> {
        let value = self.compile(node)?;
        let index = self.compile(index)?;
        if value.ty.is_text() {
            let (column, mut path) = match value.expr {
                Expr::Property {
                    properties, path, ..
                } => (*properties, path),
                other => (other, Vec::new()),
            };
            path.push(index.expr);
            let owner = match &column {
                Expr::Column(at) => self.columns.get(*at).and_then(|column| column.owner()),
                _ => None,
            };
            let ty = Type::String;
            return self.property(Typed { expr: column, ty }, path, owner);
        }
        let ty = match (&value.ty, index.expr.constant().and_then(Value::as_int)) {
            (Type::Array(item), _) => (**item).clone(),
            (Type::Tuple(items), Some(at)) => {
                let at = usize::try_from(at - 1).unwrap_or(usize::MAX);
                items.get(at).cloned().ok_or_else(|| {
                    let sentence = "Tuple doesn't have element with that index";
                    QueryError::clickhouse("zero_array_or_tuple_index", sentence)
                })?
            }
            (other, _) => {
                let detail = format!("Can not access item of type {other}");
                return Err(QueryError::invalid(detail));
            }
        };
        let run = crate::hogql::functions::find("arrayElement").map(|function| function.run);
        let run = run.ok_or(QueryError::Failure)?;
        Ok(Typed {
            expr: Expr::Call {
                run,
                strict: false,
                arguments: vec![value.expr, index.expr],
            },
            ty,
        })
    }
}

pub(super) fn flag(expr: Expr) -> Typed {
    let ty = Type::UInt8;
    Typed { expr, ty }
}

/// Constant if all of the items are.
fn folded(
    items: Vec<Expr>,
    ty: Type,
    open: fn(Vec<Expr>) -> Expr,
    closed: fn(Vec<Value>) -> Value,
) -> Typed {
    let constants: Option<Vec<Value>> = items.iter().map(|item| item.constant().cloned()).collect();
    let expr = match constants {
        Some(values) => Expr::Constant(closed(values)),
        None => open(items),
    };
    Typed { expr, ty }
}

fn constant(json: &Json) -> Result<Typed, QueryError> {
    let value = Value::constant(json).ok_or(QueryError::Failure)?;
    let ty = type_of(&value);
    let expr = Expr::Constant(value);
    Ok(Typed { expr, ty })
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Null | Value::Span(_) => Type::Nullable(Box::new(Type::Nothing)),
        Value::Bool(_) => Type::Bool,
        Value::Int(0..=255) => Type::UInt8,
        Value::Int(256..=65_535) => Type::UInt16,
        Value::Int(65_536..=4_294_967_295) => Type::UInt32,
        Value::Int(4_294_967_296..) => Type::UInt64,
        Value::Int(-128..) => Type::Int8,
        Value::Int(_) => Type::Int64,
        Value::Float(_) => Type::Float64,
        Value::Text(_) | Value::Properties(_) => Type::String,
        Value::Uuid(_) => Type::Uuid,
        Value::Time(_) => Type::Time(6),
        Value::Tuple(items) => Type::Tuple(items.iter().map(type_of).collect()),
        Value::Array(items) => {
            let common = |found: Type, item| found.common(&type_of(item)).unwrap_or(found);
            Type::array(items.iter().fold(Type::Nothing, common))
        }
    }
}

/// A UUID in a text that is compared with one.
pub(super) fn parsed_uuid(text: &str) -> Result<Value, QueryError> {
    Uuid::parse_str(text).map(Value::Uuid).map_err(|_| {
        let sentence = format!("Cannot parse uuid {text}: while converting '{text}' to UUID");
        QueryError::clickhouse("cannot_parse_uuid", sentence)
    })
}
