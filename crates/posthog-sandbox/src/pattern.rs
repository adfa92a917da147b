//! Case-insensitive LIKE patterns, as the search and two of the filters use them.

/// A case-insensitive LIKE pattern, in which `%` and `_` from the caller stay wildcards.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Without wildcards of the caller's, which is quicker to test.
    Substring(String),
    Like(Vec<char>),
}

impl Pattern {
    pub(super) fn containing(part: &str) -> Self {
        let part = part.to_lowercase();
        if part.contains(['%', '_']) {
            Self::Like(format!("%{part}%").chars().collect())
        } else {
            Self::Substring(part)
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Substring(part) => text.to_lowercase().contains(part),
            Self::Like(pattern) => {
                let text: Vec<char> = text.to_lowercase().chars().collect();
                like(pattern, &text)
            }
        }
    }
}

/// Greedy matching that only ever returns to the last `%`, so that it stays quick on long texts.
fn like(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(actual) = text.get(t) {
        match pattern.get(p) {
            Some('%') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(expected) if *expected == '_' || expected == actual => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_wildcard, from)) => {
                    p = after_wildcard;
                    t = from + 1;
                    retry = Some((after_wildcard, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_caller_are_live() {
        assert!(Pattern::containing("ANOTHER@gm").matches("another@gmail.com"));
        assert!(Pattern::containing("a%com").matches("another@gmail.com"));
        assert!(Pattern::containing("gm_il").matches("another@gmail.com"));
        assert!(!Pattern::containing("gm_l").matches("another@gmail.com"));
        assert!(Pattern::containing("%").matches(""));
    }
}
