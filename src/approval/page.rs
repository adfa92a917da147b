//! The page as HTML. The template engine escapes every text.

use std::fmt::Write as _;

use askama::Template;

use super::entry::{Entry, State};
use crate::question::{Question, Section, Target};

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("script.js");

/// A question that can be answered.
#[derive(Template)]
#[template(path = "question.html")]
struct QuestionPage<'a> {
    question: &'a Question,
    heading: &'a str,
    place: &'a str,
    refusal: String,
    form_token: &'a str,
    until: String,
    /// The same moment, for the page's script.
    until_timestamp: String,
}

/// What became of a question.
#[derive(Template)]
#[template(path = "outcome.html")]
struct OutcomePage<'a> {
    heading: &'a str,
    text: &'a str,
    summary: &'a [String],
}

/// The page of a question in its present state.
pub(super) fn render(entry: &Entry) -> String {
    let question = &entry.question;
    let (heading, text) = match entry.state() {
        State::Open => return open(entry),
        State::Approved => (
            "Approved",
            "Nothing was sent yet: your assistant has to call again. If it does not, tell it that you approved. Load this page again to see whether it was sent.",
        ),
        State::Changed => (
            "The persons have changed",
            "Nothing was sent: the persons are no longer those that this page showed. Let your assistant ask again, and review the new list.",
        ),
        State::Sending => (
            "Approved, being sent",
            "Your assistant is sending the request. Load this page again to see the outcome.",
        ),
        State::Finished(outcome) => ("Approved and used", outcome),
        State::Declined => (
            "Declined",
            "Nothing was sent, and nothing will be: your assistant cannot use this page any more.",
        ),
        State::Expired => (
            "Expired",
            "Nothing was sent: this page could be answered and used for a limited time only. Let your assistant ask again.",
        ),
    };
    outcome(heading, text, &question.summary)
}

/// The page at an address that has no question.
pub(super) fn not_found() -> String {
    outcome(
        "No such page",
        "This address has no question, or it is no longer served. Nothing was sent because of this visit.",
        &[],
    )
}

fn open(entry: &Entry) -> String {
    let question = &entry.question;
    let [heading, _, _, place] = &question.summary;
    let verb = question.action.split(' ').next().unwrap_or_default();
    let page = QuestionPage {
        question,
        heading,
        place,
        refusal: format!("Do not {}", verb.to_lowercase()),
        form_token: &entry.form_token,
        until: entry.until.format("%H:%M:%S UTC").to_string(),
        until_timestamp: entry.until.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    rendered(&page)
}

fn outcome(heading: &str, text: &str, summary: &[String]) -> String {
    rendered(&OutcomePage {
        heading,
        text,
        summary,
    })
}

fn rendered(page: &impl Template) -> String {
    // Writing to a string does not fail.
    page.render().unwrap_or_default()
}

/// The day and the minute of a timestamp; as it is where it is none.
fn minute(timestamp: &Option<String>) -> String {
    let Some(timestamp) = timestamp else {
        return String::new();
    };
    match (
        timestamp.get(..10),
        timestamp.get(10..11),
        timestamp.get(11..16),
    ) {
        (Some(day), Some("T"), Some(minute)) => format!("{day} {minute}"),
        _ => timestamp.clone(),
    }
}

/// How many distinct ids are not shown.
fn hidden_ids(person: &Target) -> String {
    let hidden = person
        .distinct_id_count
        .saturating_sub(person.distinct_ids.len());
    let mut text = String::new();
    if hidden > 0 {
        let _ = write!(text, "and {hidden} more");
    }
    text
}

fn given(persons: &[Target]) -> bool {
    persons.iter().any(|person| !person.given.is_empty())
}

fn flagged(persons: &[Target]) -> usize {
    persons
        .iter()
        .filter(|person| !person.notes.is_empty())
        .count()
}

#[cfg(test)]
mod tests {
    /// The engine escapes what is not marked as safe.
    #[test]
    fn templates_mark_nothing_as_safe() {
        for template in [
            include_str!("base.html"),
            include_str!("question.html"),
            include_str!("outcome.html"),
        ] {
            assert!(!template.contains("safe"));
            assert!(!template.contains("escape"));
        }
    }
}
