//! Tools are found in the words of the people who need them: clients with many tools show the model only the tools that their
//! search finds. Codex ranks by BM25; Claude Code also reads `_meta` `anthropic/searchHint`.

use std::collections::{BTreeMap, BTreeSet};

use posthog_persons_mcp::tools::{ToolDefinition, catalog};

/// How many of the tools found a client shows.
const SHOWN: usize = 4;

/// Questions in a user's words, each with the tool that must be found. `tests/interop/agents` asks them in Codex.
fn questions() -> BTreeMap<String, String> {
    serde_json::from_str(include_str!("tool_search.json")).unwrap()
}

#[test]
fn every_tool_is_found_by_a_question_in_a_users_words() {
    let (tools, questions) = (catalog(), questions());
    let documents = |hint: bool| tools.iter().map(move |tool| document(tool, hint)).collect();
    let mut missed = Vec::new();
    for (mode, documents) in [("description", documents(false)), ("hint", documents(true))] {
        let index = Bm25::new(documents);
        for (question, wanted) in &questions {
            let found: Vec<&str> = index
                .search(question)
                .take(SHOWN)
                .map(|tool| tools[tool].name)
                .collect();
            if !found.contains(&wanted.as_str()) {
                missed.push(format!(
                    "{mode}: {question:?} finds {found:?}, not {wanted:?}"
                ));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let asked: BTreeSet<&str> = questions.values().map(String::as_str).collect();
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
