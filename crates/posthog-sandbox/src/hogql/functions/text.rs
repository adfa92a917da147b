//! Functions on text.

use regex_lite::Regex;

use super::function::{
    ANY, Function, argument, aware, integer, refused, strict, text, text_to_flag, text_to_number,
    text_to_text, to_flag, to_text,
};
use crate::hogql::error::QueryError;
use crate::hogql::types::Type;
use crate::hogql::value::Value;
use crate::model::dates::Time;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("toString", (1, 1), to_text, |a| {
        Ok(Value::text(written(argument(a, 0))))
    }),
    strict("lower", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).to_ascii_lowercase()))
    }),
    strict("upper", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).to_ascii_uppercase()))
    }),
    strict("lowerUTF8", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).to_lowercase()))
    }),
    strict("upperUTF8", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).to_uppercase()))
    }),
    // Spaces only, and no other blanks.
    strict("trim", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).trim_matches(' ')))
    }),
    strict("trimLeft", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).trim_start_matches(' ')))
    }),
    strict("trimRight", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).trim_end_matches(' ')))
    }),
    strict("concat", (1, ANY), to_text, |a| {
        Ok(Value::text(a.iter().map(written).collect::<String>()))
    }),
    strict("length", (1, 1), lengths, |a| {
        Ok(match argument(a, 0) {
            Value::Array(items) | Value::Tuple(items) => Value::count(items.len()),
            _ => Value::count(text(a, 0).len()),
        })
    }),
    strict("lengthUTF8", (1, 1), text_to_number, |a| {
        Ok(Value::count(text(a, 0).chars().count()))
    }),
    strict("empty", (1, 1), to_flag, |a| Ok(Value::flag(is_empty(a)))),
    strict("notEmpty", (1, 1), to_flag, |a| {
        Ok(Value::flag(!is_empty(a)))
    }),
    strict("startsWith", (2, 2), text_to_flag, |a| {
        Ok(Value::flag(text(a, 0).starts_with(&text(a, 1))))
    }),
    strict("endsWith", (2, 2), text_to_flag, |a| {
        Ok(Value::flag(text(a, 0).ends_with(&text(a, 1))))
    }),
    strict("position", (2, 2), text_to_number, |a| {
        Ok(position(&text(a, 0), &text(a, 1)))
    }),
    strict("positionCaseInsensitive", (2, 2), text_to_number, |a| {
        let lower = |index| text(a, index).to_ascii_lowercase();
        Ok(position(&lower(0), &lower(1)))
    }),
    strict("like", (2, 2), text_to_flag, |a| {
        Ok(Value::flag(like(&text(a, 0), &text(a, 1), false)))
    }),
    strict("ilike", (2, 2), text_to_flag, |a| {
        Ok(Value::flag(like(&text(a, 0), &text(a, 1), true)))
    }),
    strict("match", (2, 2), text_to_flag, |a| {
        let regex = Regex::new(&text(a, 1)).map_err(|_| QueryError::Failure)?;
        Ok(Value::flag(regex.is_match(&text(a, 0))))
    }),
    strict("substring", (2, 3), starts_with_text, |a| {
        let written = text(a, 0);
        let start = usize::try_from(integer(a, 1).unwrap_or(1).max(1) - 1).unwrap_or(0);
        let count = integer(a, 2).map_or(usize::MAX, |count| {
            usize::try_from(count).unwrap_or_default()
        });
        let part = written.chars().skip(start).take(count);
        Ok(Value::text(part.collect::<String>()))
    }),
    strict("left", (2, 2), starts_with_text, |a| {
        let count = usize::try_from(integer(a, 1).unwrap_or(0)).unwrap_or_default();
        Ok(Value::text(
            text(a, 0).chars().take(count).collect::<String>(),
        ))
    }),
    strict("replaceAll", (3, 3), text_to_text, |a| {
        let from = text(a, 1);
        if from.is_empty() {
            return Ok(Value::text(text(a, 0)));
        }
        Ok(Value::text(text(a, 0).replace(&from, &text(a, 2))))
    }),
    strict("replaceRegexpAll", (3, 3), text_to_text, |a| {
        let regex = Regex::new(&text(a, 1)).map_err(|_| QueryError::Failure)?;
        let replacement = text(a, 2).replace('\\', "$");
        Ok(Value::text(
            regex.replace_all(&text(a, 0), replacement.as_str()),
        ))
    }),
    strict("splitByString", (2, 2), to_texts, |a| {
        Ok(split(&text(a, 0), &text(a, 1)))
    }),
    strict("splitByChar", (2, 2), to_texts, |a| {
        Ok(split(&text(a, 0), &text(a, 1)))
    }),
    aware("reverse", (1, 1), text_to_text, |a| {
        Ok(Value::text(text(a, 0).chars().rev().collect::<String>()))
    }),
];

fn lengths(types: &[Type]) -> Result<Type, QueryError> {
    match types.first().map(Type::plain) {
        Some(Type::Array(_) | Type::Tuple(_) | Type::String | Type::Nothing) => Ok(Type::UInt64),
        Some(other) => Err(refused(other)),
        None => Ok(Type::UInt64),
    }
}

fn starts_with_text(types: &[Type]) -> Result<Type, QueryError> {
    text_to_text(types.get(..1).unwrap_or_default())
}

fn to_texts(types: &[Type]) -> Result<Type, QueryError> {
    text_to_text(types).map(Type::array)
}

fn is_empty(arguments: &[Value]) -> bool {
    match argument(arguments, 0) {
        Value::Array(items) => items.is_empty(),
        _ => text(arguments, 0).is_empty(),
    }
}

/// In bytes from 1; 0 if it is not found.
fn position(text: &str, part: &str) -> Value {
    Value::count(text.find(part).map_or(0, |at| at + 1))
}

fn split(separator: &str, text: &str) -> Value {
    Value::Array(text.split(separator).map(Value::text).collect())
}

/// A value as `toString` writes it.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::Time(time) => time_text(*time),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Uuid(uuid) => uuid.to_string(),
        Value::Null | Value::Span(_) => String::new(),
        Value::Array(_) | Value::Tuple(_) => value.to_json().to_string().replace('"', "'"),
        text => text.as_text().unwrap_or_default().into_owned(),
    }
}

fn time_text(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

enum Part {
    Any,
    One,
    Letter(char),
}

/// LIKE: `%`, `_`, and a backslash before one of them or before another.
pub(in crate::hogql) fn like(text: &str, pattern: &str, ignore_case: bool) -> bool {
    let fold = |text: &str| {
        if ignore_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    };
    let mut parts = Vec::new();
    let pattern = fold(pattern);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Letter(letters.next().unwrap_or('\\')),
            other => Part::Letter(other),
        });
    }
    let text: Vec<char> = fold(text).chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(actual) = text.get(t) {
        match parts.get(p) {
            Some(Part::Any) => {
                p += 1;
                retry = Some((p, t));
            }
            Some(Part::One) => {
                p += 1;
                t += 1;
            }
            Some(Part::Letter(expected)) if expected == actual => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    p = after;
                    t = from + 1;
                    retry = Some((after, t));
                }
                None => return false,
            },
        }
    }
    let mut rest = parts.iter().skip(p);
    rest.all(|part| matches!(part, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn wildcards_are_live_unless_escaped() {
        assert!(like("ada@example.com", "%@EXAMPLE%", true));
        assert!(!like("ada@example.com", "%@EXAMPLE%", false));
        assert!(like("a_b", r"a\_b", false) && !like("axb", r"a\_b", false));
        assert!(like("100%", r"100\%", false) && !like("1000", r"100\%", false));
        assert!(like(r"a\b", r"a\\b", false));
        assert!(like("axb", "a_b", false) && like("", "%", false));
    }
}
