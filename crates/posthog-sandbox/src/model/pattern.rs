//! Case-insensitive LIKE patterns, as used by the search and by two filter operators.

/// A case-insensitive LIKE pattern, in which `%` and `_` from the caller act as wildcards.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Without wildcards, which is faster to match.
    Substring(String),
    Like(Vec<char>),
}

impl Pattern {
    pub(crate) fn containing(part: &str) -> Self {
        let part = part.to_lowercase();
        if part.contains(['%', '_']) {
            Self::Like(format!("%{part}%").chars().collect())
        } else {
            Self::Substring(part)
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Substring(part) => text.to_lowercase().contains(part),
            Self::Like(pattern) => {
                let text: Vec<char> = text.to_lowercase().chars().collect();
                like(pattern, &text)
            }
        }
    }
}

/// Greedy matching that only backtracks to the last `%`, so that long texts stay fast.
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
    fn wildcards_are_not_escaped() {
        assert!(Pattern::containing("ANOTHER@gm").matches("another@gmail.com"));
        assert!(Pattern::containing("a%com").matches("another@gmail.com"));
        assert!(Pattern::containing("gm_il").matches("another@gmail.com"));
        assert!(!Pattern::containing("gm_l").matches("another@gmail.com"));
        assert!(Pattern::containing("%").matches(""));
    }
}
