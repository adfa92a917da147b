//! The entry points of the parser, and its place in the tokens.

use serde_json::{Map, Value as Json};

use crate::hogql::ast::{Node, Order, Select};
use crate::hogql::error::QueryError;
use crate::hogql::lexer::{Token, tokens};

/// Parses a whole query.
pub(crate) fn parse_select(text: &str, values: &Map<String, Json>) -> Result<Select, QueryError> {
    let mut parser = Parser::new(text, values)?;
    let select = parser.query()?;
    parser.end()?;
    Ok(select)
}

/// Parses an expression, which may have an alias.
pub(crate) fn parse_expression(text: &str) -> Result<(Node, Option<String>), QueryError> {
    let values = Map::new();
    let mut parser = Parser::new(text, &values)?;
    let node = parser.expression()?;
    let alias = parser.alias()?;
    parser.end()?;
    Ok((node, alias))
}

/// Parses an expression with ASC or DESC. PostHog ignores what follows.
pub(crate) fn parse_order(text: &str) -> Result<Order, QueryError> {
    let values = Map::new();
    let text = text.split(';').next().unwrap_or_default();
    Parser::new(text, &values)?.order()
}

/// Names that end an expression, and so are no aliases without AS.
const KEYWORDS: &[&str] = &[
    "all",
    "and",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cross",
    "desc",
    "distinct",
    "else",
    "end",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "not",
    "offset",
    "on",
    "or",
    "order",
    "over",
    "partition",
    "right",
    "rows",
    "select",
    "then",
    "union",
    "using",
    "when",
    "where",
    "with",
];

pub(super) struct Parser<'a> {
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    values: &'a Map<String, Json>,
    /// How many expressions are open.
    pub(super) depth: usize,
    /// The named queries of WITH.
    pub(super) named: Vec<(String, Select)>,
}

impl<'a> Parser<'a> {
    fn new(text: &str, values: &'a Map<String, Json>) -> Result<Self, QueryError> {
        Ok(Self {
            tokens: tokens(text)?,
            at: 0,
            values,
            depth: 0,
            named: Vec::new(),
        })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is_keyword_at(&self, at: usize, keyword: &str) -> bool {
        matches!(self.tokens.get(at), Some(Token::Name(name)) if name.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        self.is_keyword_at(self.at, keyword)
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    /// Takes these keywords if all of them follow.
    pub(super) fn take_keywords(&mut self, keywords: &[&str]) -> bool {
        let mut pairs = keywords.iter().zip(self.at..);
        let found = pairs.all(|(keyword, at)| self.is_keyword_at(at, keyword));
        if found {
            self.at += keywords.len();
        }
        found
    }

    pub(super) fn expect_keyword(&mut self, keyword: &str) -> Result<(), QueryError> {
        if self.take_keyword(keyword) {
            Ok(())
        } else {
            Err(self.unexpected(&keyword.to_uppercase()))
        }
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol)
    }

    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<(), QueryError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(symbol))
        }
    }

    fn end(&self) -> Result<(), QueryError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("<EOF>")),
        }
    }

    pub(super) fn unexpected(&self, expected: &str) -> QueryError {
        let found = match self.peek() {
            None => "<EOF>",
            Some(Token::Name(text) | Token::QuotedName(text)) => text,
            Some(Token::Text(text) | Token::Number(text)) => text,
            Some(Token::Symbol(symbol)) => symbol,
        };
        QueryError::syntax(format!("mismatched input '{found}' expecting {expected}"))
    }

    /// A name that is not a keyword, unless it is quoted.
    pub(super) fn take_name(&mut self) -> Option<String> {
        let name = match self.peek()? {
            Token::QuotedName(name) => name.clone(),
            Token::Name(name) if !is_keyword(name) => name.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(name)
    }

    pub(super) fn alias(&mut self) -> Result<Option<String>, QueryError> {
        if self.take_keyword("as") {
            return match self.next() {
                Some(Token::Name(name) | Token::QuotedName(name)) => Ok(Some(name)),
                _ => Err(self.unexpected("identifier")),
            };
        }
        Ok(self.take_name())
    }

    /// The constant of `{name}`.
    pub(super) fn placeholder(&mut self) -> Result<Node, QueryError> {
        let name = match self.next() {
            Some(Token::Name(name) | Token::QuotedName(name)) => name,
            _ => return Err(self.unexpected("identifier")),
        };
        self.expect_symbol("}")?;
        let Some(value) = self.values.get(&name) else {
            let detail = format!("Global variable not found: {name}");
            return Err(QueryError::invalid(detail));
        };
        if has_object(value) {
            return Err(QueryError::Failure);
        }
        Ok(Node::Constant(value.clone()))
    }
}

fn has_object(value: &Json) -> bool {
    match value {
        Json::Object(_) => true,
        Json::Array(items) => items.iter().any(has_object),
        _ => false,
    }
}

pub(super) fn is_keyword(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    KEYWORDS.contains(&name.as_str())
}
