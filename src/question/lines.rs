//! Lines of a question: at most 70 characters each, and everything that the server did not write in quotes.

use crate::output::{quote, quote_list};

use super::Target;

/// Characters of a line.
pub(crate) const WIDTH: usize = 70;
/// Characters of a quoted text in the first four lines, and below them.
const MAX_SUMMARY_CHARS: usize = 40;
const MAX_DETAIL_CHARS: usize = 80;
/// Up to this number, a person has several lines; above, one.
const FEW: usize = 20;

/// "1 person", "2 persons".
pub(crate) fn persons(count: u64) -> String {
    match count {
        1 => "1 person".to_owned(),
        count => format!("{count} persons"),
    }
}

/// "1 distinct id", "2 distinct ids".
pub(crate) fn distinct_ids(count: usize) -> String {
    match count {
        1 => "1 distinct id".to_owned(),
        count => format!("{count} distinct ids"),
    }
}

/// "1 property", "2 properties".
pub(crate) fn properties(count: usize) -> String {
    match count {
        1 => "1 property".to_owned(),
        count => format!("{count} properties"),
    }
}

/// The second line: whom it is about.
pub(crate) fn names_line(targets: &[Target]) -> String {
    match targets {
        [one] => format!(
            "{}, {}",
            quote(&one.name, MAX_SUMMARY_CHARS),
            distinct_ids(one.distinct_id_count)
        ),
        several => {
            // No more than these fit into a line.
            let names: Vec<&str> = several
                .iter()
                .take(WIDTH / 4)
                .map(|one| &*one.name)
                .collect();
            quote_list(&names, several.len(), MAX_SUMMARY_CHARS, WIDTH)
        }
    }
}

/// The fourth line: where, and what cannot be taken back.
pub(crate) fn place_line(project: u64, host: &str) -> String {
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    let (before, after) = (
        format!("PostHog project {project} at "),
        ". This cannot be undone.",
    );
    let room = WIDTH.saturating_sub(before.chars().count() + after.len());
    let host = if host.chars().count() <= room {
        host.to_owned()
    } else {
        let kept: String = host.chars().take(room.saturating_sub(1)).collect();
        format!("{kept}…")
    };
    format!("{before}{host}{after}")
}

/// A sentence of the server in lines.
pub(crate) fn wrapped(sentence: &str) -> Vec<String> {
    wrapped_to(WIDTH, sentence)
}

fn wrapped_to(width: usize, sentence: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in sentence.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A line with one quoted text between what the server wrote.
pub(crate) fn quoted_line(before: &str, text: &str, after: &str) -> String {
    let room = WIDTH.saturating_sub(before.chars().count() + after.chars().count() + 2);
    format!("{before}{}{after}", quote(text, room.min(MAX_DETAIL_CHARS)))
}

/// A line with two quoted texts, of which the first has half of the room at most.
pub(crate) fn quoted_pair_line(before: &str, first: &str, between: &str, second: &str) -> String {
    let room = WIDTH.saturating_sub(before.chars().count() + between.chars().count() + 4);
    quoted_line(
        &format!("{before}{}{between}", quote(first, room / 2)),
        second,
        "",
    )
}

/// A line with a few quoted texts out of `total`, after what the server wrote.
pub(crate) fn list_line(before: &str, texts: &[String], total: usize) -> String {
    let room = WIDTH.saturating_sub(before.chars().count());
    format!(
        "{before}{}",
        quote_list(texts, total, MAX_DETAIL_CHARS, room)
    )
}

/// The ids of the call that belong to no person, in one line.
pub(crate) fn not_found_line(ids: &[String]) -> String {
    list_line(&format!("Ids of nobody ({}): ", ids.len()), ids, ids.len())
}

/// The list of the persons: some lines for each of a few, one for each of many.
pub(crate) fn target_lines(targets: &[Target]) -> Vec<String> {
    let few = targets.len() <= FEW;
    targets
        .iter()
        .flat_map(|target| if few { long(target) } else { short(target) })
        .collect()
}

/// The UUID first: it begins with nothing that a name could forge.
fn short(target: &Target) -> Vec<String> {
    let head = match target.distinct_id_count {
        1 => format!("- {}, ", target.uuid),
        count => format!("- {}, {count} ids, ", target.uuid),
    };
    let mut lines = vec![quoted_line(&head, &target.name, "")];
    lines.extend(notes(target));
    lines
}

fn long(target: &Target) -> Vec<String> {
    let mut lines = vec![
        format!("- {}", target.uuid),
        quoted_line("  ", &target.name, ""),
    ];
    if let Some(email) = target.email.as_ref().filter(|email| **email != target.name) {
        lines.push(quoted_line("  email ", email, ""));
    }
    lines.extend(ids_lines(target));
    let dates = [
        ("created", &target.created_at),
        ("last seen", &target.last_seen_at),
    ];
    let dates: Vec<String> = dates
        .iter()
        .filter_map(|(what, at)| Some(format!("{what} {}", day(at.as_ref()?)?)))
        .collect();
    if !dates.is_empty() {
        lines.push(format!("  {}", dates.join(", ")));
    }
    if !target.given.is_empty() {
        lines.push(list_line("  given as ", &target.given, target.given.len()));
    }
    lines.extend(notes(target));
    lines
}

/// The distinct ids in one line, or each in its own.
fn ids_lines(target: &Target) -> Vec<String> {
    let count = distinct_ids(target.distinct_id_count);
    let line = list_line(
        &format!("  {count}: "),
        &target.distinct_ids,
        target.distinct_id_count,
    );
    let hidden = target.distinct_id_count - target.distinct_ids.len();
    let fits = line.matches('"').count() == 2 * target.distinct_ids.len();
    if fits || target.distinct_ids.is_empty() {
        return vec![line];
    }
    let ids = target.distinct_ids.iter();
    let mut lines = vec![format!("  {count}:")];
    lines.extend(ids.map(|id| quoted_line("    ", id, "")));
    if hidden > 0 {
        lines.push(format!("    and {hidden} more"));
    }
    lines
}

fn notes(target: &Target) -> impl Iterator<Item = String> {
    let notes = target.notes.iter();
    notes.flat_map(|note| {
        wrapped_to(WIDTH - 2, &format!("NOTE: {note}"))
            .into_iter()
            .map(|line| format!("  {line}"))
    })
}

/// The day of a timestamp; nothing where it is none.
pub(crate) fn day(timestamp: &str) -> Option<&str> {
    let day = timestamp.get(..10)?;
    let digits = |(place, byte): (usize, u8)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    day.bytes().enumerate().all(digits).then_some(day)
}
