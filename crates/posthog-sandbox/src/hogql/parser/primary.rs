//! Parsing what operators combine: constants, names, calls, parentheses.

use serde_json::Value as Json;

use super::cursor::{Parser, is_keyword};
use super::expression::call;
use crate::hogql::ast::{Bound, Call, Comparison, Node, WindowNode};
use crate::hogql::error::QueryError;
use crate::hogql::lexer::Token;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Node, QueryError> {
        match self.peek().cloned() {
            Some(Token::Text(text)) => {
                self.at += 1;
                Ok(Node::Constant(Json::from(text)))
            }
            Some(Token::Number(text)) => {
                self.at += 1;
                let number = serde_json::from_str(&text)
                    .map_err(|_| QueryError::syntax(format!("extraneous input '{text}'")))?;
                Ok(Node::Constant(Json::Number(number)))
            }
            Some(Token::Symbol("{")) => {
                self.at += 1;
                self.placeholder()
            }
            Some(Token::Symbol("[")) => {
                self.at += 1;
                Ok(Node::Array(self.list("]")?))
            }
            Some(Token::Symbol("(")) => {
                self.at += 1;
                self.parenthesis()
            }
            Some(Token::QuotedName(_)) => self.field(),
            Some(Token::Name(name)) => self.word(&name),
            _ => Err(self.unexpected("expression")),
        }
    }

    /// After `(`: a subquery, a tuple, the parameters of a lambda, or an expression.
    fn parenthesis(&mut self) -> Result<Node, QueryError> {
        if self.is_keyword("select") || self.is_keyword("with") {
            let select = self.query()?;
            self.expect_symbol(")")?;
            return Ok(Node::Subquery(Box::new(select)));
        }
        let mut nodes = self.list(")")?;
        if self.take_symbol("->") {
            return self.lambda(&nodes);
        }
        match (nodes.pop(), nodes.is_empty()) {
            (Some(node), true) => Ok(node),
            (Some(last), false) => {
                nodes.push(last);
                Ok(Node::Tuple(nodes))
            }
            (None, _) => Err(self.unexpected("expression")),
        }
    }

    fn lambda(&mut self, parameters: &[Node]) -> Result<Node, QueryError> {
        let names: Option<Vec<String>> = parameters
            .iter()
            .map(|node| match node {
                Node::Field(chain) => chain.first().cloned(),
                _ => None,
            })
            .collect();
        let Some(names) = names else {
            return Err(self.unexpected("identifier"));
        };
        Ok(Node::Lambda(names, Box::new(self.expression()?)))
    }

    fn list(&mut self, close: &str) -> Result<Vec<Node>, QueryError> {
        let mut nodes = Vec::new();
        if self.take_symbol(close) {
            return Ok(nodes);
        }
        loop {
            let node = if self.take_symbol("*") {
                Node::Star
            } else {
                self.expression()?
            };
            nodes.push(node);
            if !self.take_symbol(",") {
                break;
            }
        }
        self.expect_symbol(close)?;
        Ok(nodes)
    }

    fn word(&mut self, name: &str) -> Result<Node, QueryError> {
        let constant = match name.to_ascii_lowercase().as_str() {
            "null" => Some(Json::Null),
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            "case" => return self.case(),
            "interval" if !matches!(self.tokens.get(self.at + 1), Some(Token::Symbol(_))) => {
                return self.interval();
            }
            _ => None,
        };
        if let Some(constant) = constant {
            self.at += 1;
            return Ok(Node::Constant(constant));
        }
        let is_call = self.tokens.get(self.at + 1) == Some(&Token::Symbol("("));
        if is_call && !matches!(name.to_ascii_lowercase().as_str(), "and" | "or" | "in") {
            self.at += 2;
            return self.call(name);
        }
        if is_keyword(name) {
            return Err(self.unexpected("expression"));
        }
        self.field()
    }

    fn field(&mut self) -> Result<Node, QueryError> {
        let mut chain: Vec<String> = self.take_name().into_iter().collect();
        while self.is_symbol(".") {
            let Some(Token::Name(part) | Token::QuotedName(part)) = self.tokens.get(self.at + 1)
            else {
                break;
            };
            chain.push(part.clone());
            self.at += 2;
        }
        if chain.len() == 1 && self.take_symbol("->") {
            return self.lambda(&[Node::Field(chain)]);
        }
        Ok(Node::Field(chain))
    }

    fn call(&mut self, name: &str) -> Result<Node, QueryError> {
        let mut distinct = self.take_keyword("distinct");
        let mut arguments = self.list(")")?;
        let mut parameters = Vec::new();
        if self.take_symbol("(") {
            parameters = arguments;
            distinct = self.take_keyword("distinct");
            arguments = self.list(")")?;
        }
        arguments.retain(|node| *node != Node::Star);
        let over = if self.take_keyword("over") {
            Some(Box::new(self.window()?))
        } else {
            None
        };
        Ok(Node::Call(Call {
            name: name.to_owned(),
            parameters,
            arguments,
            distinct,
            over,
        }))
    }

    fn window(&mut self) -> Result<WindowNode, QueryError> {
        self.expect_symbol("(")?;
        let mut window = WindowNode {
            partition: Vec::new(),
            order: Vec::new(),
            frame: None,
        };
        if self.take_keywords(&["partition", "by"]) {
            window.partition = self.expressions()?;
        }
        if self.take_keywords(&["order", "by"]) {
            window.order = self.orders()?;
        }
        if self.take_keyword("rows") {
            window.frame = Some(if self.take_keyword("between") {
                let start = self.bound()?;
                self.expect_keyword("and")?;
                (start, self.bound()?)
            } else {
                (self.bound()?, Bound::Before(0))
            });
        }
        self.expect_symbol(")")?;
        Ok(window)
    }

    fn bound(&mut self) -> Result<Bound, QueryError> {
        if self.take_keywords(&["current", "row"]) {
            return Ok(Bound::Before(0));
        }
        if self.take_keywords(&["unbounded", "preceding"]) {
            return Ok(Bound::Start);
        }
        if self.take_keywords(&["unbounded", "following"]) {
            return Ok(Bound::End);
        }
        let count: Option<i64> = match self.next() {
            Some(Token::Number(number)) => number.parse().ok(),
            _ => None,
        };
        let Some(count) = count else {
            return Err(self.unexpected("frame"));
        };
        if self.take_keyword("following") {
            return Ok(Bound::Before(-count));
        }
        self.expect_keyword("preceding")?;
        Ok(Bound::Before(count))
    }

    /// `case [x] when a then b ... [else c] end`.
    fn case(&mut self) -> Result<Node, QueryError> {
        self.at += 1;
        let subject = if self.is_keyword("when") {
            None
        } else {
            Some(Box::new(self.expression()?))
        };
        let mut arguments = Vec::new();
        while self.take_keyword("when") {
            let when = self.expression()?;
            arguments.push(match &subject {
                None => when,
                Some(subject) => Node::Compare(Comparison::Equal, subject.clone(), Box::new(when)),
            });
            self.expect_keyword("then")?;
            arguments.push(self.expression()?);
        }
        arguments.push(if self.take_keyword("else") {
            self.expression()?
        } else {
            Node::Constant(Json::Null)
        });
        self.expect_keyword("end")?;
        Ok(call("multiIf", arguments))
    }

    /// `interval 7 day`.
    fn interval(&mut self) -> Result<Node, QueryError> {
        self.at += 1;
        let count = self.unary()?;
        let Some(Token::Name(unit)) = self.next() else {
            return Err(self.unexpected("interval unit"));
        };
        let unit = unit.to_ascii_lowercase();
        let unit = unit.strip_suffix('s').unwrap_or(&unit);
        let mut letters = unit.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let name: String = first.into_iter().chain(letters).collect();
        Ok(call(&format!("toInterval{name}"), vec![count]))
    }
}
