//! What to try next where no person matches, by what was asked.

use serde_json::json;

use crate::output::quoted;
use crate::tools::Context;
use crate::tools::arguments::blanks_count;
use posthog_client::{PersonsQuery, TimeBounds};

/// The next steps after an empty list.
pub(super) async fn next_steps(context: &Context, query: &PersonsQuery) -> Vec<String> {
    let sanitizer = context.limits.sanitizer();
    let mut steps = Vec::new();
    if let Some(distinct_id) = &query.distinct_id {
        steps.extend(blanks_count(distinct_id).map(str::to_owned));
        steps.push(
            "Letter case and blanks count in a distinct id. PostHog keeps no person for an anonymous visitor whose events were captured \
             without a person profile."
                .to_owned(),
        );
    }
    if let Some(email) = &query.email {
        let shown = sanitizer.argument(email);
        let filter = json!([{"key": "$email", "value": shown}]);
        steps.push(format!(
            "`email` is compared exactly, with letter case: persons-batch-retrieve with emails {} ignores it. Some projects store the \
             address in `$email` or `Email`: try properties {filter}.",
            json!([shown])
        ));
    }
    if let Some(search) = &query.search {
        // An address may be stored under another name.
        let key = if search.contains('@') {
            "$email"
        } else {
            "username"
        };
        let filter =
            json!([{"key": key, "operator": "icontains", "value": sanitizer.argument(search)}]);
        steps.push(format!(
            "`search` looks at email, name, distinct ids and UUID only: for another property use a filter such as {filter}."
        ));
    }
    if !query.properties.is_empty() {
        steps.push(
            "Filters compare names and values with letter case, except `icontains`: persons-values-retrieve lists the values of a \
             property."
                .to_owned(),
        );
    }
    steps.extend(range("created", "created", &query.created));
    steps.extend(range("last seen", "last_seen", &query.last_seen));
    steps.extend(of_distinct_id(context, query).await);
    steps
}

/// The times that were searched, and how to search others.
fn range(what: &str, argument: &str, bounds: &TimeBounds) -> Option<String> {
    let range = match (bounds.from(), bounds.before()) {
        (None, None) => return None,
        (Some(from), None) => format!("from {from} on"),
        (None, Some(before)) => format!("before {before}"),
        (Some(from), Some(before)) => format!("from {from} on and before {before}"),
    };
    Some(format!(
        "Only persons {what} {range} were searched: widen it with `{argument}_after` and `{argument}_before`."
    ))
}

/// The person whose distinct id the text is. One that was deleted and sends events again is in no list until it is reset.
async fn of_distinct_id(context: &Context, query: &PersonsQuery) -> Option<String> {
    let text = match (&query.email, &query.search) {
        (Some(text), None) | (None, Some(text)) => text,
        _ => return None,
    };
    let is_open = |bounds: &TimeBounds| bounds.from().is_none() && bounds.before().is_none();
    let is_alone = query.distinct_id.is_none()
        && query.properties.is_empty()
        && is_open(&query.created)
        && is_open(&query.last_seen);
    // Another condition may be why the list is empty, although it would show the person.
    if !is_alone {
        return None;
    }
    // Not worth failing for.
    let person = context.posthog.person_by_distinct_id(text).await.ok()?;
    let id = quoted(&context.limits.sanitizer().given_identifier(text));
    let is_sought = query.search.is_some() || person.properties.has("email", &json!(text));
    if !is_sought {
        return Some(format!(
            "The distinct id {id} belongs to the person with the UUID {}, whose `email` is another or not set: persons-retrieve shows it.",
            person.uuid
        ));
    }
    Some(format!(
        "A person with the distinct id {id} exists, UUID {}, but lists do not show it: most likely it was deleted and sends events \
         again. persons-retrieve shows it, and persons-reset-distinct-id makes lists show it.",
        person.uuid
    ))
}
