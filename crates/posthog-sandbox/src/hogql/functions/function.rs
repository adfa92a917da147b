//! What a function is, and finding one by its name.

use super::{array, json, number, text, time};
use crate::hogql::error::QueryError;
use crate::hogql::types::Type;
use crate::hogql::value::Value;

type Typed = Result<Type, QueryError>;

pub(in crate::hogql) struct Function {
    pub(in crate::hogql) name: &'static str,
    least: usize,
    most: usize,
    /// The type of the result, or why these types are refused.
    returns: fn(&[Type]) -> Typed,
    pub(in crate::hogql) run: fn(&[Value]) -> Result<Value, QueryError>,
    /// Whether the result is NULL if an argument is.
    pub(in crate::hogql) strict: bool,
}

/// A function whose result is NULL if an argument is.
pub(super) const fn strict(
    name: &'static str,
    arguments: (usize, usize),
    returns: fn(&[Type]) -> Typed,
    run: fn(&[Value]) -> Result<Value, QueryError>,
) -> Function {
    Function {
        name,
        least: arguments.0,
        most: arguments.1,
        returns,
        run,
        strict: true,
    }
}

/// A function that decides itself what NULL means.
pub(super) const fn aware(
    name: &'static str,
    arguments: (usize, usize),
    returns: fn(&[Type]) -> Typed,
    run: fn(&[Value]) -> Result<Value, QueryError>,
) -> Function {
    let function = strict(name, arguments, returns, run);
    Function {
        strict: false,
        ..function
    }
}

pub(super) const ANY: usize = usize::MAX;

/// The function of this name. Only names without capitals may be written with them.
pub(in crate::hogql) fn find(name: &str) -> Option<&'static Function> {
    let tables: [&[Function]; 5] = [
        array::FUNCTIONS,
        json::FUNCTIONS,
        number::FUNCTIONS,
        text::FUNCTIONS,
        time::FUNCTIONS,
    ];
    let lower = name.to_ascii_lowercase();
    let mut functions = tables.into_iter().flatten();
    functions.find(|function| function.name == name || function.name == lower)
}

impl Function {
    pub(in crate::hogql) fn check(&self, types: &[Type]) -> Typed {
        let (name, found) = (self.name, types.len());
        if found < self.least || found > self.most {
            let expected = if self.least == self.most {
                self.least.to_string()
            } else if found < self.least {
                format!("at least {}", self.least)
            } else {
                format!("at most {}", self.most)
            };
            let plural = if expected == "1" { "" } else { "s" };
            return Err(QueryError::invalid(format!(
                "Function '{name}' expects {expected} argument{plural}, found {found}"
            )));
        }
        let ty = (self.returns)(types).map_err(|error| named(error, name))?;
        let has_null = types
            .iter()
            .any(|ty| ty.is_nullable() || *ty == Type::Nothing);
        Ok(if self.strict && has_null {
            ty.nullable()
        } else {
            ty
        })
    }
}

/// The error with the name of the function, which the checks of types leave out.
fn named(error: QueryError, name: &str) -> QueryError {
    match error {
        QueryError::ClickHouse { code, detail } => QueryError::ClickHouse {
            code,
            detail: detail.replace(PLACE, name),
        },
        other => other,
    }
}

const PLACE: &str = "\u{0}";

pub(super) fn refused(ty: &Type) -> QueryError {
    QueryError::illegal_type(PLACE, ty)
}

/// Checks that the arguments are text, and returns text.
pub(super) fn text_to_text(types: &[Type]) -> Typed {
    texts(types, Type::String)
}

pub(super) fn text_to_number(types: &[Type]) -> Typed {
    texts(types, Type::UInt64)
}

pub(super) fn text_to_flag(types: &[Type]) -> Typed {
    texts(types, Type::UInt8)
}

fn texts(types: &[Type], returns: Type) -> Typed {
    match types.iter().find(|ty| !(ty.is_text() || is_null(ty))) {
        Some(ty) => Err(refused(ty)),
        None => Ok(returns),
    }
}

pub(super) fn is_null(ty: &Type) -> bool {
    *ty.plain() == Type::Nothing
}

pub(super) fn to_text(_: &[Type]) -> Typed {
    Ok(Type::String)
}

pub(super) fn to_flag(_: &[Type]) -> Typed {
    Ok(Type::UInt8)
}

/// The type that all of these have in common.
pub(super) fn common(types: &[Type]) -> Typed {
    let mut found = Type::Nothing;
    for ty in types {
        found = found.common(ty).ok_or_else(|| {
            let sentence = format!("There is no supertype for types {found}, {ty}");
            QueryError::clickhouse("no_common_type", sentence)
        })?;
    }
    Ok(found)
}

pub(super) fn argument(arguments: &[Value], index: usize) -> &Value {
    arguments.get(index).unwrap_or(&Value::Null)
}

pub(super) fn text(arguments: &[Value], index: usize) -> String {
    let text = argument(arguments, index).as_text();
    text.unwrap_or_default().into_owned()
}

pub(super) fn integer(arguments: &[Value], index: usize) -> Option<i64> {
    argument(arguments, index).as_int()
}
