//! The questions that users have not answered yet: a limited number, because each keeps a call waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Open questions of one caller, and of all.
const MAX_PER_PRINCIPAL: usize = 8;
const MAX: usize = 256;

/// Counts open questions.
#[derive(Clone, Default)]
pub(super) struct OpenQuestions(Arc<Mutex<HashMap<String, usize>>>);

/// One open question, counted until it is dropped.
pub(super) struct OpenQuestion {
    questions: OpenQuestions,
    principal: String,
}

impl OpenQuestions {
    /// Opens a question, or says why there is no room for it.
    pub(super) fn open(&self, principal: &str) -> Result<OpenQuestion, String> {
        let mut counts = lock(&self.0);
        let own = counts.get(principal).copied().unwrap_or(0);
        if own >= MAX_PER_PRINCIPAL {
            return Err(format!(
                "{own} questions are open already; answer or close one of them, then call again"
            ));
        }
        if counts.values().sum::<usize>() >= MAX {
            return Err(
                "too many questions are open on this server; call again in a few minutes"
                    .to_owned(),
            );
        }
        counts.insert(principal.to_owned(), own + 1);
        Ok(OpenQuestion {
            questions: self.clone(),
            principal: principal.to_owned(),
        })
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        let mut counts = lock(&self.questions.0);
        match counts.get_mut(&self.principal) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                counts.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_questions_are_limited_per_caller_and_in_all() {
        let questions = OpenQuestions::default();
        let mut open: Vec<OpenQuestion> = (0..MAX)
            .map(|number| {
                questions
                    .open(&(number / MAX_PER_PRINCIPAL).to_string())
                    .ok()
                    .unwrap()
            })
            .collect();
        assert!(questions.open("another").is_err());
        open.pop();
        assert!(questions.open("0").is_err());
        let another = questions.open("another");
        assert!(another.is_ok());
        drop((open, another));
        assert!(lock(&questions.0).is_empty());
    }
}
