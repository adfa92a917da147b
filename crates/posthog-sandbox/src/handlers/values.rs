//! The values of a property, with counts (Persons API, Property values). Neither sampled nor cached.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::context::Context;
use crate::http::Response;
use crate::model::filters::property_text;
use crate::model::{Era, Pattern};

const MAX_VALUES: usize = 20;

const REFRESH: [&str; 8] = [
    "async",
    "async_except_on_cache_miss",
    "blocking",
    "force_async",
    "force_blocking",
    "force_cache",
    "lazy_async",
    "false",
];

pub(crate) fn values(context: &mut Context<'_>) -> Result<Response, Response> {
    if let Some(refresh) = context.parameter("refresh")
        && !REFRESH.contains(&refresh)
    {
        let detail = format!("unknown refresh mode {refresh:?}");
        return Err(context.reject(detail));
    }
    let key = context.parameter("key").unwrap_or_default().to_owned();
    let substring = context
        .parameter("value")
        .unwrap_or_default()
        .to_lowercase();
    let restricted = context.behaviors.restricted_properties.contains(&key);
    let results = if key.is_empty() || key.starts_with("$virt") || restricted {
        Vec::new()
    } else if key == "distinct_id" && context.era() >= Era::September2026 {
        listed_distinct_ids(context, &substring)
    } else {
        counted_values(context, &key, &substring)
    };
    let page = match context.era() {
        Era::August2025 => Value::Array(results),
        _ => json!({"results": results, "refreshing": false}),
    };
    Ok(Response::json(200, page).with_header("cache-control", "max-age=10"))
}

fn listed_distinct_ids(context: &Context<'_>, substring: &str) -> Vec<Value> {
    let distinct_ids = context.project.analytics.distinct_ids();
    let mut found: Vec<&str> = distinct_ids
        .map(|(distinct_id, _)| distinct_id)
        .filter(|distinct_id| distinct_id.to_lowercase().contains(substring))
        .collect();
    found.sort_unstable();
    let item = |id: &str| json!({"name": id, "count": 1});
    found.into_iter().take(MAX_VALUES).map(item).collect()
}

/// Counts values as text.
fn counted_values(context: &Context<'_>, key: &str, substring: &str) -> Vec<Value> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let matches = substring_match(context.era(), substring);
    for (_, row) in context.project.analytics.in_order() {
        let value = row.properties.get(key);
        if let Some(value) = matches(value.as_deref().and_then(property_text)) {
            *counts.entry(value).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let item = |(name, count)| json!({"name": name, "count": count});
    counts.into_iter().take(MAX_VALUES).map(item).collect()
}

/// The value to count, if it contains the substring. Wildcards have been escaped since September 2026. Before, they were
/// not, and a pattern that matches the empty text counted the persons without the property.
fn substring_match(era: Era, substring: &str) -> impl Fn(Option<Cow<'_, str>>) -> Option<String> {
    let pattern = Pattern::containing(substring);
    move |value| {
        if era >= Era::September2026 || substring.is_empty() {
            let value = value?.into_owned();
            return value.to_lowercase().contains(substring).then_some(value);
        }
        let value = value.unwrap_or_default();
        pattern.matches(&value).then(|| value.into_owned())
    }
}
