//! The tokens of a HogQL text.

use super::error::QueryError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a name.
    Name(String),
    /// A name in backticks or double quotes, which is never a keyword.
    QuotedName(String),
    Text(String),
    Number(String),
    Symbol(&'static str),
}

/// Longer ones come before their beginnings.
const SYMBOLS: [&str; 28] = [
    "->", "||", "??", "==", "!=", "<>", "<=", ">=", "=~", "!~", "(", ")", "[", "]", "{", "}", ",",
    ".", "+", "-", "*", "/", "%", "=", "<", ">", "?", ":",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = skip_blanks(rest)?;
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let (token, after) = match first {
            '\'' => {
                let (text, after) = quoted(rest, '\'')?;
                (Token::Text(text), after)
            }
            '`' | '"' => {
                let (name, after) = quoted(rest, first)?;
                (Token::QuotedName(name), after)
            }
            c if c.is_ascii_digit() => {
                let (number, after) = number(rest);
                (Token::Number(number.to_owned()), after)
            }
            c if is_name_start(c) => {
                let end = rest.find(|c: char| !is_name_start(c) && !c.is_ascii_digit());
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                (Token::Name(name.to_owned()), after)
            }
            other => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let Some(symbol) = symbol else {
                    return Err(QueryError::syntax(format!("extraneous input '{other}'")));
                };
                (
                    Token::Symbol(symbol),
                    rest.get(symbol.len()..).unwrap_or_default(),
                )
            }
        };
        tokens.push(token);
        rest = after;
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$'
}

/// Skips blanks and comments.
fn skip_blanks(mut rest: &str) -> Result<&str, QueryError> {
    loop {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let Some((_, after)) = comment.split_once("*/") else {
                return Err(QueryError::syntax("unterminated comment"));
            };
            rest = after;
        } else {
            return Ok(rest);
        }
    }
}

fn number(rest: &str) -> (&str, &str) {
    let mut end = 0;
    let mut previous = ' ';
    for c in rest.chars() {
        let in_exponent = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
        if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || in_exponent) {
            break;
        }
        end += c.len_utf8();
        previous = c;
    }
    rest.split_at(end)
}

/// The text up to the closing quote, and what follows it. A quote is escaped by a backslash or by another quote.
fn quoted(rest: &str, quote: char) -> Result<(String, &str), QueryError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            let Some((_, escaped)) = characters.next() else {
                break;
            };
            match escaped {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                '0' => text.push('\0'),
                '\\' | '\'' | '"' | '`' => text.push(escaped),
                other => text.extend(['\\', other]),
            }
        } else if c != quote {
            text.push(c);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            characters.next();
            text.push(quote);
        } else {
            let after = rest.get(at + quote.len_utf8()..).unwrap_or_default();
            return Ok((text, after));
        }
    }
    Err(QueryError::syntax("unterminated quote"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_skipped() {
        let tokens = tokens("a -- b\n /* c */ $d").unwrap();
        assert_eq!(
            tokens,
            [Token::Name("a".to_owned()), Token::Name("$d".to_owned())]
        );
    }

    #[test]
    fn quotes_are_unescaped() {
        let text = |written: &str| tokens(written).unwrap();
        assert_eq!(text(r"'it\'s'"), [Token::Text("it's".to_owned())]);
        assert_eq!(text("'it''s {x}'"), [Token::Text("it's {x}".to_owned())]);
        assert_eq!(text("`a b`"), [Token::QuotedName("a b".to_owned())]);
        assert!(tokens("'open").is_err());
        assert!(tokens("select 1;").is_err());
    }
}
