//! Filters on properties and cohorts: the checks of their form, which differ between versions, and matching.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::condition::Condition;
use super::error::FilterError;
use super::{hogql, person_sql};
use crate::model::{Era, Properties, PropertyMap};
use crate::model::{PropertyDefinitions, PropertyOwner};

/// The persons of a cohort, as of its last calculation.
#[derive(Clone, Debug, Default)]
pub(crate) struct CohortMembers {
    pub(crate) uuids: Arc<HashSet<Uuid>>,
    /// The members of a static cohort never change by themselves.
    pub(crate) is_static: bool,
}

/// A filter that was read.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// A filter without a value, and a list without items: everything matches.
    Everything,
    Property {
        key: String,
        condition: Condition,
    },
    Cohort {
        members: Arc<HashSet<Uuid>>,
        inside: bool,
    },
}

/// By what filters are read.
pub(crate) struct FilterRules<'a> {
    pub(crate) era: Era,
    pub(crate) definitions: &'a PropertyDefinitions,
    pub(crate) cohort: &'a dyn Fn(u64) -> Option<CohortMembers>,
}

const FIELDS: [&str; 4] = ["key", "value", "operator", "type"];

impl Filter {
    /// Reads a filter of a list.
    pub(crate) fn read(filter: &Value, rules: &FilterRules<'_>) -> Result<Self, FilterError> {
        let Some(fields) = filter.as_object() else {
            return Err(malformed(
                rules,
                format!("filter that is not an object: {filter}"),
            ));
        };
        if let Some(field) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            return Err(FilterError::Violation(format!(
                "unknown filter field {field:?}"
            )));
        }
        if fields.is_empty() {
            return Err(without_key(rules));
        }
        match fields.get("type").and_then(Value::as_str) {
            Some("person") => Self::read_property(fields, PropertyOwner::Person, rules),
            Some("cohort") => Self::read_cohort(fields, rules),
            // PostHog has defaults for the type; clients send it always.
            other => Err(FilterError::Violation(format!("filter of type {other:?}"))),
        }
    }

    fn read_cohort(fields: &PropertyMap, rules: &FilterRules<'_>) -> Result<Self, FilterError> {
        let inside = match fields.get("operator").and_then(Value::as_str) {
            None | Some("in" | "exact") => true,
            Some("not_in" | "is_not") => false,
            Some(other) => {
                return Err(FilterError::Violation(format!("cohort operator {other:?}")));
            }
        };
        let id = match fields.get("value") {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            _ => None,
        };
        let id = id.ok_or(FilterError::Failure)?;
        let members = (rules.cohort)(id);
        // The SQL of 2025 has a condition only for being in a cohort that is calculated.
        let is_calculated = members.as_ref().is_some_and(|members| !members.is_static);
        if rules.era == Era::August2025 && !(is_calculated && inside) {
            return Ok(Self::Everything);
        }
        let members = members.ok_or(FilterError::Failure)?.uuids;
        Ok(Self::Cohort { members, inside })
    }

    pub(crate) fn read_property(
        fields: &PropertyMap,
        owner: PropertyOwner,
        rules: &FilterRules<'_>,
    ) -> Result<Self, FilterError> {
        let operator = match fields.get("operator") {
            None => "exact",
            Some(Value::String(operator)) => operator,
            Some(other) => return Err(FilterError::Violation(format!("operator {other}"))),
        };
        let Some(key) = fields.get("key").and_then(Value::as_str) else {
            return Err(without_key(rules));
        };
        let takes_no_value = matches!(operator, "is_set" | "is_not_set");
        let value = fields.get("value").filter(|value| !value.is_null());
        if value.is_none() && !takes_no_value {
            return Err(FilterError::Incomplete(format!(
                "filter on {key:?} without a value"
            )));
        }
        let value = value.cloned().unwrap_or_default();
        let condition = match rules.era {
            Era::August2025 => Some(person_sql::read(operator, &value)?),
            era => {
                let defined = rules.definitions.type_of(owner, key);
                hogql::read(operator, &value, defined, era)?
            }
        };
        Ok(
            condition.map_or(Self::Everything, |condition| Self::Property {
                key: key.to_owned(),
                condition,
            }),
        )
    }

    pub(crate) fn matches(&self, properties: &Properties, person: Uuid) -> bool {
        match self {
            Self::Everything => true,
            Self::Property { key, condition } => condition.passes(properties.get(key).as_deref()),
            Self::Cohort { members, inside } => members.contains(&person) == *inside,
        }
    }

    /// The same for the properties of an event.
    pub(crate) fn matches_map(&self, properties: &PropertyMap) -> bool {
        match self {
            Self::Everything | Self::Cohort { .. } => true,
            Self::Property { key, condition } => condition.passes(properties.get(key)),
        }
    }

    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Property { key, .. } => Some(key),
            Self::Everything | Self::Cohort { .. } => None,
        }
    }
}

fn without_key(rules: &FilterRules<'_>) -> FilterError {
    let detail = "filter without a key".to_owned();
    if rules.era == Era::August2025 {
        FilterError::Incomplete(detail)
    } else {
        FilterError::Malformed(detail)
    }
}

fn malformed(rules: &FilterRules<'_>, detail: String) -> FilterError {
    if rules.era == Era::August2025 {
        FilterError::Violation(detail)
    } else {
        FilterError::Malformed(detail)
    }
}
