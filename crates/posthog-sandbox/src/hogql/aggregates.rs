//! Aggregates over rows, and the functions that only windows have.

use std::collections::BTreeSet;

use super::ast::{Call, Node};
use super::error::QueryError;
use super::types::Type;
use super::value::{Key, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AggregateKind {
    Count,
    Distinct,
    Min,
    Max,
    Sum,
    Average,
    Any,
    Last,
    ArgMin,
    ArgMax,
    List,
    Set,
    /// Of windows only.
    RowNumber,
    Lag,
    Lead,
}

#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) kind: AggregateKind,
    /// Whether the last argument says which rows count.
    pub(super) conditional: bool,
    /// The most items of a list.
    limit: usize,
    pub(super) returns: Type,
}

impl Aggregate {
    pub(super) fn find(call: &Call) -> Result<Option<Self>, QueryError> {
        let lower = call.name.to_ascii_lowercase();
        let kind_of =
            |name: &str| kind(name).or_else(|| kind(&lower).filter(|_| name == call.name));
        let (kind, conditional) = match (kind_of(&call.name), call.name.strip_suffix("If")) {
            (Some(kind), _) => (kind, false),
            (None, Some(name)) => match kind(name) {
                Some(kind) => (kind, true),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let kind = match (kind, call.distinct) {
            (AggregateKind::Count, true) => AggregateKind::Distinct,
            (kind, _) => kind,
        };
        let limit = match call.parameters.first() {
            None => usize::MAX,
            Some(Node::Constant(json)) => {
                let limit = json.as_u64().and_then(|limit| usize::try_from(limit).ok());
                limit.ok_or_else(|| QueryError::invalid("parameter must be a positive number"))?
            }
            Some(_) => return Err(QueryError::invalid("parameter must be a constant")),
        };
        Ok(Some(Self {
            kind,
            conditional,
            limit,
            returns: Type::UInt64,
        }))
    }

    pub(super) fn of_window(name: &str) -> Option<Self> {
        let kind = match name {
            "row_number" => AggregateKind::RowNumber,
            "lagInFrame" => AggregateKind::Lag,
            "leadInFrame" => AggregateKind::Lead,
            _ => return None,
        };
        Some(Self {
            kind,
            conditional: false,
            limit: usize::MAX,
            returns: Type::UInt64,
        })
    }

    /// Checks the arguments, and sets the type of the result.
    pub(super) fn typed(mut self, name: &str, types: &[Type]) -> Result<Self, QueryError> {
        let values = types.len() - usize::from(self.conditional && !types.is_empty());
        let expected = match self.kind {
            AggregateKind::Count => 0..=1,
            AggregateKind::RowNumber => 0..=0,
            AggregateKind::ArgMin | AggregateKind::ArgMax => 2..=2,
            AggregateKind::Lag | AggregateKind::Lead => 1..=3,
            _ => 1..=1,
        };
        if !expected.contains(&values) || self.conditional && types.is_empty() {
            return Err(QueryError::invalid(format!(
                "Aggregation '{name}' expects {} arguments, found {values}",
                expected.start()
            )));
        }
        let first = types.first().cloned().unwrap_or(Type::Nothing);
        self.returns = match self.kind {
            AggregateKind::Count | AggregateKind::Distinct | AggregateKind::RowNumber => {
                Type::UInt64
            }
            AggregateKind::Sum => match first.plain() {
                Type::Float64 => Type::Float64,
                ty if ty.is_number() => Type::Int64,
                other => return Err(QueryError::illegal_type(name, other)),
            },
            AggregateKind::Average => Type::Float64,
            AggregateKind::List | AggregateKind::Set => Type::array(first.plain().clone()),
            _ => first,
        };
        Ok(self)
    }

    /// The result for these rows of arguments.
    pub(super) fn of(&self, rows: &[&[Value]]) -> Value {
        let chosen = rows
            .iter()
            .filter(|row| !self.conditional || row.last().is_some_and(Value::holds));
        let values = |index: usize| {
            let values = chosen.clone().filter_map(move |row| row.get(index));
            values.filter(|value| !value.is_null())
        };
        let default = || self.returns.default_value();
        let by = |find: fn(&Value, &Value) -> bool| {
            let mut best: Option<(&Value, &Value)> = None;
            for row in chosen.clone() {
                if let (Some(value), Some(key)) = (row.first(), row.get(1))
                    && !key.is_null()
                    && best.is_none_or(|(_, known)| find(key, known))
                {
                    best = Some((value, key));
                }
            }
            best.map_or_else(default, |(value, _)| value.clone())
        };
        match self.kind {
            AggregateKind::Count => {
                let has_argument = rows
                    .first()
                    .is_some_and(|row| row.len() > usize::from(self.conditional));
                Value::count(if has_argument {
                    values(0).count()
                } else {
                    chosen.count()
                })
            }
            AggregateKind::Distinct => {
                let distinct: BTreeSet<Key> = values(0).map(|v| Key(vec![v.clone()])).collect();
                Value::count(distinct.len())
            }
            AggregateKind::Min => {
                let least = values(0).min_by(|a, b| a.order(b));
                least.cloned().unwrap_or_else(default)
            }
            AggregateKind::Max => {
                let greatest = values(0).max_by(|a, b| a.order(b));
                greatest.cloned().unwrap_or_else(default)
            }
            AggregateKind::Sum => {
                let integers: Option<Vec<i64>> = values(0).map(Value::as_int).collect();
                match (integers, &self.returns) {
                    (Some(integers), Type::Int64) => {
                        let sum = integers.into_iter().fold(0, i64::saturating_add);
                        Value::Int(sum)
                    }
                    _ => Value::Float(values(0).filter_map(Value::as_float).sum()),
                }
            }
            AggregateKind::Average => {
                let numbers: Vec<f64> = values(0).filter_map(Value::as_float).collect();
                let sum: f64 = numbers.iter().sum();
                let count = Value::count(numbers.len()).as_float().unwrap_or_default();
                Value::Float(sum / count)
            }
            AggregateKind::Any => values(0).next().cloned().unwrap_or_else(default),
            AggregateKind::Last => values(0).next_back().cloned().unwrap_or_else(default),
            AggregateKind::ArgMin => by(|key, known| key.order(known).is_lt()),
            AggregateKind::ArgMax => by(|key, known| key.order(known).is_gt()),
            AggregateKind::List => Value::Array(values(0).take(self.limit).cloned().collect()),
            AggregateKind::Set => {
                let mut seen = BTreeSet::new();
                let distinct = values(0).filter(|value| seen.insert(Key(vec![(*value).clone()])));
                Value::Array(distinct.take(self.limit).cloned().collect())
            }
            AggregateKind::RowNumber | AggregateKind::Lag | AggregateKind::Lead => default(),
        }
    }
}

fn kind(name: &str) -> Option<AggregateKind> {
    Some(match name {
        "count" => AggregateKind::Count,
        "uniq" | "uniqExact" => AggregateKind::Distinct,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Average,
        "any" | "first_value" => AggregateKind::Any,
        "anyLast" | "last_value" => AggregateKind::Last,
        "argMin" => AggregateKind::ArgMin,
        "argMax" => AggregateKind::ArgMax,
        "groupArray" => AggregateKind::List,
        "groupUniqArray" => AggregateKind::Set,
        _ => return None,
    })
}
