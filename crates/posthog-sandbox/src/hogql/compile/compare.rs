//! Comparisons: constants take the type of what they are compared with, as ClickHouse converts them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::compiler::{Compiler, Typed, flag, parsed_uuid};
use crate::hogql::ast::{Comparison, Node};
use crate::hogql::error::QueryError;
use crate::hogql::evaluate::Expr;
use crate::hogql::select::run;
use crate::hogql::types::Type;
use crate::hogql::value::{Key, Value};
use crate::model::dates;

impl Compiler<'_> {
    pub(super) fn comparison(
        &mut self,
        comparison: Comparison,
        left: &Node,
        right: &Node,
    ) -> Result<Typed, QueryError> {
        if matches!(comparison, Comparison::In | Comparison::NotIn) {
            return self.membership(left, right, comparison == Comparison::In);
        }
        let mut left = self.compile(left)?;
        let mut right = self.compile(right)?;
        let of_text = !matches!(
            comparison,
            Comparison::Equal
                | Comparison::NotEqual
                | Comparison::Less
                | Comparison::LessOrEqual
                | Comparison::Greater
                | Comparison::GreaterOrEqual
        );
        if of_text {
            let wrong = [&left.ty, &right.ty]
                .into_iter()
                .find(|ty| !(ty.is_text() || *ty.plain() == Type::Nothing));
            if let Some(ty) = wrong {
                return Err(QueryError::illegal_type(comparison.function(), ty));
            }
        } else {
            align(&mut left, &mut right)?;
        }
        let (left, right) = (Box::new(left.expr), Box::new(right.expr));
        Ok(flag(Expr::Compare(comparison, left, right)))
    }

    fn membership(
        &mut self,
        left: &Node,
        right: &Node,
        expected: bool,
    ) -> Result<Typed, QueryError> {
        let value = self.compile(left)?;
        let (items, ty) = if let Node::Subquery(select) = right {
            let output = run(select, &self.db)?;
            let single = output.types.len() == 1;
            let rows = output.rows.into_iter();
            let items: Vec<Value> = if single {
                rows.flatten().collect()
            } else {
                rows.map(Value::Tuple).collect()
            };
            let ty = if single {
                output.types.into_iter().next().unwrap_or(Type::Nothing)
            } else {
                Type::Tuple(output.types)
            };
            (items, ty)
        } else {
            let set = self.compile(right)?;
            match (set.expr, set.ty) {
                (Expr::Constant(Value::Array(items)), Type::Array(item)) => (items, *item),
                (Expr::Constant(Value::Tuple(items)), Type::Tuple(types)) => {
                    let first = types.into_iter().next();
                    (items, first.unwrap_or(Type::Nothing))
                }
                (Expr::Constant(one), ty) => (vec![one], ty),
                (array, Type::Array(_)) => {
                    let comparison = if expected {
                        Comparison::In
                    } else {
                        Comparison::NotIn
                    };
                    let (left, right) = (Box::new(value.expr), Box::new(array));
                    return Ok(flag(Expr::Compare(comparison, left, right)));
                }
                (_, other) => {
                    let sentence = format!("Function 'in' is not supported for {other}");
                    return Err(QueryError::clickhouse("illegal_type_of_argument", sentence));
                }
            }
        };
        let items = items
            .into_iter()
            .map(|item| converted(item, &ty, &value.ty));
        let set: Result<BTreeSet<Key>, QueryError> =
            items.map(|item| Ok(Key(vec![item?]))).collect();
        Ok(flag(Expr::Among {
            value: Box::new(value.expr),
            set: Arc::new(set?),
            expected,
        }))
    }

    pub(super) fn in_cohort(
        &mut self,
        person: &Node,
        cohort: &Node,
        expected: bool,
    ) -> Result<Typed, QueryError> {
        let person = self.compile(person)?;
        let cohort = self.compile(cohort)?;
        let named = cohort.expr.constant();
        let cohorts = &self.db.project.cohorts;
        let found = match named {
            Some(Value::Int(id)) => cohorts
                .iter()
                .find(|cohort| u64::try_from(*id) == Ok(cohort.id)),
            Some(Value::Text(name)) => cohorts
                .iter()
                .find(|cohort| cohort.name.as_deref() == Some(name.as_ref())),
            _ => {
                return Err(QueryError::invalid(
                    "cohort operand must be a number or a name",
                ));
            }
        };
        let Some(found) = found else {
            let named = named.map(|named| named.to_json().to_string());
            let detail = format!(
                "Could not find cohort with ID {}",
                named.unwrap_or_default()
            );
            return Err(QueryError::invalid(detail));
        };
        let members = found.members.uuids.iter();
        let set: BTreeSet<Key> = members.map(|uuid| Key(vec![Value::Uuid(*uuid)])).collect();
        Ok(flag(Expr::Among {
            value: Box::new(person.expr),
            set: Arc::new(set),
            expected,
        }))
    }
}

/// Converts a constant side to the type of the other.
fn align(left: &mut Typed, right: &mut Typed) -> Result<(), QueryError> {
    match (&mut left.expr, &mut right.expr) {
        (Expr::Tuple(a), Expr::Tuple(b)) => {
            let (Type::Tuple(types_a), Type::Tuple(types_b)) = (&left.ty, &right.ty) else {
                return Ok(());
            };
            for (((a, b), ty_a), ty_b) in a.iter_mut().zip(b).zip(types_a).zip(types_b) {
                align_one(a, ty_a, b, ty_b)?;
            }
            Ok(())
        }
        (Expr::Tuple(items), Expr::Constant(Value::Tuple(values))) => {
            let (Type::Tuple(types), Type::Tuple(found)) = (&left.ty, &right.ty) else {
                return Ok(());
            };
            for (((_, value), found), ty) in items.iter().zip(values).zip(found).zip(types) {
                *value = converted(value.clone(), found, ty)?;
            }
            Ok(())
        }
        (a, b) => align_one(a, &left.ty, b, &right.ty),
    }
}

fn align_one(a: &mut Expr, ty_a: &Type, b: &mut Expr, ty_b: &Type) -> Result<(), QueryError> {
    match (&mut *a, &mut *b) {
        (Expr::Constant(_), Expr::Constant(_)) => Ok(()),
        (Expr::Constant(constant), _) => {
            *constant = converted(constant.clone(), ty_a, ty_b)?;
            Ok(())
        }
        (_, Expr::Constant(constant)) => {
            *constant = converted(constant.clone(), ty_b, ty_a)?;
            Ok(())
        }
        _ if comparable(ty_a, ty_b) => Ok(()),
        _ => Err(no_common_type(ty_a, ty_b)),
    }
}

fn comparable(a: &Type, b: &Type) -> bool {
    let same_kind = a.is_number() && b.is_number() || a.is_time() && b.is_time();
    same_kind || a.common(b).is_some()
}

fn no_common_type(a: &Type, b: &Type) -> QueryError {
    let sentence = format!("There is no supertype for types {a}, {b}");
    QueryError::clickhouse("no_common_type", sentence)
}

/// A constant as a value of the type that it is compared with.
fn converted(value: Value, from: &Type, to: &Type) -> Result<Value, QueryError> {
    let text = match &value {
        Value::Text(text) => text.clone(),
        Value::Null => return Ok(Value::Null),
        _ if comparable(from, to) => return Ok(value),
        _ => return Err(no_common_type(to, from)),
    };
    match to.plain() {
        Type::Uuid => parsed_uuid(&text),
        Type::Time(_) | Type::Date => {
            // ClickHouse's own two forms of a time, without a zone.
            let is_plain = !text.contains('T') && !text.ends_with('Z');
            let time = dates::parse(&text).filter(|_| is_plain);
            time.map(Value::Time).ok_or_else(|| mismatch(&text, to))
        }
        Type::Bool => text
            .parse()
            .map(Value::Bool)
            .map_err(|_| mismatch(&text, to)),
        plain if plain.is_number() => {
            let number = text.parse().map(Value::Float);
            number.map_err(|_| mismatch(&text, to))
        }
        Type::Array(_) | Type::Tuple(_) => Err(no_common_type(to, from)),
        _ => Ok(value),
    }
}

fn mismatch(text: &str, ty: &Type) -> QueryError {
    let sentence = format!("Cannot convert string '{text}' to type {}", ty.plain());
    QueryError::clickhouse("type_mismatch", sentence)
}
