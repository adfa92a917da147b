//! The report as a page to file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};

use super::check::State;
use super::deletions::Deletion;
use super::report::{LogReport, Report};

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from("# Erasure report\n\n");
    let _ = writeln!(
        text,
        "Made at {} with posthog-persons-mcp {}, from {} with the API key {}.",
        time(report.made_at),
        report.version,
        report.host,
        report.key
    );
    match (&report.since, &report.until) {
        (None, None) => text.push_str("Covers all deletions in the audit log.\n"),
        (since, until) => {
            let edge = |word: &str, at: &Option<String>| {
                at.as_ref()
                    .map_or_else(String::new, |at| format!(" {word} {at}"))
            };
            let _ = writeln!(
                text,
                "Covers the deletions{}{}.",
                edge("from", since),
                edge("before", until)
            );
        }
    }
    log(&mut text, &report.log);
    summary(&mut text, report);
    deletions(&mut text, &report.deletions);
    persons(&mut text, report);
    limits(&mut text);
    text
}

fn log(text: &mut String, log: &LogReport) {
    text.push_str("\n## Audit log\n\n");
    let state = if log.is_intact {
        "verified: no line was changed, removed inside or reordered"
    } else {
        "DAMAGED: what it says cannot be relied on"
    };
    let _ = writeln!(text, "{} is {state} ({} lines).", log.file, log.lines);
    for problem in &log.problems {
        let _ = writeln!(text, "- {problem}");
    }
    if log.unchained_lines > 0 {
        let _ = writeln!(
            text,
            "{} lines of version 0.1 are not protected by the chain.",
            log.unchained_lines
        );
    }
    if log.notes > 0 {
        let _ = writeln!(
            text,
            "The file was replaced, truncated or removed {} times while a server wrote to it; earlier files need a report of their own.",
            log.notes
        );
    }
    if let Some(head) = &log.head {
        let _ = writeln!(text, "Hash of the last line: {head}");
    }
}

fn summary(text: &mut String, report: &Report) {
    let _ = writeln!(text, "\n## Summary\n\n| state now | persons |\n|---|---|");
    for (state, count) in &report.summary {
        let _ = writeln!(text, "| {} | {count} |", name(*state));
    }
    let _ = writeln!(text, "| all | {} |", report.persons.len());
}

fn deletions(text: &mut String, deletions: &[Deletion]) {
    text.push_str("\n## Deletions\n\n");
    text.push_str(
        "| | requested | persons | deletes | confirmed | API key | project | outcome at the time |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (number, deletion) in (1..).zip(deletions) {
        let deletes = match (&deletion.deletes, deletion.is_merge) {
            (_, true) => deletion.merged_into.map_or_else(
                || "nothing: merged".to_owned(),
                |person| format!("nothing: merged into {person}"),
            ),
            (Some(deletes), _) => deletes.join(", "),
            (None, _) => "not recorded".to_owned(),
        };
        let not_recorded = "not recorded";
        let _ = writeln!(
            text,
            "| {number} | {} | {} | {deletes} | {} | {} | {} at {} | {} |",
            time(deletion.time),
            deletion.persons.len(),
            confirmation(&deletion.confirmation),
            deletion.key.as_deref().unwrap_or(not_recorded),
            deletion
                .project
                .map_or_else(|| not_recorded.to_owned(), |project| project.to_string()),
            deletion.host.as_deref().unwrap_or("an unrecorded host"),
            outcome(&deletion.outcome)
        );
    }
}

fn persons(text: &mut String, report: &Report) {
    text.push_str(
        "\n## Persons\n\nEach person once, as PostHog shows it at the time of this report.\n\n",
    );
    text.push_str(
        "| person | state | profile | events | recordings | last requested | checked |\n|---|---|---|---|---|---|---|\n",
    );
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for person in &report.persons {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            person.person,
            name(person.state),
            person.profile,
            person.events,
            person.recordings,
            time(person.requested_at),
            time(person.checked_at)
        );
        if let Some(reason) = &person.reason {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    if !reasons.is_empty() {
        text.push_str("\nWhy it cannot be known:\n\n");
        for (reason, count) in reasons {
            let _ = writeln!(text, "- {count} persons: {reason}");
        }
    }
}

fn limits(text: &mut String) {
    text.push_str(
        "\n## What this does not show\n\n\
         - Whether recordings are deleted: PostHog does not report it.\n\
         - Backups, exports and other systems that received the data, and anonymous events that no person was linked to.\n\
         - What assistants and their vendors kept of the conversations.\n\
         - \"Gone\" means that PostHog's API and, where the key has query:read, a query over all events no longer find it. A deletion that \
         PostHog reports as verified is PostHog's own statement.\n",
    );
}

fn name(state: State) -> &'static str {
    match state {
        State::VerifiedGone => "verified gone",
        State::Pending => "pending",
        State::CameBack => "came back",
        State::StillThere => "still there",
        State::CannotBeKnown => "cannot be known",
    }
}

/// How it was confirmed, and what that proves.
fn confirmation(method: &str) -> &str {
    match method {
        "elicitation" | "input required" => "by the user, as the client reports",
        "approval page" => "by a person on the approval page",
        "token" => "by the assistant with a token",
        "off" => "no: confirmation was off",
        other => other,
    }
}

fn outcome(outcome: &str) -> &str {
    match outcome {
        "started" => "unknown: the server ended before it could record one",
        "unknown" => "unknown: PostHog's response was lost",
        other => other,
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
