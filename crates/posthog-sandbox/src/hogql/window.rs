//! Window functions: over the rows of a partition, in order, within a frame.

use std::collections::BTreeMap;

use super::aggregates::AggregateKind;
use super::ast::Bound;
use super::compile::WindowCall;
use super::error::QueryError;
use super::evaluate::Row;
use super::value::{Key, Value};

/// Adds the result of the window function to each of the rows.
pub(super) fn add(call: &WindowCall, rows: &mut [Row]) -> Result<(), QueryError> {
    let mut partitions: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let key: Result<Vec<Value>, QueryError> =
            call.partition.iter().map(|expr| expr.of(row)).collect();
        partitions.entry(Key(key?)).or_default().push(index);
    }
    for partition in partitions.into_values() {
        let mut members = Vec::new();
        for index in partition {
            let Some(row) = rows.get(index) else { continue };
            let order: Result<Vec<Value>, QueryError> =
                call.order.iter().map(|(expr, _)| expr.of(row)).collect();
            let arguments: Result<Vec<Value>, QueryError> =
                call.arguments.iter().map(|expr| expr.of(row)).collect();
            members.push(Member {
                row: index,
                order: order?,
                arguments: arguments?,
            });
        }
        members.sort_by(|a, b| {
            let keys = a.order.iter().zip(&b.order).zip(&call.order);
            let orderings = keys.map(
                |((a, b), (_, descending))| {
                    if *descending { b.order(a) } else { a.order(b) }
                },
            );
            let mut differing = orderings.into_iter().filter(|ordering| ordering.is_ne());
            differing.next().unwrap_or(std::cmp::Ordering::Equal)
        });
        for (at, member) in members.iter().enumerate() {
            let value = call.value(&members, at);
            if let Some(row) = rows.get_mut(member.row) {
                row.windows.push(value);
            }
        }
    }
    Ok(())
}

struct Member {
    row: usize,
    order: Vec<Value>,
    arguments: Vec<Value>,
}

impl WindowCall {
    fn value(&self, members: &[Member], at: usize) -> Value {
        let (start, end) = self.frame(members, at);
        let neighbor = |backwards: bool| {
            let arguments = members.get(at).map(|member| member.arguments.as_slice());
            let argument = |index: usize| arguments.and_then(|a| a.get(index));
            let offset = argument(1).and_then(Value::as_int).unwrap_or(1);
            let offset = usize::try_from(offset).unwrap_or_default();
            let index = if backwards {
                at.checked_sub(offset)
            } else {
                at.checked_add(offset)
            };
            let in_frame = index.filter(|index| (start..end).contains(index));
            let found = in_frame.and_then(|index| members.get(index)?.arguments.first());
            let default = argument(2).cloned();
            let default = || default.unwrap_or_else(|| self.function.returns.default_value());
            found.cloned().unwrap_or_else(default)
        };
        match self.function.kind {
            AggregateKind::RowNumber => Value::count(at + 1),
            AggregateKind::Lag => neighbor(true),
            AggregateKind::Lead => neighbor(false),
            _ => {
                let frame = members.get(start..end).unwrap_or_default();
                let rows: Vec<&[Value]> = frame.iter().map(|m| m.arguments.as_slice()).collect();
                self.function.of(&rows)
            }
        }
    }

    /// The range of members in the frame. By default it ends with the peers of the current row.
    fn frame(&self, members: &[Member], at: usize) -> (usize, usize) {
        let Some((start, end)) = self.frame else {
            if self.order.is_empty() {
                return (0, members.len());
            }
            let current = members.get(at).map(|member| &member.order);
            let is_peer = |member: &Member| {
                current.is_some_and(|current| Key(current.clone()) == Key(member.order.clone()))
            };
            let peers = members.iter().skip(at).take_while(|member| is_peer(member));
            return (0, at + peers.count());
        };
        let position = |bound: Bound| match bound {
            Bound::Start => 0,
            Bound::End => members.len(),
            Bound::Before(rows) => {
                let at = i64::try_from(at).unwrap_or(i64::MAX);
                let position = at.saturating_sub(rows).max(0);
                usize::try_from(position).unwrap_or(usize::MAX)
            }
        };
        let after = match end {
            Bound::Before(rows) => {
                let at = i64::try_from(at).unwrap_or(i64::MAX);
                usize::try_from(at.saturating_sub(rows) + 1).unwrap_or(0)
            }
            other => position(other),
        };
        let after = after.min(members.len());
        (position(start).min(after), after)
    }
}
