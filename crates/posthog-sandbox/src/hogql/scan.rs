//! Reading the rows of a source, and of many events no more than needed, as ClickHouse does by the order of its table.

use super::ast::{Comparison, Node, Select};
use super::compile::Compiler;
use super::error::QueryError;
use super::evaluate::{Expr, Row};
use super::tables::{BaseRow, Column, Source};
use super::value::Value;
use crate::model::Event;
use crate::model::dates::Time;

/// The first events by their time, as many as a query selects.
#[derive(Clone, Copy)]
pub(super) struct TimeOrder {
    descending: bool,
    limit: usize,
}

impl TimeOrder {
    /// Of a query that sorts by the time first.
    pub(super) fn of(
        select: &Select,
        compiler: &Compiler<'_>,
        order: &[(Expr, bool)],
        limit: usize,
    ) -> Option<Self> {
        let Node::Field(_) = &select.order_by.first()?.node else {
            return None;
        };
        match order.first()? {
            (Expr::Column(at), descending) if is_time(compiler, *at) => Some(Self {
                descending: *descending,
                limit,
            }),
            _ => None,
        }
    }
}

fn is_time(compiler: &Compiler<'_>, column: usize) -> bool {
    compiler.columns.get(column) == Some(&Column::EventTime)
}

/// The rows of the source that pass the filter; of the first events possibly more than the limit, never fewer.
pub(super) fn rows(
    source: &Source,
    compiler: &Compiler<'_>,
    filter: Option<&Expr>,
    joined_early: usize,
    in_time: Option<TimeOrder>,
) -> Result<Vec<Row>, QueryError> {
    let db = &compiler.db;
    let of_distinct_ids = compiler.columns.contains(&Column::DistinctId);
    let early = compiler.joined.get(..joined_early).unwrap_or_default();
    let late = compiler.joined.get(joined_early..).unwrap_or_default();
    let mut rows = Vec::new();
    let mut visit = |base: &BaseRow<'_>| {
        let columns = compiler.columns.iter().map(|column| column.read(base, db));
        let row = Row {
            columns: columns.collect(),
            ..Row::default()
        };
        for row in joined(row, early)? {
            if match filter {
                Some(filter) => filter.of(&row)?.holds(),
                None => true,
            } {
                rows.extend(joined(row, late)?);
            }
        }
        Ok(rows.len())
    };
    let events = &db.project.events;
    if !matches!(source, Source::Events) || !events.is_sorted_by_key(|event| event.at) {
        source.scan(db, of_distinct_ids, |base| visit(base).map(drop))?;
        return Ok(rows);
    }
    let events = within(events, filter, compiler);
    let Some(order) = in_time else {
        for event in events {
            visit(&BaseRow::of_event(event, db))?;
        }
        return Ok(rows);
    };
    let mut events: Box<dyn Iterator<Item = &Event>> = if order.descending {
        Box::new(events.iter().rev())
    } else {
        Box::new(events.iter())
    };
    // Events of the same time as the last one are in the order of what is sorted by next.
    let mut full_at = None;
    while let Some(event) = events
        .next()
        .filter(|event| full_at.is_none_or(|at| at == event.at))
    {
        if visit(&BaseRow::of_event(event, db))? >= order.limit {
            full_at.get_or_insert(event.at);
        }
    }
    drop(events);
    Ok(rows)
}

/// The events between the times that the filter names, of events in the order of their times.
fn within<'e>(events: &'e [Event], filter: Option<&Expr>, compiler: &Compiler<'_>) -> &'e [Event] {
    let all = [filter];
    let conditions = match filter {
        Some(Expr::And(conditions)) => conditions.iter().collect(),
        _ => all.into_iter().flatten().collect::<Vec<_>>(),
    };
    let bounds = conditions.into_iter().filter_map(|condition| {
        let Expr::Compare(comparison, left, right) = condition else {
            return None;
        };
        match (left.as_ref(), right.as_ref()) {
            (Expr::Column(at), Expr::Constant(Value::Time(time))) if is_time(compiler, *at) => {
                Some((*comparison, *time))
            }
            _ => None,
        }
    });
    bounds.fold(events, |events, (comparison, time)| {
        let before = |is_before: fn(&Time, &Time) -> bool| {
            events.partition_point(|event| is_before(&event.at, &time))
        };
        let range = match comparison {
            Comparison::GreaterOrEqual => before(Time::lt)..events.len(),
            Comparison::Greater => before(Time::le)..events.len(),
            Comparison::Less => 0..before(Time::lt),
            Comparison::LessOrEqual => 0..before(Time::le),
            _ => 0..events.len(),
        };
        events.get(range).unwrap_or_default()
    })
}

/// A row for each combination of the items of the arrays.
fn joined(row: Row, arrays: &[(Node, Expr)]) -> Result<Vec<Row>, QueryError> {
    let mut rows = vec![row];
    for (_, array) in arrays {
        let mut longer = Vec::new();
        for row in rows {
            for item in array.of(&row)?.items() {
                let mut row = row.clone();
                row.joined.push(item.clone());
                longer.push(row);
            }
        }
        rows = longer;
    }
    Ok(rows)
}
