//! The normal form in which redaction compares texts: spellings that a reader takes for the same text are equal in it.
//!
//! Hidden characters, accents and letter case are removed, compatibility characters decomposed (the equivalence of NFKC),
//! spaces joined, and percent, entity and backslash escapes decoded, also where one is inside another. Each character
//! remembers which part of the text it stands for.
//!
//! One pass: an escape is decoded when its last character arrives, by looking back over a bounded number of characters. A
//! few more where another escape interrupted a character reference.

use std::ops::Range;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

use super::escapes::{self, Decoded};
use super::steps;
use crate::output::characters::visible;

/// Escapes inside escapes are decoded to this depth.
const MAX_LEVELS: u8 = 4;

/// Stands for what is still encoded then. A noncharacter: no text should contain it.
pub(super) const UNDECODED: char = '\u{ffff}';

/// A character of the normal form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) char: char,
    /// In how many escapes it was.
    pub(super) level: u8,
    start: u32,
    end: u32,
}

/// A text in normal form.
#[derive(Debug)]
pub(super) struct NormalForm {
    units: Vec<Unit>,
    decodes: bool,
    decoded: bool,
    /// Where a character reference began that may end without a semicolon.
    numeric: Option<usize>,
    /// Whether such a reference was none, as far as it went.
    interrupted: bool,
}

impl NormalForm {
    /// The normal form of a text.
    pub(super) fn new(text: &str) -> Self {
        Self::of(text, true)
    }

    /// The same without decoding escapes: decoding can hide a text that only looks like a part of one.
    pub(super) fn literal(text: &str) -> Self {
        Self::of(text, false)
    }

    fn of(text: &str, decodes: bool) -> Self {
        let mut form = Self {
            units: Vec::with_capacity(text.len()),
            decodes,
            decoded: false,
            numeric: None,
            interrupted: false,
        };
        for (start, character) in text.char_indices() {
            let end = start + character.len_utf8();
            form.fold(character, 0, offset(start)..offset(end));
        }
        form.end();
        let mut decoded = form.decoded;
        for _ in 0..MAX_LEVELS {
            if !(form.decoded && form.interrupted) {
                break;
            }
            form.read_again();
            decoded |= form.decoded;
        }
        form.decoded = decoded;
        form.order_marks();
        form
    }

    fn end(&mut self) {
        if let Some((from, decoded)) = self.unterminated(None) {
            self.replace(from, decoded);
        }
    }

    /// Reads what was read again: what followed a reference that seemed to be none was an escape, and can be its rest.
    fn read_again(&mut self) {
        (self.decoded, self.interrupted) = (false, false);
        for unit in std::mem::take(&mut self.units) {
            self.append(unit.char, unit.level, unit.start..unit.end);
        }
        self.end();
    }

    pub(super) fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Whether an escape was decoded, so that the literal form differs.
    pub(super) fn is_decoded(&self) -> bool {
        self.decoded
    }

    /// The normal form as text, without surrounding spaces.
    pub(super) fn text(&self) -> String {
        let text: String = self.units.iter().map(|unit| unit.char).collect();
        text.trim().to_owned()
    }

    /// The part of the text that these characters stand for.
    pub(super) fn source(&self, units: Range<usize>) -> Range<usize> {
        let units = self.units.get(units).unwrap_or_default();
        match (units.first(), units.last()) {
            (Some(first), Some(last)) => first.start as usize..last.end as usize,
            _ => 0..0,
        }
    }

    /// Appends what a character folds to.
    fn fold(&mut self, character: char, level: u8, source: Range<u32>) {
        if character.is_ascii_graphic() {
            self.append(character.to_ascii_lowercase(), level, source);
            return;
        }
        if character == UNDECODED {
            self.append(character, level, source);
            return;
        }
        let Some(character) = visible(character) else {
            return;
        };
        let mut append = |character: char| {
            if character.is_whitespace() {
                self.append(' ', level, source.clone());
            } else if !is_accent(character) {
                self.append(character, level, source.clone());
            }
        };
        // Upper case in between folds what lower case alone does not: ß and ẞ, ſ, the final sigma, the dotless i.
        decompose_compatible(character, |part| {
            let lower = part.to_lowercase();
            let folded = lower.flat_map(char::to_uppercase);
            for part in folded.flat_map(char::to_lowercase) {
                decompose_compatible(part, &mut append);
            }
        });
    }

    /// Appends a folded character, and decodes the escape that it completes.
    fn append(&mut self, character: char, level: u8, source: Range<u32>) {
        steps::add(1);
        if let Some((from, decoded)) = self.unterminated(Some(character)) {
            self.replace(from, decoded);
        }
        if let Some(last) = self.units.last_mut() {
            if character == ' ' && last.char == ' ' {
                last.end = source.end;
                return;
            }
            if self.decodes
                && last.char == '\\'
                && let Some(escaped) = escaped_by_backslash(character)
            {
                let (level, start) = (level.max(last.level), last.start);
                self.units.pop();
                self.decoded = true;
                self.append(escaped, level, start..source.end);
                return;
            }
        }
        self.units.push(Unit {
            char: character,
            level,
            start: source.start,
            end: source.end,
        });
        if !self.decodes {
            return;
        }
        if character == '#' && self.looking_back(2).next() == Some('&') {
            self.numeric = Some(self.units.len() - 2);
        }
        let (decoded, looked_at) = escapes::decode_end(&self.units);
        steps::add(looked_at);
        if let Some((length, decoded)) = decoded {
            self.replace(self.units.len() - length, decoded);
        }
    }

    /// The last characters.
    fn looking_back(&self, count: usize) -> impl Iterator<Item = char> {
        let from = self.units.len().saturating_sub(count);
        self.units.iter().skip(from).map(|unit| unit.char)
    }

    /// A numeric character reference at the end that is complete although no semicolon follows, but this character.
    fn unterminated(&mut self, next: Option<char>) -> Option<(usize, Decoded)> {
        let from = self.numeric?;
        let reference = self.units.get(from..).unwrap_or_default();
        steps::add(1);
        if escapes::continues_reference(reference, next) {
            return None;
        }
        self.numeric = None;
        let decoded = escapes::reference(reference);
        self.interrupted |= decoded.is_none();
        Some((from, decoded?))
    }

    /// Replaces the characters from here on by what they are an escape for.
    fn replace(&mut self, from: usize, decoded: Decoded) {
        let escape = self.units.split_off(from);
        let (Some(first), Some(last)) = (escape.first(), escape.last()) else {
            return;
        };
        let level = escape
            .iter()
            .map(|unit| unit.level)
            .max()
            .unwrap_or_default()
            + 1;
        let source = first.start..last.end;
        self.decoded = true;
        if level > MAX_LEVELS {
            self.append(UNDECODED, 0, source);
            return;
        }
        match decoded {
            Decoded::One(character) => self.fold(character, level, source),
            Decoded::Several(text) => {
                for character in text.chars() {
                    self.fold(character, level, source.clone());
                }
            }
        }
    }

    /// Puts combining marks into their canonical order.
    fn order_marks(&mut self) {
        let class = |unit: &Unit| match unit.char {
            '\0'..='\u{2ff}' => 0,
            other => canonical_combining_class(other),
        };
        for marks in self
            .units
            .chunk_by_mut(|one, next| (class(one) == 0) == (class(next) == 0))
        {
            if marks.len() < 2 || marks.first().is_none_or(|first| class(first) == 0) {
                continue;
            }
            let start = marks.first().map_or(0, |unit| unit.start);
            let end = marks.last().map_or(0, |unit| unit.end);
            marks.sort_by_key(class);
            // In their new order, the parts that they stand for would be in disorder.
            for mark in marks {
                (mark.start, mark.end) = (start, end);
            }
        }
    }
}

/// Texts are limited to far less than 4 GB.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// What JSON writes as a backslash and this character. Each level of quoting doubles the backslashes.
fn escaped_by_backslash(character: char) -> Option<char> {
    match character {
        '\\' | '/' | '"' | '\'' => Some(character),
        'n' | 'r' | 't' => Some(' '),
        _ => None,
    }
}

/// Accents that any letter can have; the marks of scripts that need them stay.
fn is_accent(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        NormalForm::new(text).text()
    }

    #[test]
    fn spellings_of_a_text_are_equal() {
        for (text, spellings) in [
            (
                "@",
                "@ ＠ ﹫ %40 %2540 %25252540 &#64; &#064; &#x40; &#X40; &commat; &amp;commat; &#38;#64; \\u0040 \\\\u0040 \\x40 \\u{40} %u0040 %EF%BC%A0 ％４０ %\u{200b}40 &#%36%34; &#%36%34 &#%0064 &\u{ad}commat;",
            ),
            (
                "größe",
                "GRÖSSE GRÖẞE gro\u{308}ße gr%C3%B6sse gr&ouml;&szlig;e gr&Ouml;&SZLIG;e gr\\u00f6\\u00dfe gröſſe",
            ),
            (
                "istanbul",
                "İSTANBUL ISTANBUL ıstanbul i\u{307}stanbul %C4%B0stanbul",
            ),
            ("kelvin", "\u{212a}ELVIN &#8490;elvin \\u212aelvin"),
            (
                "ada lovelace",
                "Ada\u{a0}Lovelace ada\u{3000}lovelace ada%20lovelace ada&nbsp;lovelace ada\\nlovelace ada%0alovelace",
            ),
            ("김철수", "\u{1100}\u{1175}\u{11b7}철수 %EA%B9%80철수"),
            ("😀", "\\ud83d\\ude00 %F0%9F%98%80 &#128512; %uD83D%uDE00"),
            ("a\"b", "a\\\"b a\\\\\\\"b a&quot;b"),
        ] {
            for spelling in spellings.split(' ') {
                // The no-break spaces and the encoded ones stay.
                assert_eq!(normal(spelling), normal(text), "{spelling}");
            }
        }
    }

    #[test]
    fn what_only_looks_like_an_escape_stays() {
        for text in [
            "100%",
            "%4",
            "%zz",
            "%c3",
            "%e4t",
            "%ad",
            "&nosuch;",
            "&#;",
            "&#x;",
            "&#xd800;",
            "\\u004",
            "\\u{}",
            "\\ud83d",
            "a;b",
            "&a b;",
            "c:\\users",
            "&&&;;;",
            "&#1114112;",
        ] {
            assert_eq!(normal(text), text);
        }
    }

    #[test]
    fn what_is_encoded_too_deeply_is_marked() {
        let encoded = |levels: usize| format!("%{}40", "25".repeat(levels - 1));
        assert_eq!(normal(&encoded(4)), "@");
        assert!(normal(&encoded(5)).contains(UNDECODED));
        assert!(normal(&encoded(500)).contains(UNDECODED));
        assert!(normal("\u{ffff}").contains(UNDECODED));
    }

    #[test]
    fn every_character_has_one_normal_form_in_either_case() {
        for character in ('\u{80}'..='\u{2ffff}').filter(|c| *c != 'ŉ') {
            let folded = normal(&character.to_string());
            assert_eq!(normal(&folded), folded, "{character:?}");
            assert!(folded.len() <= 40, "{character:?}");
            for other in [
                character.to_lowercase().to_string(),
                character.to_uppercase().to_string(),
            ] {
                assert_eq!(normal(&other), folded, "{character:?} {other:?}");
            }
        }
    }

    /// Text of which every part can be a part of an escape, or be folded.
    fn hostile() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "%", "2", "5", "25", "4", "0", "40", "%25", "%40", "&", "#", "x", "6", "4", ";", "amp",
            "&amp;", "&#3", "8;", "commat;", "\\", "u", "0", "00", "0040", "{", "}", "d83d",
            "de00", "c3", "a4", "%c3", "e", "E", "n", " ", "\"", "/", "é", "ẞ", "İ", "\u{212a}",
            "\u{301}", "\u{5b0}", "\u{5bc}", "\u{200b}", "\u{ad}", "％", "＆", "＼", "\u{a0}",
            "김", "\u{ffff}", "\u{fdfa}", "a", "&#", "%00", "&#xd800",
        ]);
        prop::collection::vec(parts, 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn it_is_a_fixed_point(text in prop_oneof![hostile(), any::<String>()]) {
            let once = normal(&text);
            prop_assert_eq!(normal(&once), once);
        }

        #[test]
        fn work_and_size_are_linear(text in prop_oneof![hostile(), any::<String>()], times in 1..50_usize) {
            let text = text.repeat(times);
            let (form, steps) = steps::count(|| NormalForm::new(&text));
            prop_assert!(steps <= 60 * (text.len() + 1), "{steps} for {}", text.len());
            prop_assert!(form.text().len() <= 12 * text.len());
        }

        #[test]
        fn every_character_knows_where_it_is_from(text in hostile()) {
            for form in [NormalForm::new(&text), NormalForm::literal(&text)] {
                let mut before = 0;
                for index in 0..form.units().len() {
                    let source = form.source(index..index + 1);
                    prop_assert!(text.get(source.clone()).is_some(), "{source:?}");
                    prop_assert!(source.start >= before);
                    before = source.start;
                }
            }
        }
    }
}
