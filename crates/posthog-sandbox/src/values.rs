//! Which values a property has, and how often (contract section 3.11). Neither sampled nor cached:
//! a small world is counted whole.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::DeletionMode;
use super::answer::Answer;
use super::call::Call;
use super::filters::text as text_of;

const LISTED_VALUES: usize = 20;

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

/// Contract 3.11.
pub(super) fn values(call: &mut Call<'_>) -> Result<Answer, Answer> {
    if let Some(refresh) = call.parameter("refresh")
        && !REFRESH.contains(&refresh)
    {
        let detail = format!("the refresh mode {refresh:?}");
        return Err(call.strict(detail));
    }
    let key = call.parameter("key").unwrap_or_default().to_owned();
    let wanted = call.parameter("value").unwrap_or_default().to_lowercase();
    let restricted = call.behaviors.restricted_properties.contains(&key);
    let results = if key.is_empty() || key.starts_with("$virt") || restricted {
        Vec::new()
    } else if key == "distinct_id" && call.options.deletion_mode == DeletionMode::Queued {
        listed_distinct_ids(call, &wanted)
    } else {
        counted_values(call, &key, &wanted)
    };
    let page = json!({"results": results, "refreshing": false});
    Ok(Answer::json(200, page).with_header("cache-control", "max-age=10"))
}

fn listed_distinct_ids(call: &Call<'_>, wanted: &str) -> Vec<Value> {
    let distinct_ids = call.world.analytics.distinct_ids();
    let mut found: Vec<&str> = distinct_ids
        .map(|(distinct_id, _)| distinct_id)
        .filter(|distinct_id| distinct_id.to_lowercase().contains(wanted))
        .collect();
    found.sort_unstable();
    let item = |id: &str| json!({"name": id, "count": 1});
    found.into_iter().take(LISTED_VALUES).map(item).collect()
}

/// Counts as text. Wildcards of the caller's are escaped here, unlike in the search of the list.
fn counted_values(call: &Call<'_>, key: &str, wanted: &str) -> Vec<Value> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (_, row) in call.world.analytics.in_order() {
        let value = row.properties.get(key);
        if let Some(value) = value.as_deref().and_then(text_of)
            && value.to_lowercase().contains(wanted)
        {
            *counts.entry(value.into_owned()).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let item = |(name, count)| json!({"name": name, "count": count});
    counts.into_iter().take(LISTED_VALUES).map(item).collect()
}
