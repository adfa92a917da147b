//! E-mail addresses in texts of any kind.
//!
//! Wider than the standard: text that looks like an address may be masked by mistake, an address never remains in part.

use std::borrow::Cow;
use std::ops::Range;

use super::normal_form::{NormalForm, Unit};
use super::rules::EMAIL;
use super::spans::{self, MAX_TEXT_BYTES, TOO_LARGE};

/// Without one of these, a text contains no address: an at sign, or an escape for one, in any width.
const NEEDED: [char; 12] = [
    '@', '＠', '﹫', '%', '％', '﹪', '&', '＆', '﹠', '\\', '＼', '﹨',
];

/// Replaces every e-mail address.
pub(super) fn mask(text: &str) -> Cow<'_, str> {
    if !text.contains(NEEDED) {
        return Cow::Borrowed(text);
    }
    if text.len() > MAX_TEXT_BYTES {
        return Cow::Borrowed(TOO_LARGE);
    }
    let found = spans::find(text, |form, found| add_addresses(form, text, found));
    spans::replace(text, found, EMAIL)
}

fn add_addresses(form: &NormalForm, text: &str, found: &mut Vec<Range<usize>>) {
    let units = form.units();
    for (at, unit) in units.iter().enumerate() {
        if unit.char != '@' {
            continue;
        }
        let start = start_of_local_part(form, text, at);
        let end = end_of_domain(units, at + 1);
        if start < at && end > at + 1 {
            found.push(form.source(start..end));
        }
    }
}

fn start_of_local_part(form: &NormalForm, text: &str, at: usize) -> usize {
    let before = form.units().get(..at).unwrap_or_default();
    if let Some((quote, quoted)) = before.split_last()
        && quote.char == '"'
        && let Some(opened) = quoted.iter().rposition(|unit| unit.char == '"')
    {
        return opened;
    }
    let length = before
        .iter()
        .rev()
        .take_while(|unit| is_local(unit.char))
        .count();
    let (before, local) = before.split_at(at - length);
    let is_url = before.last().is_some_and(|unit| unit.char == ':')
        && local.iter().take(2).filter(|unit| unit.char == '/').count() == 2;
    if !is_url {
        return at - length;
    }
    let sign = form.source(at..at + 1);
    let is_percent_encoded = text
        .get(sign)
        .is_some_and(|sign| sign.starts_with(['%', '％']));
    let level = form.units().get(at).map_or(0, |unit| unit.level);
    let part_of_url = is_percent_encoded
        .then(|| encoded_in_url(local, level))
        .flatten()
        .unwrap_or_else(|| plain_in_url(local));
    at - length + part_of_url
}

/// How much of this belongs to a URL and not to the address that is encoded in it: what is encoded less deeply than the at
/// sign, up to the last delimiter.
fn encoded_in_url(local: &[Unit], level: u8) -> Option<usize> {
    let delimits =
        |unit: &Unit, delimiters: &[char]| unit.level < level && delimiters.contains(&unit.char);
    let start = 1 + local
        .iter()
        .rposition(|unit| delimits(unit, &['/', '?', '&', '#']))?;
    let mut value = local.iter().skip(start);
    let equals = value.position(|unit| delimits(unit, &['=']));
    Some(start + equals.map_or(0, |equals| equals + 1))
}

/// The same where the address is not encoded, so that it can contain any delimiter: the host, or all up to the first value.
fn plain_in_url(local: &[Unit]) -> usize {
    let position = |character: char| {
        let mut after = local.iter().skip(2);
        after.position(|unit| unit.char == character)
    };
    position('=')
        .or_else(|| position('/'))
        .map_or(2, |found| 2 + found + 1)
}

fn end_of_domain(units: &[Unit], start: usize) -> usize {
    let domain = units.get(start..).unwrap_or_default();
    let literal = domain
        .first()
        .filter(|unit| unit.char == '[')
        .and_then(|_| {
            let mut inside = domain
                .iter()
                .take_while(|unit| !matches!(unit.char, ' ' | '@'));
            inside.position(|unit| unit.char == ']')
        });
    let length = literal.map_or_else(
        || {
            domain
                .iter()
                .take_while(|unit| is_domain(unit.char))
                .count()
        },
        |end| end + 1,
    );
    start + length
}

fn is_local(character: char) -> bool {
    !matches!(
        character,
        ' ' | '@' | '"' | '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '\\'
    )
}

fn is_domain(character: char) -> bool {
    is_local(character)
        && !matches!(
            character,
            '\'' | '=' | '&' | '?' | '/' | '|' | '{' | '}' | '#' | '!' | '*'
        )
}
