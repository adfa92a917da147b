//! Quoting: text of strangers inside text that a reader trusts.
//!
//! A quoted text begins and ends with the only two `"` that a reader can see in it. There is no escape character.

use super::characters::sanitize;

/// Puts text between quotes that it cannot close, on one line, with at most `max_chars` characters between them.
#[must_use]
pub fn quote(text: &str, max_chars: usize) -> String {
    let mut safe = String::with_capacity(text.len());
    // A run of blanks could push what follows out of sight.
    for word in sanitize(text).split_whitespace() {
        if !safe.is_empty() {
            safe.push(' ');
        }
        for character in word.chars().map(harmless) {
            // Two apostrophes look like a quote.
            if character != '\'' || !safe.ends_with('\'') {
                safe.push(character);
            }
        }
    }
    let mut shown = String::with_capacity(safe.len() + 2);
    shown.push('"');
    // A combining mark would change the look of the quote before it.
    let first = safe.chars().next();
    if first.is_some_and(|first| !first.is_ascii() && !first.is_alphanumeric()) {
        safe.insert(0, '\u{25cc}');
    }
    match safe.char_indices().nth(max_chars) {
        None => shown.push_str(&safe),
        Some(_) => {
            shown.extend(safe.chars().take(max_chars.saturating_sub(1)));
            shown.push('…');
        }
    }
    // To some readers a backslash protects the quote after it.
    if shown.ends_with('\\') {
        shown.pop();
        shown.push('…');
    }
    shown.push('"');
    shown
}

/// The first of these texts, quoted, as many as fit into `width` characters, and the number of the others.
///
/// `total` is the number of all, of which `texts` may be the first few. The first text is truncated where it alone does
/// not fit.
#[must_use]
pub fn quote_list<T: AsRef<str>>(
    texts: &[T],
    total: usize,
    max_chars: usize,
    width: usize,
) -> String {
    let more = |shown: usize| match total.saturating_sub(shown) {
        0 => String::new(),
        rest if shown == 0 => rest.to_string(),
        rest => format!(" and {rest} more"),
    };
    let mut list = String::new();
    let mut shown = 0;
    for text in texts {
        let room = match shown {
            0 => max_chars.min(width.saturating_sub(more(1).chars().count() + 2)),
            _ => max_chars,
        };
        let next = match shown {
            0 => quote(text.as_ref(), room),
            _ => format!("{list}, {}", quote(text.as_ref(), room)),
        };
        if shown > 0 && next.chars().count() + more(shown + 1).chars().count() > width {
            break;
        }
        list = next;
        shown += 1;
    }
    list + &more(shown)
}

/// Quotes of all kinds become apostrophes; what Markdown and HTML make invisible loses its meaning.
fn harmless(character: char) -> char {
    match character {
        '"'
        | '«'
        | '»'
        | '‹'
        | '›'
        | '\u{2018}'..='\u{201f}'
        | '\u{2032}'..='\u{2037}'
        | '\u{2057}'
        | '\u{275b}'..='\u{2760}'
        | '\u{301d}'..='\u{301f}'
        | '\u{3003}'
        | '\u{ff02}'
        | '\u{ff07}'
        | '`'
        | '´'
        | '\u{02b9}'..='\u{02bf}'
        | '\u{02c8}'
        | '\u{02ca}'
        | '\u{02cb}'
        | '\u{02dd}'
        | '\u{02ee}'
        | '\u{02f4}'
        | '\u{02f5}'
        | '\u{02f6}'
        | '\u{05f3}'
        | '\u{05f4}'
        | '\u{1fef}'
        | '\u{1fbd}'
        | '\u{1fbf}'
        | '\u{1ffd}'
        | '\u{1ffe}'
        | '\u{ff40}'
        | '\u{1f676}'..='\u{1f678}' => '\'',
        '<' | '＜' => '(',
        '>' | '＞' => ')',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_become_apostrophes() {
        for (text, quoted) in [
            ("Ada \"the\" Countess", "\"Ada 'the' Countess\""),
            ("„so“ ‘so’ ＂so＂ «so»", "\"'so' 'so' 'so' 'so'\""),
            ("''", "\"'\""),
            ("a\u{a0}\u{3000}\n b", "\"a b\""),
            ("ends with \\", "\"ends with …\""),
            ("\u{338}x", "\"\u{25cc}\u{338}x\""),
            ("<!-- x", "\"(!-- x\""),
            ("", "\"\""),
        ] {
            assert_eq!(quote(text, 60), quoted);
        }
        assert_eq!(quote("abcdef", 3), "\"ab…\"");
        assert_eq!(quote("abc", 3), "\"abc\"");
    }

    #[test]
    fn a_list_names_what_fits_and_counts_the_rest() {
        let names = ["ada@example.com", "grace@example.com", "hedy@example.com"];
        let list = |total, width| quote_list(&names, total, 40, width);
        assert_eq!(
            list(3, 70),
            r#""ada@example.com", "grace@example.com", "hedy@example.com""#
        );
        assert_eq!(
            list(30, 50),
            r#""ada@example.com", "grace@example.com" and 28 more"#
        );
        assert_eq!(list(30, 20), r#""ada@e…" and 29 more"#);
        assert_eq!(quote_list::<&str>(&[], 3, 40, 70), "3");
    }

    proptest::proptest! {
        /// Whatever the text is, it stays between the first and the last character of what is shown.
        #[test]
        fn no_text_closes_its_quotes(text in hostile_text(), max in 1_usize..100) {
            let shown = quote(&text, max);
            proptest::prop_assert_eq!(shown.matches('"').count(), 2, "{}", shown);
            proptest::prop_assert!(shown.starts_with('"') && shown.ends_with('"'));
            proptest::prop_assert!(!shown.ends_with("\\\""));
            proptest::prop_assert!(shown.chars().count() <= max + 2, "{}", shown);
            proptest::prop_assert!(!shown.contains("''") && !shown.contains("  "));
            let forbidden = ['`', '<', '>', '\n', '\u{a0}', '\u{3000}', '“', '”'];
            proptest::prop_assert!(!shown.contains(forbidden), "{}", shown);
            proptest::prop_assert!(!shown.chars().any(char::is_control));
        }

        #[test]
        fn a_list_stays_within_its_width(texts in proptest::collection::vec(hostile_text(), 0..5), more in 0_usize..1000, width in 40_usize..80) {
            let shown = quote_list(&texts, texts.len() + more, 40, width);
            proptest::prop_assert!(shown.chars().count() <= width, "{}", shown);
            proptest::prop_assert_eq!(shown.matches('"').count() % 2, 0);
        }
    }

    /// Blanks, quotes, combining marks, Markdown, up to 400 characters.
    fn hostile_text() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let character = prop_oneof![
            any::<char>(),
            proptest::sample::select(
                "\" '`\\“”„‟«»‘’＂〝〞״ʺ˝\u{a0}\u{3000}\u{2003}\u{200b}\u{202e}\u{338}\u{20e0}\u{301}<>[](){}*_~#|-\n\r\t\u{2028}"
                    .chars()
                    .collect::<Vec<char>>()
            ),
        ];
        proptest::collection::vec(character, 0..400)
            .prop_map(|characters| characters.into_iter().collect())
    }
}
