//! JSON objects as CSV, as PostHog renders a list: sorted columns, nested keys joined by dots (Persons API, List).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::dates;

pub(crate) fn render(items: &[Value]) -> String {
    let rows: Vec<BTreeMap<String, String>> = items.iter().map(flat_row).collect();
    let columns: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.keys().map(String::as_str))
        .collect();
    let mut out = line(columns.iter().copied());
    for row in &rows {
        let cells = columns.iter().map(|column| row.get(*column));
        out.push_str(&line(cells.map(|cell| cell.map_or("", String::as_str))));
    }
    out
}

fn flat_row(item: &Value) -> BTreeMap<String, String> {
    let mut row = BTreeMap::new();
    flatten(item, String::new(), &mut row);
    row
}

/// Empty lists and objects have no column.
fn flatten(value: &Value, path: String, row: &mut BTreeMap<String, String>) {
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(value, below(key), row);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, below(&index.to_string()), row);
            }
        }
        scalar => {
            let cell = cell(scalar, &path);
            row.insert(path, cell);
        }
    }
}

/// Scalars as Python formats them.
fn cell(value: &Value, path: &str) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        // Only these two fields are times to PostHog; a time among the properties is text.
        Value::String(text) if matches!(path, "created_at" | "last_seen_at") => {
            dates::parse(text).map_or_else(|| text.clone(), dates::format_for_csv)
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = cells.map(quote).collect();
    format!("{}\r\n", quoted.join(","))
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_keys_become_columns() {
        let items = [
            json!({"created_at": "2021-08-25T22:09:14.252000Z", "properties": {"$os": "Mac, \"X\""}}),
            json!({"created_at": null, "distinct_ids": ["a", "b"], "matched_recordings": []}),
        ];
        let expected = "created_at,distinct_ids.0,distinct_ids.1,properties.$os\r\n\
                        2021-08-25 22:09:14.252000+00:00,,,\"Mac, \"\"X\"\"\"\r\n\
                        ,a,b,\r\n";
        assert_eq!(render(&items), expected);
    }
}
