//! Arguments that do not exist are refused by name: a misspelt one must not be ignored.

use serde_json::{Map, Value};

use crate::tools::ToolError;

/// Below this similarity, from 0 to 1, a name is no misspelling of another.
const MIN_SIMILARITY: f64 = 0.5;

/// Checks that the schema knows every argument, also within lists and objects.
pub(in crate::tools) fn check_names(
    arguments: &Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<(), ToolError> {
    check_fields("", arguments, schema)
}

fn check_fields(
    path: &str,
    fields: &Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<(), ToolError> {
    let Some(known) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in fields {
        match known.get(name).and_then(Value::as_object) {
            Some(schema) => check_value(&format!("{path}{name}"), value, schema)?,
            None if closed => return Err(unknown(path, name, known)),
            None => {}
        }
    }
    Ok(())
}

fn check_value(path: &str, value: &Value, schema: &Map<String, Value>) -> Result<(), ToolError> {
    match value {
        Value::Object(fields) => check_fields(&format!("{path}."), fields, schema),
        Value::Array(items) => {
            let Some(schema) = schema.get("items").and_then(Value::as_object) else {
                return Ok(());
            };
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| {
                check_value(&format!("{path}[{index}]"), item, schema)
            })
        }
        _ => Ok(()),
    }
}

/// How similar two names are, from 0 to 1. A name that is a word of the other, as `event` is of `start_event`, is nearer than
/// one with as many letters in common.
fn similarity(known: &str, given: &str) -> f64 {
    let of_letters = strsim::normalized_damerau_levenshtein(known, given);
    let has_word = |name: &str, word: &str| name.split('_').any(|part| part == word);
    if has_word(known, given) || has_word(given, known) {
        f64::midpoint(of_letters, 1.0)
    } else {
        of_letters
    }
}

fn unknown(path: &str, name: &str, known: &Map<String, Value>) -> ToolError {
    // Comparing takes time and memory for each pair of characters, and no argument has a name half as long.
    let shown: String = name.chars().take(60).collect();
    let nearest = known
        .keys()
        .map(|known| (similarity(known, &shown), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY);
    let hint = match nearest {
        Some((_, nearest)) => format!("Did you mean `{nearest}`?"),
        None => {
            let known: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
            format!("Expected one of {}.", known.join(", "))
        }
    };
    ToolError::invalid_input(format!("Unknown argument `{path}{shown}`. {hint}"))
}
