//! Calls of functions, aggregates and window functions.

use super::compiler::{AggregateCall, Compiler, Stage, Typed, WindowCall};
use crate::hogql::aggregates::Aggregate;
use crate::hogql::ast::{Call, Node, WindowNode};
use crate::hogql::error::QueryError;
use crate::hogql::evaluate::{Each, EachKind, Expr};
use crate::hogql::functions::{extract, extract_type, find};
use crate::hogql::types::Type;
use crate::hogql::value::Value;
use crate::model::{Era, dates};

impl Compiler<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Result<Typed, QueryError> {
        if let Some(over) = &call.over {
            return self.window(call, over);
        }
        if let Some(aggregate) = Aggregate::find(call)? {
            return self.aggregate(call, aggregate);
        }
        if let Some(kind) = each_kind(&call.name) {
            if let Some(Node::Lambda(names, body)) = call.arguments.first() {
                let arrays = call.arguments.get(1..).unwrap_or_default();
                return self.each(kind, names, body, arrays);
            }
            if kind != EachKind::Sort {
                let detail = format!("Function '{}' expects a lambda", call.name);
                return Err(QueryError::invalid(detail));
            }
        }
        match call.name.as_str() {
            "arrayJoin" => return self.array_join(&call.arguments),
            "now" => return Ok(time(self.db.now, Type::Time(6))),
            "today" => {
                let day = dates::start_of_day(self.db.now).unwrap_or(self.db.now);
                return Ok(time(day, Type::Date));
            }
            "JSONExtract" => return self.json_extract(&call.arguments),
            _ => {}
        }
        let is_later = call.name == "toDateTime64" && self.db.era == Era::August2025;
        let Some(function) = find(&call.name).filter(|_| !is_later) else {
            let detail = format!("Unsupported function call '{}(...)'", call.name);
            return Err(QueryError::invalid(detail));
        };
        let arguments = self.all(&call.arguments)?;
        let types: Vec<Type> = arguments
            .iter()
            .map(|argument| argument.ty.clone())
            .collect();
        let ty = function.check(&types)?;
        let arguments: Vec<Expr> = arguments
            .into_iter()
            .map(|argument| argument.expr)
            .collect();
        let constants: Option<Vec<Value>> = arguments
            .iter()
            .map(|argument| argument.constant().cloned())
            .collect();
        let expr = match constants {
            Some(values) if function.strict && values.iter().any(Value::is_null) => {
                Expr::Constant(Value::Null)
            }
            Some(values) => Expr::Constant((function.run)(&values)?),
            None => Expr::Call {
                run: function.run,
                strict: function.strict,
                arguments,
            },
        };
        Ok(Typed { expr, ty })
    }

    fn json_extract(&mut self, nodes: &[Node]) -> Result<Typed, QueryError> {
        let arguments = self.all(nodes)?;
        let mut arguments: Vec<Expr> = arguments.into_iter().map(|typed| typed.expr).collect();
        let name = arguments.pop();
        let name = name
            .as_ref()
            .and_then(Expr::constant)
            .and_then(Value::as_text);
        let Some(ty) = name.as_deref().and_then(extract_type) else {
            let sentence = "The last argument of function JSONExtract must be a type";
            return Err(QueryError::clickhouse("illegal_type_of_argument", sentence));
        };
        let default = Expr::Constant(ty.default_value());
        // The type goes along as its default value, since a function is only given values.
        let run: fn(&[Value]) -> Result<Value, QueryError> = match &ty {
            Type::Array(item) if **item == Type::String => |a| Ok(extract(path(a), &texts())),
            Type::String => |a| Ok(extract(path(a), &Type::String)),
            Type::Float64 => |a| Ok(extract(path(a), &Type::Float64)),
            Type::Bool => |a| Ok(extract(path(a), &Type::Bool)),
            Type::Int64 | Type::UInt64 => |a| Ok(extract(path(a), &Type::Int64)),
            Type::Nullable(inner) if **inner == Type::String => {
                |a| Ok(extract(path(a), &Type::String.nullable()))
            }
            Type::Nullable(inner) if **inner == Type::Float64 => {
                |a| Ok(extract(path(a), &Type::Float64.nullable()))
            }
            other => {
                let detail = format!("JSONExtract of {other} is not simulated by the sandbox");
                return Err(QueryError::invalid(detail));
            }
        };
        arguments.push(default);
        Ok(Typed {
            expr: Expr::Call {
                run,
                strict: false,
                arguments,
            },
            ty,
        })
    }

    /// One row for each item of the array.
    fn array_join(&mut self, nodes: &[Node]) -> Result<Typed, QueryError> {
        let [node] = nodes else {
            return Err(QueryError::invalid(
                "Function 'arrayJoin' expects 1 argument",
            ));
        };
        if !matches!(self.stage, Stage::Filter | Stage::Rows) {
            return Err(QueryError::invalid("arrayJoin within an aggregation"));
        }
        let array = self.compile(node)?;
        let Some(ty) = array.ty.item().cloned() else {
            return Err(QueryError::illegal_type("arrayJoin", &array.ty));
        };
        let known = self.joined.iter().position(|(known, _)| known == node);
        let index = known.unwrap_or_else(|| {
            self.joined.push((node.clone(), array.expr));
            self.joined.len() - 1
        });
        let expr = Expr::Joined(index);
        Ok(Typed { expr, ty })
    }

    fn aggregate(&mut self, call: &Call, aggregate: Aggregate) -> Result<Typed, QueryError> {
        if self.stage != Stage::Groups {
            let sentence = format!("Aggregate function {}() is found in wrong place", call.name);
            return Err(QueryError::clickhouse("illegal_aggregation", sentence));
        }
        self.stage = Stage::InAggregate;
        let arguments = self.all(&call.arguments);
        self.stage = Stage::Groups;
        let arguments = arguments?;
        let types: Vec<Type> = arguments
            .iter()
            .map(|argument| argument.ty.clone())
            .collect();
        let aggregate = aggregate.typed(&call.name, &types)?;
        let ty = aggregate.returns.clone();
        self.aggregates.push(AggregateCall {
            aggregate,
            arguments: arguments
                .into_iter()
                .map(|argument| argument.expr)
                .collect(),
        });
        let expr = Expr::Aggregate(self.aggregates.len() - 1);
        Ok(Typed { expr, ty })
    }

    fn window(&mut self, call: &Call, over: &WindowNode) -> Result<Typed, QueryError> {
        if matches!(self.stage, Stage::Filter | Stage::InAggregate) {
            let sentence = format!("Window function {}() is found in wrong place", call.name);
            return Err(QueryError::clickhouse("illegal_aggregation", sentence));
        }
        let function = match Aggregate::of_window(&call.name) {
            Some(function) => function,
            None => Aggregate::find(call)?.ok_or_else(|| {
                QueryError::invalid(format!("Unsupported function call '{}(...)'", call.name))
            })?,
        };
        let arguments = self.all(&call.arguments)?;
        let types: Vec<Type> = arguments
            .iter()
            .map(|argument| argument.ty.clone())
            .collect();
        let function = function.typed(&call.name, &types)?;
        let ty = function.returns.clone();
        let partition = self.all(&over.partition)?;
        let mut order = Vec::new();
        for by in &over.order {
            order.push((self.compile(&by.node)?.expr, by.descending));
        }
        self.windows.push(WindowCall {
            function,
            arguments: arguments
                .into_iter()
                .map(|argument| argument.expr)
                .collect(),
            partition: partition.into_iter().map(|typed| typed.expr).collect(),
            order,
            frame: over.frame,
        });
        let expr = Expr::Window(self.windows.len() - 1);
        Ok(Typed { expr, ty })
    }

    fn each(
        &mut self,
        kind: EachKind,
        names: &[String],
        body: &Node,
        arrays: &[Node],
    ) -> Result<Typed, QueryError> {
        let arrays = self.all(arrays)?;
        let known = self.locals.len();
        for (name, array) in names.iter().zip(&arrays) {
            let Some(item) = array.ty.item() else {
                return Err(QueryError::illegal_type("arrayMap", &array.ty));
            };
            self.locals.push((name.clone(), item.clone()));
        }
        let body = self.compile(body);
        self.locals.truncate(known);
        let body = body?;
        let first = arrays
            .first()
            .map_or(Type::Nothing, |array| array.ty.clone());
        let ty = match kind {
            EachKind::Map => Type::array(body.ty),
            EachKind::Filter | EachKind::Sort => first,
            EachKind::Exists | EachKind::All => Type::UInt8,
            EachKind::Count => Type::UInt64,
        };
        let each = Each {
            kind,
            body: Box::new(body.expr),
            arrays: arrays.into_iter().map(|array| array.expr).collect(),
        };
        let expr = Expr::Each(each);
        Ok(Typed { expr, ty })
    }
}

fn each_kind(name: &str) -> Option<EachKind> {
    Some(match name {
        "arrayMap" => EachKind::Map,
        "arrayFilter" => EachKind::Filter,
        "arrayExists" => EachKind::Exists,
        "arrayAll" => EachKind::All,
        "arrayCount" => EachKind::Count,
        "arraySort" => EachKind::Sort,
        _ => return None,
    })
}

fn time(time: dates::Time, ty: Type) -> Typed {
    let expr = Expr::Constant(Value::Time(time));
    Typed { expr, ty }
}

/// The arguments of `JSONExtract` without the one for its type.
fn path(arguments: &[Value]) -> &[Value] {
    arguments.split_last().map_or(&[], |(_, path)| path)
}

fn texts() -> Type {
    Type::array(Type::String)
}
