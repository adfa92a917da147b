//! Parts of a text that are replaced.

use std::borrow::Cow;
use std::ops::Range;

use super::normal_form::{NormalForm, UNDECODED};
use super::rules::{EMAIL, REDACTED};

/// The size of a text that is searched at most.
pub(super) const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Replaces a text that is too large to be searched, or is searched for too much.
pub(super) const TOO_LARGE: &str = "[redacted: too large to be searched]";

/// Finds parts of a text by its normal form, also by the literal one where they differ, and what could not be decoded.
pub(super) fn find(
    text: &str,
    search: impl Fn(&NormalForm, &mut Vec<Range<usize>>),
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let form = NormalForm::new(text);
    search(&form, &mut found);
    add_undecoded(&form, &mut found);
    if form.is_decoded() {
        search(&NormalForm::literal(text), &mut found);
    }
    found
}

/// Words in which something is still encoded.
fn add_undecoded(form: &NormalForm, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    for word in form.units().split(|unit| unit.char == ' ') {
        if word.iter().any(|unit| unit.char == UNDECODED) {
            found.push(form.source(from..from + word.len()));
        }
        from += word.len() + 1;
    }
}

/// Replaces parts of a text. What an earlier replacement wrote stays.
pub(super) fn replace<'a>(text: &'a str, mut parts: Vec<Range<usize>>, by: &str) -> Cow<'a, str> {
    if parts.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut earlier: Vec<Range<usize>> = [REDACTED, EMAIL]
        .into_iter()
        .flat_map(|marker| text.match_indices(marker))
        .map(|(start, marker)| start..start + marker.len())
        .collect();
    earlier.sort_unstable_by_key(|marker| marker.start);
    parts.retain(|part| {
        let before = earlier.partition_point(|marker| marker.start <= part.start);
        let marker = before.checked_sub(1).and_then(|index| earlier.get(index));
        marker.is_none_or(|marker| part.end > marker.end)
    });
    parts.sort_unstable_by_key(|part| part.start);
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for part in parts {
        if part.start > end || (part.start == end && !shown.ends_with(by)) {
            shown.push_str(text.get(end..part.start).unwrap_or_default());
            shown.push_str(by);
        }
        end = end.max(part.end);
    }
    shown.push_str(text.get(end..).unwrap_or_default());
    Cow::Owned(shown)
}
