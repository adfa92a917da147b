//! Parsing operators, by precedence.

use serde_json::{Number, Value as Json};

use super::cursor::Parser;
use crate::hogql::ast::{Call, Comparison, Node};
use crate::hogql::error::QueryError;
use crate::hogql::lexer::Token;

/// Bounds the recursion.
const MAX_DEPTH: usize = 60;

const COMPARISONS: [(&str, Comparison); 10] = [
    ("==", Comparison::Equal),
    ("=", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<>", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=~", Comparison::Regex),
    ("!~", Comparison::NotRegex),
];

pub(super) fn call(name: &str, arguments: Vec<Node>) -> Node {
    Node::Call(Call {
        name: name.to_owned(),
        parameters: Vec::new(),
        arguments,
        distinct: false,
        over: None,
    })
}

impl Parser<'_> {
    pub(super) fn expressions(&mut self) -> Result<Vec<Node>, QueryError> {
        let mut nodes = vec![self.expression()?];
        while self.take_symbol(",") {
            nodes.push(self.expression()?);
        }
        Ok(nodes)
    }

    pub(super) fn expression(&mut self) -> Result<Node, QueryError> {
        self.enter()?;
        let node = self.conditional();
        self.depth -= 1;
        node
    }

    /// Counts one more level of recursion.
    pub(super) fn enter(&mut self) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(QueryError::syntax("expression is nested too deeply"));
        }
        Ok(())
    }

    fn conditional(&mut self) -> Result<Node, QueryError> {
        let condition = self.or()?;
        if !self.take_symbol("?") {
            return Ok(condition);
        }
        let then = self.expression()?;
        self.expect_symbol(":")?;
        let otherwise = self.expression()?;
        Ok(call("if", vec![condition, then, otherwise]))
    }

    fn or(&mut self) -> Result<Node, QueryError> {
        let first = self.and()?;
        let mut nodes = vec![first];
        while self.take_keyword("or") {
            nodes.push(self.and()?);
        }
        Ok(single(nodes, Node::Or))
    }

    fn and(&mut self) -> Result<Node, QueryError> {
        let first = self.not()?;
        let mut nodes = vec![first];
        while self.take_keyword("and") {
            nodes.push(self.not()?);
        }
        Ok(single(nodes, Node::And))
    }

    fn not(&mut self) -> Result<Node, QueryError> {
        if self.take_keyword("not") {
            self.enter()?;
            let node = self.not();
            self.depth -= 1;
            return Ok(Node::Not(Box::new(node?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, QueryError> {
        let mut left = self.sum()?;
        loop {
            let found = COMPARISONS
                .iter()
                .find(|(symbol, _)| self.is_symbol(symbol));
            if let Some((_, comparison)) = found {
                self.at += 1;
                let right = self.sum()?;
                left = Node::Compare(*comparison, Box::new(left), Box::new(right));
            } else if self.take_keyword("is") {
                let name = if self.take_keyword("not") {
                    "isNotNull"
                } else {
                    "isNull"
                };
                self.expect_keyword("null")?;
                left = call(name, vec![left]);
            } else {
                let before = self.at;
                let expected = !self.take_keyword("not");
                let Some(node) = self.word_comparison(&left, expected)? else {
                    self.at = before;
                    return Ok(left);
                };
                left = node;
            }
        }
    }

    /// IN, BETWEEN, LIKE and ILIKE.
    fn word_comparison(&mut self, left: &Node, expected: bool) -> Result<Option<Node>, QueryError> {
        let left = Box::new(left.clone());
        let of = |yes, no| if expected { yes } else { no };
        if self.take_keyword("in") {
            if self.take_keyword("cohort") {
                let cohort = Box::new(self.sum()?);
                return Ok(Some(Node::InCohort {
                    person: left,
                    cohort,
                    expected,
                }));
            }
            let right = Box::new(self.sum()?);
            let comparison = of(Comparison::In, Comparison::NotIn);
            return Ok(Some(Node::Compare(comparison, left, right)));
        }
        if self.take_keyword("like") {
            let right = Box::new(self.sum()?);
            let comparison = of(Comparison::Like, Comparison::NotLike);
            return Ok(Some(Node::Compare(comparison, left, right)));
        }
        if self.take_keyword("ilike") {
            let right = Box::new(self.sum()?);
            let comparison = of(Comparison::ILike, Comparison::NotILike);
            return Ok(Some(Node::Compare(comparison, left, right)));
        }
        if self.take_keyword("between") {
            let low = Box::new(self.sum()?);
            self.expect_keyword("and")?;
            let high = Box::new(self.sum()?);
            let from = Node::Compare(Comparison::GreaterOrEqual, left.clone(), low);
            let to = Node::Compare(Comparison::LessOrEqual, left, high);
            let within = Node::And(vec![from, to]);
            return Ok(Some(if expected {
                within
            } else {
                Node::Not(Box::new(within))
            }));
        }
        Ok(None)
    }

    fn sum(&mut self) -> Result<Node, QueryError> {
        let mut left = self.product()?;
        loop {
            let name = if self.take_symbol("+") {
                "plus"
            } else if self.take_symbol("-") {
                "minus"
            } else if self.take_symbol("||") {
                "concat"
            } else if self.take_symbol("??") {
                "ifNull"
            } else {
                return Ok(left);
            };
            left = call(name, vec![left, self.product()?]);
        }
    }

    fn product(&mut self) -> Result<Node, QueryError> {
        let mut left = self.unary()?;
        loop {
            let name = if self.take_symbol("*") {
                "multiply"
            } else if self.take_symbol("/") {
                "divide"
            } else if self.take_symbol("%") {
                "modulo"
            } else {
                return Ok(left);
            };
            left = call(name, vec![left, self.unary()?]);
        }
    }

    pub(super) fn unary(&mut self) -> Result<Node, QueryError> {
        if self.take_symbol("-") {
            self.enter()?;
            let operand = self.unary();
            self.depth -= 1;
            return Ok(match operand? {
                Node::Constant(Json::Number(number)) => {
                    Node::Constant(Json::Number(negated(&number)))
                }
                node => call("negate", vec![node]),
            });
        }
        let mut node = self.primary()?;
        loop {
            if self.take_symbol("[") {
                let index = self.expression()?;
                self.expect_symbol("]")?;
                node = Node::Index(Box::new(node), Box::new(index));
            } else if self.take_symbol(".") {
                let index = match self.next() {
                    Some(Token::Number(number)) => Json::from(number.parse::<i64>().unwrap_or(0)),
                    Some(Token::Name(name) | Token::QuotedName(name)) => Json::from(name),
                    _ => return Err(self.unexpected("identifier")),
                };
                node = Node::Index(Box::new(node), Box::new(Node::Constant(index)));
            } else {
                return Ok(node);
            }
        }
    }
}

fn single(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match (nodes.len(), nodes.pop()) {
        (1, Some(node)) => node,
        (_, last) => {
            nodes.extend(last);
            several(nodes)
        }
    }
}

fn negated(number: &Number) -> Number {
    let integer = number.as_i64().and_then(i64::checked_neg);
    match integer {
        Some(integer) => Number::from(integer),
        None => {
            let float = number.as_f64().and_then(|float| Number::from_f64(-float));
            float.unwrap_or_else(|| number.clone())
        }
    }
}
