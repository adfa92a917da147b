//! What filters name otherwise than PostHog: cohorts, which it knows by number, and properties as results show them.

use std::collections::HashMap;

use crate::output::{Sanitizer, quoted, unescape};
use crate::tools::{Context, ToolError};
use posthog_client::{Filter, NamedCohort, ProjectCohort};

/// Candidates that an error names.
const MAX_CANDIDATES: usize = 10;

/// Puts the numbers of cohorts in place of their names, each looked up once, and the names of properties as PostHog stores
/// them, where they were given as results show them because of characters that cannot be seen.
pub(in crate::tools) async fn resolve_names(
    context: &Context,
    filters: Vec<&mut Filter>,
) -> Result<(), ToolError> {
    let mut known: HashMap<String, u64> = HashMap::new();
    for filter in filters {
        if let Some(key) = unescape(filter.key()) {
            *filter = filter.clone().with_key(key);
        }
        let Some(name) = filter.cohort_name().map(str::to_owned) else {
            continue;
        };
        let number = match known.get(&name) {
            Some(number) => *number,
            None => number_of(context, &name).await?,
        };
        filter.set_cohort(number);
        known.insert(name, number);
    }
    Ok(())
}

async fn number_of(context: &Context, name: &str) -> Result<u64, ToolError> {
    let found = context.posthog.cohort_named(name).await?;
    let sanitizer = context.limits.sanitizer();
    let shown = quoted(&sanitizer.given_identifier(name));
    match found {
        NamedCohort::One(number) => Ok(number),
        NamedCohort::Several(cohorts) => Err(ToolError::invalid_input(format!(
            "{} cohorts are named {}, so nothing else was requested: {}. Call again with the number of the one you mean as `value`.",
            cohorts.len(),
            shown,
            candidates(&cohorts, &sanitizer)
        ))),
        NamedCohort::None(similar) => Err(ToolError::invalid_input(format!(
            "No cohort is named {}, so nothing else was requested.{} persons-cohorts-retrieve without person_id lists all cohorts.",
            shown,
            if similar.is_empty() {
                String::new()
            } else {
                format!(" Similar: {}.", candidates(&similar, &sanitizer))
            }
        ))),
    }
}

/// Number, name and size of each.
fn candidates(cohorts: &[ProjectCohort], sanitizer: &Sanitizer) -> String {
    let candidate = |cohort: &ProjectCohort| {
        let name = cohort.name.as_ref();
        let name = name.map(|name| format!(" {}", quoted(&sanitizer.text(name))));
        let size = match cohort.count {
            Some(1) => " (1 person)".to_owned(),
            Some(count) => format!(" ({count} persons)"),
            None => String::new(),
        };
        format!("{}{}{size}", cohort.id, name.unwrap_or_default())
    };
    let mut named: Vec<String> = cohorts.iter().take(MAX_CANDIDATES).map(candidate).collect();
    if cohorts.len() > MAX_CANDIDATES {
        named.push(format!("and {} more", cohorts.len() - MAX_CANDIDATES));
    }
    named.join(", ")
}
