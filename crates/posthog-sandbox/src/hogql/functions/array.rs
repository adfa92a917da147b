//! Functions on arrays and tuples.

use std::collections::BTreeSet;

use super::function::{ANY, Function, argument, aware, common, integer, refused, text};
use super::text::written;
use crate::hogql::error::QueryError;
use crate::hogql::fields::index;
use crate::hogql::types::Type;
use crate::hogql::value::{Key, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    aware(
        "array",
        (0, ANY),
        |types| Ok(Type::array(common(types)?)),
        |a| Ok(Value::Array(a.to_vec())),
    ),
    aware(
        "tuple",
        (1, ANY),
        |types| Ok(Type::Tuple(types.to_vec())),
        |a| Ok(Value::Tuple(a.to_vec())),
    ),
    aware("has", (2, 2), to_flag, |a| {
        let item = argument(a, 1);
        Ok(Value::flag(contains(argument(a, 0), item)))
    }),
    aware("hasAny", (2, 2), to_flag, |a| {
        let mut items = argument(a, 1).items().iter();
        Ok(Value::flag(
            items.any(|item| contains(argument(a, 0), item)),
        ))
    }),
    aware("hasAll", (2, 2), to_flag, |a| {
        let mut items = argument(a, 1).items().iter();
        Ok(Value::flag(
            items.all(|item| contains(argument(a, 0), item)),
        ))
    }),
    aware("indexOf", (2, 2), to_number, |a| {
        let item = argument(a, 1);
        let mut items = argument(a, 0).items().iter();
        let at = items.position(|other| other.order(item).is_eq());
        Ok(Value::count(at.map_or(0, |at| at + 1)))
    }),
    aware("arrayElement", (2, 2), item, |a| {
        let items = argument(a, 0).items();
        let index = integer(a, 1).and_then(|position| index(position, items.len()));
        Ok(index
            .and_then(|at| items.get(at))
            .cloned()
            .unwrap_or(Value::Null))
    }),
    aware("tupleElement", (2, 2), item, |a| {
        let items = argument(a, 0).items();
        let index = integer(a, 1).and_then(|position| index(position, items.len()));
        Ok(index
            .and_then(|at| items.get(at))
            .cloned()
            .unwrap_or(Value::Null))
    }),
    aware("arraySlice", (2, 3), array_first, |a| {
        let items = argument(a, 0).items();
        let offset = integer(a, 1).unwrap_or(1);
        let start = match usize::try_from(offset) {
            Ok(position) => position.saturating_sub(1),
            Err(_) => {
                let back = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
                items.len().saturating_sub(back)
            }
        };
        let length = integer(a, 2).unwrap_or(i64::MAX);
        let rest = items.get(start..).unwrap_or_default();
        let kept = match usize::try_from(length) {
            Ok(length) => length,
            Err(_) => {
                let back = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
                rest.len().saturating_sub(back)
            }
        };
        Ok(Value::Array(rest.iter().take(kept).cloned().collect()))
    }),
    aware("arraySort", (1, 1), array_first, |a| {
        let mut items = argument(a, 0).items().to_vec();
        items.sort_by(Value::order);
        Ok(Value::Array(items))
    }),
    aware("arrayReverseSort", (1, 1), array_first, |a| {
        let mut items = argument(a, 0).items().to_vec();
        items.sort_by(|a, b| b.order(a));
        Ok(Value::Array(items))
    }),
    aware("arrayReverse", (1, 1), array_first, |a| {
        let items = argument(a, 0).items().iter().rev();
        Ok(Value::Array(items.cloned().collect()))
    }),
    aware("arrayDistinct", (1, 1), array_first, |a| {
        let mut seen = BTreeSet::new();
        let items = argument(a, 0).items().iter();
        let distinct = items.filter(|item| seen.insert(Key(vec![(*item).clone()])));
        Ok(Value::Array(distinct.cloned().collect()))
    }),
    aware("arrayConcat", (1, ANY), arrays, |a| {
        let items = a.iter().flat_map(|array| array.items().iter().cloned());
        Ok(Value::Array(items.collect()))
    }),
    aware("arrayStringConcat", (1, 2), array_text, |a| {
        let items: Vec<String> = argument(a, 0).items().iter().map(written).collect();
        Ok(Value::text(items.join(&text(a, 1))))
    }),
];

fn contains(array: &Value, item: &Value) -> bool {
    array.items().iter().any(|other| other.order(item).is_eq())
}

fn is_array(ty: &Type) -> Result<(), QueryError> {
    match ty {
        Type::Array(_) => Ok(()),
        other => Err(refused(other)),
    }
}

fn array_first(types: &[Type]) -> Result<Type, QueryError> {
    let first = types.first().unwrap_or(&Type::Nothing);
    is_array(first)?;
    Ok(first.clone())
}

fn arrays(types: &[Type]) -> Result<Type, QueryError> {
    types.iter().try_for_each(is_array)?;
    common(types)
}

fn to_flag(types: &[Type]) -> Result<Type, QueryError> {
    array_first(types).map(|_| Type::UInt8)
}

fn to_number(types: &[Type]) -> Result<Type, QueryError> {
    array_first(types).map(|_| Type::UInt64)
}

fn array_text(types: &[Type]) -> Result<Type, QueryError> {
    array_first(types).map(|_| Type::String)
}

fn item(types: &[Type]) -> Result<Type, QueryError> {
    match types.first() {
        Some(Type::Array(item)) => Ok((**item).clone()),
        // Of which item is only known when it is evaluated.
        Some(Type::Tuple(items)) => Ok(items.first().cloned().unwrap_or(Type::Nothing)),
        Some(other) => Err(refused(other)),
        None => Ok(Type::Nothing),
    }
}
