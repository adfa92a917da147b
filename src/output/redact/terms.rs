//! Texts of one person that are withheld wherever they occur, and the search for them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous;
use aho_corasick::{Anchored, MatchKind};
use serde_json::{Number, Value};

use super::normal_form::NormalForm;
use super::rules::REDACTED;
use super::spans::{self, MAX_TEXT_BYTES, TOO_LARGE};
use super::steps;
use super::texts::map_texts;

/// Shorter texts are redacted only where they are the whole text: within a longer one they would occur by chance. A
/// character of a script that writes a word with one or two counts twice.
const MIN_WEIGHT: usize = 3;

/// Longer texts are searched for in pieces of this number of characters. Every piece is redacted, also where the rest of
/// the text is missing.
const PIECE: usize = 48;

/// The size of all texts searched for at most.
pub(in crate::output) const MAX_TERM_BYTES: usize = 256 * 1024;

/// Texts that are withheld wherever they occur.
#[derive(Default)]
pub struct RedactedTerms(Terms);

#[derive(Default)]
enum Terms {
    #[default]
    None,
    Some(Box<Search>),
    /// Too many to search for: every text is withheld.
    TooMany,
}

struct Search {
    /// Finds every piece, in time that is linear in the text whatever the pieces are.
    pieces: contiguous::NFA,
    start: StateID,
    /// The number of characters of each piece.
    lengths: Vec<usize>,
    /// Texts that are redacted only as a whole.
    whole: HashSet<String>,
}

impl fmt::Debug for RedactedTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RedactedTerms")
    }
}

impl RedactedTerms {
    /// Withholds every text.
    pub(super) fn everything() -> Self {
        Self(Terms::TooMany)
    }

    pub(in crate::output) fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut pieces = HashSet::new();
        let mut whole = HashSet::new();
        let mut bytes = 0;
        for text in texts {
            let text = text.as_ref();
            bytes += text.len();
            if bytes > MAX_TERM_BYTES {
                return Self::everything();
            }
            let form = NormalForm::new(text);
            let literal = form.is_decoded().then(|| NormalForm::literal(text).text());
            for text in std::iter::once(form.text()).chain(literal) {
                let text = comparable(&text);
                if text.is_empty() {
                    continue;
                }
                if weight(&text) < MIN_WEIGHT {
                    whole.insert(text);
                } else {
                    pieces.extend(in_pieces(&text));
                }
            }
        }
        if pieces.is_empty() && whole.is_empty() {
            return Self::default();
        }
        let pieces: Vec<String> = pieces.into_iter().collect();
        let search = contiguous::NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(&pieces)
            .ok()
            .and_then(|automaton| {
                Some(Search {
                    start: automaton.start_state(Anchored::No).ok()?,
                    pieces: automaton,
                    lengths: pieces.iter().map(|piece| piece.chars().count()).collect(),
                    whole,
                })
            });
        Self(search.map_or(Terms::TooMany, |search| Terms::Some(Box::new(search))))
    }

    pub(in crate::output) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let search = match &self.0 {
            Terms::None => return Cow::Borrowed(text),
            Terms::Some(_) if text.len() > MAX_TEXT_BYTES => return Cow::Borrowed(TOO_LARGE),
            Terms::TooMany if !text.is_empty() && text != REDACTED => {
                return Cow::Borrowed(TOO_LARGE);
            }
            Terms::TooMany => return Cow::Borrowed(text),
            Terms::Some(search) => search,
        };
        let found = spans::find(text, |form, found| search.add_to(form, found));
        spans::replace(text, found, REDACTED)
    }

    /// Redacts these texts in a value, also where they are keys.
    pub(super) fn redact_value(&self, value: Value) -> Value {
        let number = |number: Number| match self.redact(&number.to_string()) {
            Cow::Borrowed(_) => number.into(),
            Cow::Owned(redacted) => redacted.into(),
        };
        map_texts(value, &|text| self.redact(text).into_owned(), &number)
    }
}

impl Search {
    fn add_to(&self, form: &NormalForm, found: &mut Vec<Range<usize>>) {
        let units = form.units();
        let mut state = self.start;
        let mut bytes = [0; 4];
        // Texts that contain each other all end in the same states: each state is asked once.
        let mut longest_in = HashMap::new();
        for (index, unit) in units.iter().enumerate() {
            let character = comparable_character(unit.char);
            steps::add(character.len_utf8());
            for byte in character.encode_utf8(&mut bytes).bytes() {
                state = self.pieces.next_state(Anchored::No, state, byte);
            }
            if self.pieces.is_match(state) {
                let longest = *longest_in
                    .entry(state)
                    .or_insert_with(|| self.longest_in(state));
                found.push(form.source(index + 1 - longest..index + 1));
            }
        }
        // Twice as many characters as any such text has, for surrounding spaces.
        if !self.whole.is_empty() && units.len() <= 4 * MIN_WEIGHT {
            let text = comparable(&form.text());
            if self.whole.contains(&text) {
                found.push(form.source(0..units.len()));
            }
        }
    }

    /// The number of characters of the longest piece that ends in a state.
    fn longest_in(&self, state: StateID) -> usize {
        let matches = 0..self.pieces.match_len(state);
        steps::add(matches.len());
        let lengths = matches.filter_map(|index| {
            let piece = self.pieces.match_pattern(state, index);
            self.lengths.get(piece.as_usize())
        });
        lengths.max().copied().unwrap_or_default()
    }
}

/// A plus sign stands for a space in a query string.
fn comparable_character(character: char) -> char {
    match character {
        '+' => ' ',
        other => other,
    }
}

fn comparable(text: &str) -> String {
    text.chars().map(comparable_character).collect()
}

fn weight(text: &str) -> usize {
    use unicode_normalization::UnicodeNormalization;
    text.nfc()
        .map(|character| match character {
            // Ideographs, kana and syllables.
            '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => 2,
            _ => 1,
        })
        .sum()
}

fn in_pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut pieces: Vec<String> = characters
        .chunks(PIECE)
        .filter(|piece| piece.len() == PIECE || characters.len() < PIECE)
        .map(|piece| piece.iter().collect())
        .collect();
    if characters.len() > PIECE && !characters.len().is_multiple_of(PIECE) {
        let rest = characters.iter().skip(characters.len() - PIECE);
        pieces.push(rest.collect());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::redact::steps;

    #[test]
    fn short_texts_are_redacted_only_as_a_whole() {
        for (term, text, shown) in [
            ("12", "12", REDACTED),
            ("12", " １2 ", REDACTED),
            ("12", "112", "112"),
            ("王", "王", REDACTED),
            ("王", "王伟", "王伟"),
            ("王伟", "您好王伟!", "您好[redacted]!"),
            ("김", "김철수", "김철수"),
            ("abc", "xABCx", "x[redacted]x"),
            ("", "", ""),
        ] {
            assert_eq!(
                RedactedTerms::new([term]).redact(text),
                shown,
                "{term} in {text}"
            );
        }
    }

    #[test]
    fn overlapping_texts_leave_nothing_between_them() {
        let terms = RedactedTerms::new(["Ada Lovelace", "Lovelace King", "king"]);
        assert_eq!(terms.redact("Ada Lovelace King!"), "[redacted]!");
        assert_eq!(terms.redact("Ada+LoveLace&#x20;King"), REDACTED);
        assert_eq!(terms.redact("[redacted] king"), "[redacted] [redacted]");
        let red = RedactedTerms::new(["red"]);
        assert_eq!(
            red.redact(&red.redact("redacted red")),
            "[redacted]acted [redacted]"
        );
    }

    #[test]
    fn long_texts_are_found_also_in_part() {
        let long: String = (0..30).map(|i| format!("part {i}, ")).collect();
        let terms = RedactedTerms::new([&long]);
        assert_eq!(terms.redact(&format!("a {long} b")), "a [redacted]  b");
        assert!(terms.redact(long.get(..100).unwrap()).starts_with(REDACTED));
    }

    /// Each of four thousand values occurs in the text, and each is a part of the next.
    #[test]
    fn work_is_linear_whatever_is_searched() {
        let similar: Vec<String> = (1..=600).map(|length| "a".repeat(length)).collect();
        let many: Vec<String> = (0..4000)
            .map(|i| format!("person{i:05}@example.com"))
            .collect();
        for (values, part) in [
            (similar, "a"),
            (many, "person00001@example.com%40 &amp; "),
            (vec!["abc".into()], "%25&\\"),
        ] {
            let size: usize = values.iter().map(String::len).sum();
            let mut counts = Vec::new();
            for length in [200_000, 400_000] {
                let text = part.repeat(length / part.len());
                let (_, steps) = steps::count(|| {
                    let terms = RedactedTerms::new(&values);
                    assert!(matches!(terms.0, Terms::Some(_)));
                    terms.redact(&text).len()
                });
                assert!(steps <= 120 * (size + length), "{steps} steps");
                counts.push(steps);
            }
            assert!(counts[1] <= 2 * counts[0], "{counts:?}");
        }
    }

    fn covered(text: &str, terms: &[String]) -> String {
        let mut shown = vec![true; text.len()];
        for term in terms {
            for at in 0..text.len() {
                if text
                    .get(at..)
                    .is_some_and(|rest| rest.starts_with(term.as_str()))
                {
                    shown[at..at + term.len()].fill(false);
                }
            }
        }
        text.bytes()
            .zip(shown)
            .map(|(byte, shown)| if shown { char::from(byte) } else { '#' })
            .collect()
    }

    proptest! {
        #[test]
        fn exactly_the_texts_are_redacted(
            terms in prop::collection::vec("[abc]{3,5}", 1..6), text in "[abc]{0,60}",
        ) {
            let expected = covered(&text, &terms);
            let shown = RedactedTerms::new(&terms).redact(&text).replace(REDACTED, "#");
            let mut joined = expected;
            while joined.contains("##") {
                joined = joined.replace("##", "#");
            }
            prop_assert_eq!(shown, joined);
        }

        /// In any spelling, within any text.
        #[test]
        fn nothing_of_a_text_remains(
            term in "[a-zäß@. /&%\\\\0-9]{4,12}", encodings in prop::collection::vec(0..4_u8, 0..4), before in "[a-z%&;]{0,8}",
        ) {
            let form = NormalForm::new(&term);
            prop_assume!(weight(&comparable(&form.text())) >= MIN_WEIGHT);
            let encoded = encodings.iter().fold(term.clone(), |text, encoding| match encoding {
                0 => text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
                1 => text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
                2 => text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
                _ => text.to_uppercase(),
            });
            let terms = RedactedTerms::new([&term]);
            let text = format!("{before} {encoded} after");
            let shown = terms.redact(&text).replace(REDACTED, "#");
            for form in [NormalForm::new(&shown), NormalForm::literal(&shown)] {
                prop_assert!(!form.text().contains(&NormalForm::new(&term).text()), "{shown}");
            }
            prop_assert!(shown.starts_with(&format!("{before} ")) && shown.ends_with(" after"), "{shown}");
        }
    }
}
