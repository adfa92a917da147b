//! Running a SELECT.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::aggregates::Aggregate;
use super::ast::{Call, From, FromSource, Item, Node, Select};
use super::compile::{Compiler, Stage, Typed};
use super::error::QueryError;
use super::evaluate::{Expr, Row};
use super::scan::{self, TimeOrder};
use super::tables::{Database, Source};
use super::types::Type;
use super::value::{Key, Value};
use super::window;

/// The result of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    pub(crate) columns: Vec<String>,
    pub(crate) types: Vec<Type>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Runs a query and those that it is joined with by UNION ALL.
pub(crate) fn run(select: &Select, db: &Database<'_>) -> Result<Output, QueryError> {
    let mut output = run_one(select, db)?;
    let mut next = select.union.as_deref();
    while let Some(select) = next {
        output.rows.extend(run_one(select, db)?.rows);
        next = select.union.as_deref();
    }
    Ok(output)
}

/// Whether the expression has an aggregate, so that the rows are grouped.
pub(crate) fn has_aggregate(node: &Node) -> bool {
    match node {
        Node::Call(call) => is_aggregate(call) || call.arguments.iter().any(has_aggregate),
        Node::Compare(_, left, right) | Node::Index(left, right) => {
            has_aggregate(left) || has_aggregate(right)
        }
        Node::And(nodes) | Node::Or(nodes) | Node::Array(nodes) | Node::Tuple(nodes) => {
            nodes.iter().any(has_aggregate)
        }
        Node::Not(node) => has_aggregate(node),
        _ => false,
    }
}

fn is_aggregate(call: &Call) -> bool {
    call.over.is_none() && matches!(Aggregate::find(call), Ok(Some(_)))
}

fn source(from: Option<&From>, db: &Database<'_>) -> Result<Source, QueryError> {
    Ok(match from.map(|from| &from.source) {
        None => Source::Nothing,
        Some(FromSource::Actors) => Source::Actors,
        Some(FromSource::Subquery(select)) => Source::Derived(run(select, db)?),
        Some(FromSource::Table(name)) => Source::of_table(name)
            .ok_or_else(|| QueryError::invalid(format!("Unknown table `{name}`.")))?,
    })
}

/// What a row becomes: the selected values, and what it is sorted by.
struct Sortable {
    values: Vec<Value>,
    keys: Vec<Value>,
}

fn run_one(select: &Select, db: &Database<'_>) -> Result<Output, QueryError> {
    let source = source(select.from.as_ref(), db)?;
    let table = select.from.as_ref().and_then(|from| match from {
        From {
            alias: Some(alias), ..
        } => Some(alias.clone()),
        From {
            source: FromSource::Table(name),
            ..
        } => Some(name.clone()),
        From { .. } => None,
    });
    let items = with_stars(&select.items, &source);
    let aliases: HashMap<String, Node> = items
        .iter()
        .filter_map(|item| Some((item.alias.clone()?, item.node.clone())))
        .collect();
    let mut compiler = Compiler::new(*db, &source, table, aliases);

    compiler.stage = Stage::Filter;
    let filter = select.filter.as_ref();
    let filter = filter.map(|node| compiler.condition(node)).transpose()?;
    // What WHERE needs is joined before it, and the rest afterwards.
    let joined_early = compiler.joined.len();
    compiler.stage = Stage::Rows;
    let nodes = items.iter().map(|item| &item.node);
    let ordered = select.order_by.iter().map(|order| &order.node);
    let mut nodes = nodes.chain(&select.having).chain(ordered);
    let is_grouped = !select.group_by.is_empty() || nodes.any(has_aggregate);
    let mut keys = Vec::new();
    if is_grouped {
        let expanded: Vec<Node> = select
            .group_by
            .iter()
            .map(|node| compiler.expanded(node))
            .collect();
        for node in expanded {
            let key = compiler.compile(&node)?;
            keys.push(key.expr);
            compiler.keys.push((node, key.ty));
        }
        compiler.stage = Stage::Groups;
    }
    let mut selected: Vec<Typed> = Vec::new();
    for item in &items {
        selected.push(compiler.compile(&item.node)?);
    }
    let having = select.having.as_ref();
    let having = having.map(|node| compiler.condition(node)).transpose()?;
    let mut order = Vec::new();
    for by in &select.order_by {
        order.push((compiler.compile(&by.node)?.expr, by.descending));
    }
    let limit = bound(&mut compiler, select.limit.as_ref(), "LIMIT")?;
    let offset = bound(&mut compiler, select.offset.as_ref(), "OFFSET")?;

    let is_plain = !is_grouped
        && !select.distinct
        && having.is_none()
        && compiler.windows.is_empty()
        && compiler.joined.is_empty();
    let first = limit.filter(|_| is_plain && offset.is_none());
    let in_time = first.and_then(|limit| TimeOrder::of(select, &compiler, &order, limit));
    let mut rows = scan::rows(&source, &compiler, filter.as_ref(), joined_early, in_time)?;
    if is_grouped {
        rows = group(rows, &keys, &compiler)?;
    }
    if let Some(having) = &having {
        rows = kept(rows, having)?;
    }
    for call in &compiler.windows {
        window::add(call, &mut rows)?;
    }
    let mut sortable = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let values: Result<Vec<Value>, QueryError> =
            selected.iter().map(|item| item.expr.of(row)).collect();
        let keys: Result<Vec<Value>, QueryError> =
            order.iter().map(|(expr, _)| expr.of(row)).collect();
        let (values, keys) = (values?, keys?);
        if !select.distinct || seen.insert(Key(values.clone())) {
            sortable.push(Sortable { values, keys });
        }
    }
    sortable.sort_by(|a, b| {
        let pairs = a.keys.iter().zip(&b.keys).zip(&order);
        let mut orderings = pairs.map(|((a, b), (_, descending))| sorted(a, b, *descending));
        orderings
            .find(|ordering| ordering.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let rows = sortable.into_iter().map(|row| row.values);
    let rows = rows
        .skip(offset.unwrap_or(0))
        .take(limit.unwrap_or(usize::MAX));
    Ok(Output {
        rows: rows.collect(),
        columns: items.iter().map(Item::column).collect(),
        types: selected.into_iter().map(|item| item.ty).collect(),
    })
}

/// NULL comes last in both directions.
fn sorted(a: &Value, b: &Value, descending: bool) -> std::cmp::Ordering {
    if descending && !a.is_null() && !b.is_null() {
        b.order(a)
    } else {
        a.order(b)
    }
}

fn with_stars(items: &[Item], source: &Source) -> Vec<Item> {
    let mut all = Vec::new();
    for item in items {
        if item.node == Node::Star {
            all.extend(source.columns().into_iter().map(|name| Item {
                node: Node::Field(vec![name]),
                alias: None,
            }));
        } else {
            all.push(item.clone());
        }
    }
    all
}

fn bound(
    compiler: &mut Compiler<'_>,
    node: Option<&Node>,
    clause: &str,
) -> Result<Option<usize>, QueryError> {
    let Some(node) = node else {
        return Ok(None);
    };
    let compiled = compiler.compile(node)?;
    let number = compiled.expr.constant().and_then(Value::as_int);
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.map(Some).ok_or_else(|| {
        let sentence = format!("The value of {clause} must be a number that is not negative");
        QueryError::clickhouse("invalid_limit_expression", sentence)
    })
}

fn kept(rows: Vec<Row>, condition: &Expr) -> Result<Vec<Row>, QueryError> {
    let mut kept = Vec::new();
    for row in rows {
        if condition.of(&row)?.holds() {
            kept.push(row);
        }
    }
    Ok(kept)
}

/// One row for each group. Without keys there is one group, even of no rows.
fn group(rows: Vec<Row>, keys: &[Expr], compiler: &Compiler<'_>) -> Result<Vec<Row>, QueryError> {
    let mut groups: BTreeMap<Key, Vec<Row>> = BTreeMap::new();
    if keys.is_empty() {
        groups.insert(Key(Vec::new()), Vec::new());
    }
    for row in rows {
        let key: Result<Vec<Value>, QueryError> = keys.iter().map(|key| key.of(&row)).collect();
        groups.entry(Key(key?)).or_default().push(row);
    }
    let mut grouped = Vec::new();
    for (Key(keys), rows) in groups {
        let mut aggregates = Vec::new();
        for call in &compiler.aggregates {
            let arguments: Result<Vec<Vec<Value>>, QueryError> = rows
                .iter()
                .map(|row| call.arguments.iter().map(|expr| expr.of(row)).collect())
                .collect();
            let arguments = arguments?;
            let arguments: Vec<&[Value]> = arguments.iter().map(Vec::as_slice).collect();
            aggregates.push(call.aggregate.of(&arguments));
        }
        grouped.push(Row {
            keys,
            aggregates,
            ..Row::default()
        });
    }
    Ok(grouped)
}
