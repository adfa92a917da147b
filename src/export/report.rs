//! `report.md`: what is known about a person, for that person to read.

use std::fmt::Write;

use serde_json::Value;

use super::event_summary::EventSummary;
use super::manifest::PersonManifest;

/// Longer values are shown in part; `person.json` has them whole.
const MAX_VALUE_CHARS: usize = 500;
/// Rows of a list in the report; the other files have all of them.
const MAX_ROWS: usize = 200;

/// What the report is made from.
pub(super) struct Report<'a> {
    pub(super) manifest: &'a PersonManifest,
    /// As in `person.json`.
    pub(super) person: &'a Value,
    pub(super) events: &'a EventSummary,
    /// The number of recordings, if they could be read.
    pub(super) recordings: Option<u64>,
    /// As in `activity.json`.
    pub(super) activity: &'a [Value],
    /// As in `cohorts.json`.
    pub(super) cohorts: &'a [Value],
}

/// The report.
pub(super) fn report(of: &Report<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, of);
    text.trim_end().to_owned()
}

fn write(text: &mut String, of: &Report<'_>) -> std::fmt::Result {
    let manifest = of.manifest;
    writeln!(text, "# Your data in PostHog\n")?;
    writeln!(
        text,
        "This archive holds what the analytics system PostHog knows about one person. It was made on {} from project {} at {}.\n",
        manifest.began_at, manifest.project, manifest.host
    )?;
    writeln!(text, "Person: `{}`\n", manifest.person)?;
    person(text, of.person)?;
    events(text, of)?;
    recordings(text, of)?;
    cohorts(text, of)?;
    activity(text, of)?;
    writeln!(text, "## What is missing, and why\n")?;
    for part in &manifest.missing {
        writeln!(text, "- **{}**: {}", part.what, line(&part.why))?;
    }
    writeln!(
        text,
        "\n## The files\n\n| file | rows | bytes |\n|---|---|---|"
    )?;
    for file in &manifest.files {
        let rows = file.rows.map(|rows| rows.to_string()).unwrap_or_default();
        writeln!(text, "| {} | {rows} | {} |", file.name, file.bytes)?;
    }
    writeln!(text, "\nmanifest.json has the SHA-256 of each file.")
}

fn person(text: &mut String, person: &Value) -> std::fmt::Result {
    let field = |name: &str| person.get(name).and_then(Value::as_str);
    writeln!(text, "## Profile\n\n| property | value |\n|---|---|")?;
    for (name, title) in [
        ("name", "name"),
        ("created_at", "first seen"),
        ("last_seen_at", "last seen"),
    ] {
        if let Some(value) = field(name) {
            writeln!(text, "| *{title}* | {} |", line(value))?;
        }
    }
    let properties = person.get("properties").and_then(Value::as_object);
    for (key, value) in properties.into_iter().flatten() {
        writeln!(text, "| {} | {} |", line(key), shown(value))?;
    }
    let ids = person.get("distinct_ids").and_then(Value::as_array);
    let ids = ids.map(Vec::as_slice).unwrap_or_default();
    writeln!(
        text,
        "\n## Identifiers\n\nThe ids under which this person was seen, {} in all.\n",
        ids.len()
    )?;
    for id in ids.iter().take(MAX_ROWS) {
        writeln!(text, "- {}", shown(id))?;
    }
    rest(text, ids.len(), "person.json")?;
    writeln!(text)
}

fn events(text: &mut String, of: &Report<'_>) -> std::fmt::Result {
    writeln!(text, "## Events\n")?;
    let Some(check) = &of.manifest.events else {
        return writeln!(text, "The events could not be read; see below.\n");
    };
    let until = &of.manifest.events_until;
    let period = match &of.manifest.events_from {
        Some(from) => format!("from {from} until {until}"),
        None => format!("up to {until}"),
    };
    writeln!(
        text,
        "What the person did {period}: {} events, in events.jsonl and events.csv.\n",
        check.exported
    )?;
    if !check.complete {
        let counted = check.counted_after.unwrap_or(check.counted_before);
        writeln!(
            text,
            "PostHog counts {counted}: events arrived or were removed while they were read.\n"
        )?;
    }
    if of.events.names.is_empty() {
        return Ok(());
    }
    let mut names: Vec<_> = of.events.names.iter().collect();
    names.sort_by(|(a, one), (b, other)| other.count.cmp(&one.count).then(a.cmp(b)));
    writeln!(text, "| event | number | first | last |\n|---|---|---|---|")?;
    for (name, count) in names.iter().take(MAX_ROWS) {
        let (first, last) = (line(&count.first), line(&count.last));
        writeln!(
            text,
            "| {} | {} | {first} | {last} |",
            line(name),
            count.count
        )?;
    }
    if of.events.others > 0 {
        writeln!(text, "| *others* | {} | | |", of.events.others)?;
    }
    rest(text, names.len(), "events.csv")?;
    writeln!(text)
}

fn recordings(text: &mut String, of: &Report<'_>) -> std::fmt::Result {
    writeln!(text, "## Session recordings\n")?;
    match of.recordings {
        Some(0) => writeln!(text, "None.\n"),
        Some(count) => writeln!(
            text,
            "{count}, listed in recordings.csv with a link to each. The recordings themselves are in PostHog.\n"
        ),
        None => writeln!(text, "They could not be read; see below.\n"),
    }
}

fn cohorts(text: &mut String, of: &Report<'_>) -> std::fmt::Result {
    writeln!(text, "## Groups\n")?;
    if is_missing(of, "cohorts") && of.cohorts.is_empty() {
        return writeln!(text, "They could not be read; see below.\n");
    }
    if of.cohorts.is_empty() {
        return writeln!(text, "None.\n");
    }
    writeln!(
        text,
        "Groups of persons (cohorts) that this person is counted in.\n"
    )?;
    for cohort in of.cohorts {
        let id = cohort
            .get("id")
            .map(ToString::to_string)
            .unwrap_or_default();
        let name = cohort.get("name").and_then(Value::as_str);
        writeln!(
            text,
            "- {} (cohort {id})",
            line(name.unwrap_or("without a name"))
        )?;
    }
    writeln!(text)
}

fn activity(text: &mut String, of: &Report<'_>) -> std::fmt::Result {
    writeln!(text, "## Changes by staff and programs\n")?;
    if is_missing(of, "activity") {
        return writeln!(text, "They could not be read; see below.\n");
    }
    if of.activity.is_empty() {
        return writeln!(text, "None.\n");
    }
    writeln!(text, "| time | change | by |\n|---|---|---|")?;
    for entry in of.activity.iter().take(MAX_ROWS) {
        let field = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let (at, what, by) = (field("at"), field("activity"), field("by"));
        writeln!(text, "| {} | {} | {} |", line(at), line(what), line(by))?;
    }
    rest(text, of.activity.len(), "activity.json")?;
    writeln!(text)
}

fn is_missing(of: &Report<'_>, what: &str) -> bool {
    of.manifest.missing.iter().any(|part| part.what == what)
}

fn rest(text: &mut String, count: usize, file: &str) -> std::fmt::Result {
    match count.checked_sub(MAX_ROWS) {
        Some(more) if more > 0 => writeln!(text, "\nAnd {more} more, in {file}."),
        _ => Ok(()),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => line(text),
        Value::Null => String::new(),
        other => line(&other.to_string()),
    }
}

/// Text on one line, in which nothing is Markdown.
fn line(text: &str) -> String {
    let text = crate::output::sanitize(text);
    let mut escaped = String::with_capacity(text.len());
    for (count, character) in text.chars().enumerate() {
        if count == MAX_VALUE_CHARS {
            escaped.push('…');
            break;
        }
        if "\\`*_{}[]<>()#|!~&".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_user_wrote_is_markdown() {
        assert_eq!(
            line("a|b <b>x</b>\n# [y](z) \u{202e}!"),
            r"a\|b \<b\>x\</b\> \# \[y\]\(z\) \!"
        );
        assert_eq!(line(&"x".repeat(600)).chars().count(), MAX_VALUE_CHARS + 1);
    }
}
