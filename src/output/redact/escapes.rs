//! Escapes, recognized by their last character: `%40`, `%u0040`, `\x40`, `\u0040`, `\u{40}`, `&#64;`, `&#x40;`, `&commat;`.
//!
//! Letters are in lower case already.

use html_escape::decode_html_entities;

use super::normal_form::Unit;

/// The longest name of an entity, and more than any other escape has characters.
const MAX_NAME: usize = 32;
/// Characters of a surrogate pair, the longest escape without a name.
const SURROGATE_PAIR: usize = 12;
/// Characters of the longest character reference without its semicolon, with leading zeros.
const MAX_REFERENCE: usize = 12;

/// What an escape stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    One(char),
    Several(String),
}

/// The escape that ends with the last character: its length and what it stands for. Also how many characters were looked at.
pub(super) fn decode_end(units: &[Unit]) -> (Option<(usize, Decoded)>, usize) {
    match char_at(units, 1) {
        Some('0'..='9' | 'a'..='f') => (hexadecimal(units), SURROGATE_PAIR),
        Some(';') => (entity(units), MAX_NAME),
        Some('}') => (braced(units), SURROGATE_PAIR),
        _ => (None, 0),
    }
}

/// Counted from the end, from 1.
fn char_at(units: &[Unit], back: usize) -> Option<char> {
    let index = units.len().checked_sub(back)?;
    units.get(index).map(|unit| unit.char)
}

/// Without the last characters.
fn without(units: &[Unit], count: usize) -> &[Unit] {
    units
        .get(..units.len().saturating_sub(count))
        .unwrap_or_default()
}

/// The last characters as a hexadecimal number.
fn number(units: &[Unit], digits: usize) -> Option<u32> {
    let from = units.len().checked_sub(digits)?;
    units.get(from..)?.iter().try_fold(0, |number: u32, unit| {
        Some(number.checked_mul(16)? + unit.char.to_digit(16)?)
    })
}

fn hexadecimal(units: &[Unit]) -> Option<(usize, Decoded)> {
    let decoded = |length, code| char::from_u32(code).map(|one| (length, Decoded::One(one)));
    if let Some(byte) = percent_byte(units) {
        return match byte {
            0..0x80 => decoded(3, u32::from(byte)),
            _ => percent_encoded_character(units),
        };
    }
    if char_at(units, 4) == Some('\\') && char_at(units, 3) == Some('x') {
        return decoded(4, number(units, 2)?);
    }
    match code_unit(units)? {
        low @ 0xdc00..0xe000 => {
            let high =
                code_unit(without(units, 6)).filter(|high| (0xd800..0xdc00).contains(high))?;
            decoded(
                SURROGATE_PAIR,
                0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00),
            )
        }
        code => decoded(6, code),
    }
}

/// `%40`.
fn percent_byte(units: &[Unit]) -> Option<u8> {
    (char_at(units, 3) == Some('%'))
        .then(|| number(units, 2))
        .flatten()
        .and_then(|byte| u8::try_from(byte).ok())
}

/// `%c3%a4`. Bytes that are no UTF-8 stay as they are.
fn percent_encoded_character(units: &[Unit]) -> Option<(usize, Decoded)> {
    let mut bytes = [0; 4];
    for count in 1..=bytes.len() {
        let byte = percent_byte(without(units, 3 * (count - 1)))?;
        let found = bytes.get_mut(4 - count..)?;
        *found.first_mut()? = byte;
        if byte >= 0xc0 {
            let character = std::str::from_utf8(found).ok()?.chars().next()?;
            return Some((3 * count, Decoded::One(character)));
        }
        if byte < 0x80 {
            return None;
        }
    }
    None
}

/// `\u0040` or `%u0040`.
fn code_unit(units: &[Unit]) -> Option<u32> {
    let escape = matches!(char_at(units, 6), Some('\\' | '%')) && char_at(units, 5) == Some('u');
    escape.then(|| number(units, 4)).flatten()
}

/// `\u{40}`.
fn braced(units: &[Unit]) -> Option<(usize, Decoded)> {
    let inside = without(units, 1);
    let digits = (1..=6).find(|digits| char_at(inside, digits + 1) == Some('{'))?;
    let opened =
        char_at(inside, digits + 2) == Some('u') && char_at(inside, digits + 3) == Some('\\');
    let code = opened.then(|| number(inside, digits)).flatten()?;
    char::from_u32(code).map(|one| (digits + 4, Decoded::One(one)))
}

/// `&commat;` or `&#64;`.
fn entity(units: &[Unit]) -> Option<(usize, Decoded)> {
    let before = without(units, 1);
    let name = before.iter().rev().take(MAX_NAME);
    let length = name.clone().position(|unit| unit.char == '&')?;
    let is_name = |unit: &Unit| unit.char.is_ascii_alphanumeric() || unit.char == '#';
    if !name.clone().take(length).all(is_name) {
        return None;
    }
    let escape = before.get(before.len() - length - 1..)?;
    let decoded = match escape.get(1)?.char {
        '#' => reference(escape)?,
        _ => named(escape)?,
    };
    Some((length + 2, decoded))
}

fn named(escape: &[Unit]) -> Option<Decoded> {
    let mut entity: String = escape.iter().map(|unit| unit.char).collect();
    // Those whose names have no spelling in lower case.
    let character = match entity.as_str() {
        "&newline" | "&tab" => ' ',
        "&hat" => '^',
        "&underbar" => '_',
        "&verticalline" => '|',
        "&diacriticalgrave" => '`',
        "&nonbreakingspace" => '\u{a0}',
        "&zerowidthspace" => '\u{200b}',
        _ => {
            entity.push(';');
            let decoded = decode_html_entities(&entity);
            return (*decoded != *entity).then(|| Decoded::Several(decoded.into_owned()));
        }
    };
    Some(Decoded::One(character))
}

/// A numeric character reference without its semicolon.
pub(super) fn reference(escape: &[Unit]) -> Option<Decoded> {
    let mut characters = escape.iter().map(|unit| unit.char);
    if escape.len() > MAX_REFERENCE
        || characters.next() != Some('&')
        || characters.next() != Some('#')
    {
        return None;
    }
    let digits: String = characters.collect();
    let code = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    char::from_u32(code.ok()?).map(Decoded::One)
}

/// Whether a numeric character reference goes on with this character.
pub(super) fn continues_reference(reference: &[Unit], next: Option<char>) -> bool {
    let hexadecimal = reference.get(2).is_some_and(|unit| unit.char == 'x');
    reference.len() <= MAX_REFERENCE
        && match next {
            None => false,
            Some(';') => true,
            Some('x') => reference.len() == 2,
            Some(next) if hexadecimal => next.is_ascii_hexdigit(),
            Some(next) => next.is_ascii_digit(),
        }
}
