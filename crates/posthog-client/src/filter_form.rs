//! The form in which a filter is sent: the one that every known version of PostHog evaluates as it is meant.
//!
//! The list endpoint accepts more than it evaluates. `in` with one value is a 500 on PostHog of 2026, and `not_in` on
//! PostHog of 2025 selects the opposite set; a number compared with an untyped property is a 500 or an empty page;
//! relative dates and ISO dates with a `T` are compared as text or refused. Each operator is therefore rewritten here,
//! and a filter that has no portable form is rejected with one that does the same.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::filter::{Filter, FilterType, Operator};
use crate::relative_date::resolve_date;

/// Columns of a person that look like properties but are none, and the argument that selects by them.
const COLUMNS: [(&str, &str); 6] = [
    ("distinct_id", "use the argument `distinct_id`"),
    ("id", "use persons-retrieve with `id`"),
    ("uuid", "use persons-retrieve with `id`"),
    (
        "created_at",
        "use the arguments `created_after` and `created_before` of persons-list",
    ),
    (
        "last_seen_at",
        "use the arguments `last_seen_after` and `last_seen_before` of persons-list",
    ),
    (
        "is_identified",
        "persons-list shows distinct ids: an identified person has one that is not anonymous",
    ),
];

/// The filters as they are sent. One filter can need several, which PostHog combines with AND.
pub(crate) fn portable(filters: &[Filter], now: DateTime<Utc>) -> Value {
    filters
        .iter()
        .flat_map(|filter| filter.portable(now))
        .collect()
}

/// Why a key cannot be filtered by, if it is a column and no property.
pub(crate) fn column_hint(key: &str) -> Option<&'static str> {
    COLUMNS
        .iter()
        .find(|(column, _)| *column == key)
        .map(|(_, hint)| *hint)
}

/// Whether RE2, which evaluates regular expressions at PostHog, compiles this one. RE2 has no look-around and no
/// backreferences, and neither has this parser. Only the syntax is checked: names of Unicode classes need large tables.
pub(crate) fn check_regex(pattern: &str) -> Result<(), String> {
    match regex_syntax::ast::parse::Parser::new().parse(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind().to_string()),
    }
}

impl Filter {
    fn portable(&self, now: DateTime<Utc>) -> Vec<Value> {
        let one = |operator: Operator, value: Value| {
            vec![json!({"key": self.key, "operator": operator, "value": value, "type": self.kind})]
        };
        if self.kind == FilterType::Cohort {
            return one(self.operator, self.value.clone());
        }
        let texts = || match &self.value {
            Value::Array(items) => items.iter().map(text).collect(),
            value => vec![text(value)],
        };
        match self.operator {
            Operator::Exact | Operator::In => one(Operator::Exact, one_or_many(texts())),
            Operator::IsNot | Operator::NotIn => one(Operator::IsNot, one_or_many(texts())),
            Operator::Icontains => match texts().as_slice() {
                [only] => one(Operator::Icontains, only.as_str().into()),
                // Lists are evaluated on newer versions alone; a case-insensitive alternation on all.
                many => one(Operator::Regex, containing_any(many).into()),
            },
            Operator::NotIcontains => texts()
                .into_iter()
                .flat_map(|text| one(Operator::NotIcontains, text.into()))
                .collect(),
            Operator::Regex | Operator::NotRegex => {
                let texts = texts();
                let pattern = match texts.as_slice() {
                    [only] => only.clone(),
                    many => many
                        .iter()
                        .map(|pattern| format!("({pattern})"))
                        .collect::<Vec<_>>()
                        .join("|"),
                };
                one(self.operator, pattern.into())
            }
            // A number in quotes is compared as text where the property has no type; as a number it is refused there.
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                one(self.operator, number(&self.value))
            }
            Operator::IsDateExact => self
                .whole_day(now)
                .unwrap_or_else(|| one(Operator::IsDateExact, self.moment(now))),
            Operator::IsDateAfter | Operator::IsDateBefore => one(self.operator, self.moment(now)),
            Operator::IsSet | Operator::IsNotSet => one(self.operator, self.value.clone()),
        }
    }

    /// The value of a date filter, in UTC.
    fn moment(&self, now: DateTime<Utc>) -> Value {
        let text = self.value.as_str().unwrap_or_default();
        resolve_date(text, now).map_or_else(|| self.value.clone(), Value::from)
    }

    /// `is_date_exact` with a day matches midnight alone on newer versions, so the day is sent as a range.
    fn whole_day(&self, now: DateTime<Utc>) -> Option<Vec<Value>> {
        let text = resolve_date(self.value.as_str()?, now)?;
        let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
        let before = day.pred_opt()?.format("%Y-%m-%d 23:59:59").to_string();
        let after = day.succ_opt()?.to_string();
        let bound = |operator: Operator, value: String| json!({"key": self.key, "operator": operator, "value": value, "type": self.kind});
        Some(vec![
            bound(Operator::IsDateAfter, before),
            bound(Operator::IsDateBefore, after),
        ])
    }
}

/// A scalar as PostHog stores it in JSON, without quotes.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn one_or_many(mut texts: Vec<String>) -> Value {
    match texts.len() {
        1 => texts.pop().into(),
        _ => texts.into(),
    }
}

fn number(value: &Value) -> Value {
    match value {
        Value::String(text) => text
            .trim()
            .parse::<serde_json::Number>()
            .map_or_else(|_| value.clone(), Value::Number),
        other => other.clone(),
    }
}

/// A pattern that matches what contains one of these texts, in any letter case. `%` and `_` are the wildcards that they
/// are in a single `icontains`.
fn containing_any(texts: &[String]) -> String {
    let literals = texts.iter().map(|text| {
        text.chars()
            .map(|character| match character {
                '%' => ".*".to_owned(),
                '_' => ".".to_owned(),
                other => regex_syntax::escape(other.encode_utf8(&mut [0; 4])),
            })
            .collect::<String>()
    });
    format!("(?is)({})", literals.collect::<Vec<_>>().join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(filter: Value) -> Value {
        let filter: Filter = serde_json::from_value(filter).unwrap();
        let now = DateTime::parse_from_rfc3339("2026-11-27T10:20:30Z").unwrap();
        portable(&[filter], now.to_utc())
    }

    /// Every operator with one value and with many, in the form that recordings of 2025 and of 2026 evaluate alike.
    #[test]
    fn each_operator_has_one_portable_form() {
        for (operator, value, expected) in [
            ("exact", json!("pro"), vec![("exact", json!("pro"))]),
            ("exact", json!(4), vec![("exact", json!("4"))]),
            ("exact", json!(true), vec![("exact", json!("true"))]),
            (
                "exact",
                json!([4, 5.5, "x"]),
                vec![("exact", json!(["4", "5.5", "x"]))],
            ),
            ("exact", json!(["pro"]), vec![("exact", json!("pro"))]),
            ("in", json!(["pro"]), vec![("exact", json!("pro"))]),
            (
                "in",
                json!(["pro", "gold"]),
                vec![("exact", json!(["pro", "gold"]))],
            ),
            ("not_in", json!(["pro"]), vec![("is_not", json!("pro"))]),
            ("not_in", json!([1, 2]), vec![("is_not", json!(["1", "2"]))]),
            ("is_not", json!(false), vec![("is_not", json!("false"))]),
            ("icontains", json!("a.b"), vec![("icontains", json!("a.b"))]),
            (
                "icontains",
                json!(["pro"]),
                vec![("icontains", json!("pro"))],
            ),
            (
                "icontains",
                json!(["a.b", "c%d_"]),
                vec![("regex", json!("(?is)(a\\.b|c.*d.)"))],
            ),
            (
                "not_icontains",
                json!(["a", "b"]),
                vec![("not_icontains", json!("a")), ("not_icontains", json!("b"))],
            ),
            ("regex", json!("^a|b$"), vec![("regex", json!("^a|b$"))]),
            (
                "regex",
                json!(["^a", "b$"]),
                vec![("regex", json!("(^a)|(b$)"))],
            ),
            ("not_regex", json!(["a"]), vec![("not_regex", json!("a"))]),
            (
                "not_regex",
                json!(["a", "b"]),
                vec![("not_regex", json!("(a)|(b)"))],
            ),
            ("gt", json!(3), vec![("gt", json!(3))]),
            ("gte", json!("3"), vec![("gte", json!(3))]),
            (
                "lte",
                json!("30.50"),
                vec![("lte", serde_json::from_str("30.50").unwrap())],
            ),
            ("is_set", json!(null), vec![("is_set", json!("is_set"))]),
            (
                "is_not_set",
                json!(null),
                vec![("is_not_set", json!("is_not_set"))],
            ),
            (
                "is_date_after",
                json!("2026-01-31"),
                vec![("is_date_after", json!("2026-01-31"))],
            ),
            (
                "is_date_before",
                json!("2026-01-31T12:00:00Z"),
                vec![("is_date_before", json!("2026-01-31 12:00:00"))],
            ),
            (
                "is_date_before",
                json!("2026-01-31T12:00:00.5+02:00"),
                vec![("is_date_before", json!("2026-01-31 10:00:00"))],
            ),
            (
                "is_date_after",
                json!("-7d"),
                vec![("is_date_after", json!("2026-11-20"))],
            ),
            (
                "is_date_exact",
                json!("2026-10-21 12:00:00"),
                vec![("is_date_exact", json!("2026-10-21 12:00:00"))],
            ),
            (
                "is_date_exact",
                json!("2026-03-01"),
                vec![
                    ("is_date_after", json!("2026-02-28 23:59:59")),
                    ("is_date_before", json!("2026-03-02")),
                ],
            ),
        ] {
            let expected: Value = expected
                .into_iter()
                .map(|(operator, value)| json!({"key": "plan", "operator": operator, "value": value, "type": "person"}))
                .collect();
            let filter = json!({"key": "plan", "operator": operator, "value": value});
            assert_eq!(sent(filter.clone()), expected, "{filter}");
        }
    }

    #[test]
    fn cohort_filters_keep_their_operators() {
        for operator in ["in", "not_in"] {
            let filter = json!({"type": "cohort", "key": "id", "operator": operator, "value": 3});
            assert_eq!(sent(filter.clone()), json!([filter]));
        }
    }

    #[test]
    fn only_what_re2_compiles_is_a_regex() {
        for pattern in ["^a.*b$", "(?i)pro|gold", r"\d{3}", "[a-z]+"] {
            assert_eq!(check_regex(pattern), Ok(()), "{pattern}");
        }
        for pattern in ["[", "(?=a)", r"(a)\1", "(?<!a)b", "a{2,1}", "*"] {
            assert!(check_regex(pattern).is_err(), "{pattern}");
        }
    }
}
