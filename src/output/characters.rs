//! Characters that a model reads and a reader does not see.
//!
//! Invariant: knows text, and nothing of where it comes from.

use std::borrow::Cow;

/// Removes characters that a reader does not see and a model reads: control, bidirectional, zero-width and tag characters.
///
/// Line breaks and tabs become spaces, so that no value can begin a line or a table cell.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    filtered(text, false)
}

/// As [`sanitize`], but line breaks stay: for text of several lines.
#[must_use]
pub(super) fn sanitize_lines(text: &str) -> Cow<'_, str> {
    filtered(text, true)
}

fn filtered(text: &str, keep_lines: bool) -> Cow<'_, str> {
    let replacement = |character: char| match character {
        '\n' if keep_lines => Some('\n'),
        '\r' if keep_lines => None,
        other => visible(other),
    };
    // Most text is printable ASCII, which is not copied.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        || text
            .chars()
            .all(|character| replacement(character) == Some(character))
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter_map(replacement).collect())
}

/// What stands for a character: itself, a space for a line break, or nothing.
pub(super) fn visible(character: char) -> Option<char> {
    match character {
        '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        other if is_invisible(other) => None,
        other => Some(other),
    }
}

/// Characters without a visible shape that change how the rest is read.
pub(super) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Soft hyphen, combining joiner, Arabic letter mark, Mongolian separators.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}'
            // Fillers that show as nothing.
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
            // Zero-width, bidirectional marks, embeddings, isolates; invisible operators.
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Variation selectors, the byte order mark, interlinear annotation.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            // Hieroglyph joiners and blanks, a filler, shorthand and musical formatting, a note that is not drawn.
            | '\u{13430}'..='\u{13442}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}'
            // Tags and the other selectors: a whole hidden alphabet.
            | '\u{e0000}'..='\u{e0fff}')
        || is_noncharacter(character)
}

/// Code points that will never be characters: two at the end of each plane, and 32 more.
fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_removed_and_breaks_become_spaces() {
        let hidden = "a\u{200b}b\u{202e}c\u{e0041}d\u{0}e\u{feff}f\u{2066}g\u{ad}h\u{fe0f}i";
        assert_eq!(sanitize(hidden), "abcdefghi");
        assert_eq!(
            sanitize("one\r\ntwo\tthree\u{2028}four"),
            "one  two three four"
        );
        assert_eq!(sanitize_lines("one\r\ntwo"), "one\ntwo");
        assert!(matches!(sanitize("größe 😀"), Cow::Borrowed(_)));
    }
}
