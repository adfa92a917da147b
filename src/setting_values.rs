//! The values of settings as text: lists, tokens, and which values an error may quote.

use secrecy::SecretString;

/// The names in a list with commas.
///
/// # Errors
/// When it holds none, which would silently mean all of them or none, or is separated by something else.
pub fn list(text: &str) -> Result<Vec<String>, &'static str> {
    if text.contains(';') {
        return Err("names are separated by commas, not by semicolons");
    }
    let names = text.split(',').map(str::trim);
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err("the list names nothing; leave it out, or name at least one");
    }
    Ok(names)
}

/// Whether a request can carry this as its bearer token.
#[must_use]
pub fn is_bearer_token(token: &str) -> bool {
    (8..=1024).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A value as an error may quote it. What could be a key, a token, an address or text is not shown: it may have been set in
/// place of another setting.
#[must_use]
pub fn quotable(value: &str) -> &str {
    const MAX_LENGTH: usize = 40;
    const KEYS: [&str; 5] = ["phx_", "pha_", "phc_", "phs_", "phr_"];
    let harmless = value.len() <= MAX_LENGTH
        && !KEYS.iter().any(|prefix| value.contains(prefix))
        // Words, not random characters.
        && value
            .split(['-', '_', '.', ':', '='])
            .all(|word| word.len() <= 16)
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:=*".contains(&byte));
    if harmless { value } else { "(not shown)" }
}

/// A secret that nobody can guess; none if it is blank.
pub(crate) fn secret(text: &str) -> Result<Option<SecretString>, String> {
    const MIN_LENGTH: usize = 32;
    match text.trim() {
        "" => Ok(None),
        secret if secret.len() < MIN_LENGTH => Err(format!(
            "has {} characters; at least {MIN_LENGTH} are required. Generate one with `openssl rand -hex 32`.",
            secret.len()
        )),
        secret => Ok(Some(SecretString::from(secret))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_names_something() {
        assert_eq!(list(" a, b ,,").unwrap(), ["a", "b"]);
        for nothing in ["", " ", ",", " , ", ",,,"] {
            assert!(list(nothing).is_err(), "{nothing:?}");
        }
        assert!(list("a;b").is_err() && list("a,b;c").is_err());
    }

    #[test]
    fn secrets_and_addresses_are_not_quoted() {
        for shown in [
            "persons-batch-retrieve",
            "strictt",
            "12x",
            "--max-result-bytes",
            "2026-13",
        ] {
            assert_eq!(quotable(shown), shown);
        }
        for hidden in [
            "phx_1",
            "x=pha_1",
            "ada@example.com",
            "two words",
            "https://user:secret@host",
            "0123456789abcdef0123456789abcdef",
            "zürich",
        ] {
            assert_eq!(quotable(hidden), "(not shown)");
        }
    }
}
