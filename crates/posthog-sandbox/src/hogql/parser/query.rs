//! Parsing SELECT.

use super::cursor::Parser;
use crate::hogql::ast::{From, FromSource, Item, Node, Order, Select};
use crate::hogql::error::QueryError;
use crate::hogql::lexer::Token;

impl Parser<'_> {
    /// SELECTs joined by UNION ALL, after the named queries of a WITH.
    pub(super) fn query(&mut self) -> Result<Select, QueryError> {
        self.enter()?;
        let select = self.open_query();
        self.depth -= 1;
        select
    }

    fn open_query(&mut self) -> Result<Select, QueryError> {
        if self.take_keyword("with") {
            loop {
                let Some(name) = self.take_name() else {
                    return Err(self.unexpected("identifier"));
                };
                self.expect_keyword("as")?;
                self.expect_symbol("(")?;
                let select = self.query()?;
                self.expect_symbol(")")?;
                self.named.push((name, select));
                if !self.take_symbol(",") {
                    break;
                }
            }
        }
        let in_parentheses = self.take_symbol("(");
        let mut select = if in_parentheses {
            let select = self.query()?;
            self.expect_symbol(")")?;
            select
        } else {
            self.select()?
        };
        if self.take_keywords(&["union", "all"]) {
            select.union = Some(Box::new(self.query()?));
        }
        Ok(select)
    }

    fn select(&mut self) -> Result<Select, QueryError> {
        if !self.take_keyword("select") {
            return Err(self.unexpected("{SELECT, WITH, '{', '(', '<'}"));
        }
        let mut select = Select {
            distinct: self.take_keyword("distinct"),
            items: self.items()?,
            ..Select::default()
        };
        if self.take_keyword("from") {
            select.from = Some(self.from()?);
        }
        if self.take_keyword("where") {
            select.filter = Some(self.expression()?);
        }
        if self.take_keywords(&["group", "by"]) {
            select.group_by = self.expressions()?;
        }
        if self.take_keyword("having") {
            select.having = Some(self.expression()?);
        }
        if self.take_keywords(&["order", "by"]) {
            select.order_by = self.orders()?;
        }
        if self.take_keyword("limit") {
            let first = self.expression()?;
            if self.take_symbol(",") {
                select.offset = Some(first);
                select.limit = Some(self.expression()?);
            } else {
                select.limit = Some(first);
            }
        }
        if self.take_keyword("offset") {
            select.offset = Some(self.expression()?);
        }
        Ok(select)
    }

    fn items(&mut self) -> Result<Vec<Item>, QueryError> {
        let mut items = Vec::new();
        loop {
            let node = if self.take_symbol("*") {
                Node::Star
            } else {
                self.expression()?
            };
            let alias = self.alias()?;
            items.push(Item { node, alias });
            if !self.take_symbol(",") {
                return Ok(items);
            }
        }
    }

    fn from(&mut self) -> Result<From, QueryError> {
        let source = if self.take_symbol("(") {
            let select = self.query()?;
            self.expect_symbol(")")?;
            FromSource::Subquery(Box::new(select))
        } else if self.take_symbol("{") {
            self.placeholder()?;
            let detail = "A Constant cannot be used as a SELECT source";
            return Err(QueryError::invalid(detail));
        } else {
            let Some(mut name) = self.take_name() else {
                return Err(self.unexpected("table"));
            };
            while self.take_symbol(".") {
                let Some(part) = self.take_name() else {
                    return Err(self.unexpected("identifier"));
                };
                name = format!("{name}.{part}");
            }
            if self.is_symbol("(") {
                return Err(QueryError::invalid(format!(
                    "Unknown table function: {name}"
                )));
            }
            let named = self.named.iter().rev().find(|(known, _)| *known == name);
            match named {
                Some((_, select)) => FromSource::Subquery(Box::new(select.clone())),
                None => FromSource::Table(name),
            }
        };
        let alias = self.alias()?;
        let source = From { source, alias };
        if [
            "join", "inner", "left", "right", "cross", "full", "any", "asof",
        ]
        .iter()
        .any(|keyword| self.is_keyword(keyword))
            || self.is_symbol(",")
        {
            return Err(QueryError::invalid("JOIN is not simulated by the sandbox"));
        }
        Ok(source)
    }

    pub(super) fn orders(&mut self) -> Result<Vec<Order>, QueryError> {
        let mut orders = vec![self.order()?];
        while self.take_symbol(",") {
            orders.push(self.order()?);
        }
        Ok(orders)
    }

    pub(super) fn order(&mut self) -> Result<Order, QueryError> {
        let node = self.expression()?;
        let descending = self.take_keyword("desc");
        if !descending {
            self.take_keyword("asc");
        }
        if let Some(Token::Name(name)) = self.peek()
            && name.eq_ignore_ascii_case("nulls")
        {
            return Err(QueryError::syntax("NULLS FIRST and LAST are not supported"));
        }
        Ok(Order { node, descending })
    }
}
