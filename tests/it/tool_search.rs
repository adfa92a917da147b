//! Tools are found in the words of the people who need them: clients with many tools show the model only the tools that their
//! search finds. Codex ranks by BM25; Claude Code also reads `_meta` `anthropic/searchHint`.

use std::collections::{BTreeMap, BTreeSet};

use posthog_persons_mcp::tools::{ToolDefinition, catalog};

/// How many of the tools found a client shows.
const SHOWN: usize = 4;

/// A question in a user's words, and the tools of which one must be found. Every tool is needed for some question.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("find user by email", &["persons-list"]),
    ("look up a customer", &["persons-retrieve"]),
    ("look up many users by id", &["persons-batch-retrieve"]),
    (
        "what plans do our customers have",
        &["persons-values-retrieve"],
    ),
    (
        "which segment is this customer in",
        &["persons-cohorts-retrieve"],
    ),
    ("who changed this person", &["persons-activity-retrieve"]),
    (
        "when did the plan of this user change",
        &["persons-properties-timeline-retrieve"],
    ),
    (
        "what did the profile of a user look like last month",
        &["persons-properties-at-time-retrieve"],
    ),
    (
        "is the GDPR erasure done",
        &["persons-deletion-status-list"],
    ),
    (
        "which users dropped off in the signup funnel",
        &["persons-funnel"],
    ),
    ("most active users", &["persons-trends"]),
    ("dormant customers who came back", &["persons-lifecycle"]),
    (
        "update several properties of a contact",
        &["persons-update"],
    ),
    ("set an attribute of a user", &["persons-property-set"]),
    (
        "remove a property of an account",
        &["persons-property-delete"],
    ),
    ("deleted user came back", &["persons-reset-distinct-id"]),
    ("undo merge of duplicate accounts", &["persons-split"]),
    ("forget a customer GDPR", &["persons-bulk-delete"]),
    ("erase user data", &["persons-bulk-delete"]),
];

#[test]
fn every_tool_is_found_by_a_question_in_a_users_words() {
    let tools = catalog();
    let documents = |hint: bool| tools.iter().map(move |tool| document(tool, hint)).collect();
    let mut missed = Vec::new();
    for (mode, documents) in [("description", documents(false)), ("hint", documents(true))] {
        let index = Bm25::new(documents);
        for (question, wanted) in QUESTIONS {
            let found: Vec<&str> = index
                .search(question)
                .take(SHOWN)
                .map(|tool| tools[tool].name)
                .collect();
            if !wanted.iter().any(|tool| found.contains(tool)) {
                missed.push(format!(
                    "{mode}: {question:?} finds {found:?}, not {wanted:?}"
                ));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let asked: BTreeSet<&str> = QUESTIONS
        .iter()
        .flat_map(|(_, tools)| *tools)
        .copied()
        .collect();
    let all: BTreeSet<&str> = tools.iter().map(|tool| tool.name).collect();
    assert_eq!(asked, all, "a tool without a question");
}

#[test]
fn search_hints_are_short_and_have_no_markup() {
    for tool in catalog() {
        let hint = tool.search_hint;
        assert!(
            (30..=160).contains(&hint.len()),
            "{}: {}",
            tool.name,
            hint.len()
        );
        let plain = |letter: char| letter.is_ascii_alphanumeric() || " ,;-".contains(letter);
        assert!(hint.chars().all(plain), "{}: {hint:?}", tool.name);
    }
}

/// What a client searches: the name and the description, with or without the hint.
fn document(tool: &ToolDefinition, hint: bool) -> Vec<String> {
    let mut text = format!("{} {}", tool.name, tool.description);
    if hint {
        text = format!("{text} {}", tool.search_hint);
    }
    words(&text)
}

/// Lower-case words, without stemming: clients that stem find more.
fn words(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Okapi BM25 with the usual parameters.
struct Bm25 {
    documents: Vec<Vec<String>>,
    mean_length: f64,
}

impl Bm25 {
    fn new(documents: Vec<Vec<String>>) -> Self {
        let total: usize = documents.iter().map(Vec::len).sum();
        let mean_length = total as f64 / documents.len() as f64;
        Self {
            documents,
            mean_length,
        }
    }

    /// The documents that have a word of the query, best first.
    fn search(&self, query: &str) -> impl Iterator<Item = usize> {
        let query = words(query);
        let scores = self
            .documents
            .iter()
            .map(|document| self.score(document, &query));
        let mut ranked: Vec<(usize, f64)> = scores
            .enumerate()
            .filter(|(_, score)| *score > 0.0)
            .collect();
        ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        ranked.into_iter().map(|(document, _)| document)
    }

    fn score(&self, document: &[String], query: &[String]) -> f64 {
        const K: f64 = 1.2;
        const B: f64 = 0.75;
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        for word in document {
            *counts.entry(word).or_default() += 1.0;
        }
        let length = document.len() as f64 / self.mean_length;
        let scores = query.iter().filter_map(|word| {
            let count = counts.get(word.as_str())?;
            Some(self.rarity(word) * count * (K + 1.0) / (count + K * (1.0 - B + B * length)))
        });
        scores.sum()
    }

    fn rarity(&self, word: &String) -> f64 {
        let with = self
            .documents
            .iter()
            .filter(|document| document.contains(word))
            .count() as f64;
        (1.0 + (self.documents.len() as f64 - with + 0.5) / (with + 0.5)).ln()
    }
}
