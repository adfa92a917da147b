//! Every operator with every kind of value, one and many, on properties with and without a type: the persons that the
//! filter means, or a reason, on every version.

use chrono::{DateTime, Utc};
use posthog_sandbox::{Era, Seed};
use serde_json::{Map, Value, json};

use super::support::of;
use crate::{Session, column, connect_with, text};

/// The kinds of properties, the type that one of the two properties of each has, and the values of the persons.
fn properties() -> [(&'static str, &'static str, Vec<Value>); 4] {
    [
        (
            "text",
            "String",
            vec![
                json!("pro"),
                json!("Pro plan"),
                json!("free"),
                json!("4"),
                json!("true"),
                json!(""),
                Value::Null,
            ],
        ),
        (
            "number",
            "Numeric",
            vec![
                json!(4),
                json!(4.5),
                json!(30),
                json!("30"),
                json!(-4),
                Value::Null,
                json!(0),
            ],
        ),
        (
            "flag",
            "Boolean",
            vec![
                json!(true),
                json!(false),
                json!("true"),
                Value::Null,
                json!(true),
                json!(false),
                Value::Null,
            ],
        ),
        (
            "date",
            "DateTime",
            vec![
                json!("2026-10-01T06:30:00Z"),
                json!("2026-10-01"),
                json!("2026-10-02 00:00:00"),
                json!("2026-09-30T23:59:59Z"),
                json!("2026-10-01T01:00:00+02:00"),
                Value::Null,
                json!("2026-10-01T23:59:59Z"),
            ],
        ),
    ]
}

const VALUES: [&str; 8] = [
    r#""pro""#,
    "4",
    "4.5",
    "true",
    r#""30""#,
    r#""2026-10-01""#,
    r#""2026-10-01T06:30:00Z""#,
    r#""-9999d""#,
];
const OTHERS: [&str; 8] = [
    r#""free""#,
    "30",
    "0",
    "false",
    r#""-4""#,
    r#""2026-10-02 00:00:00""#,
    r#""2026-09-30T23:59:59Z""#,
    r#""-1h""#,
];
const OPERATORS: [&str; 15] = [
    "exact",
    "is_not",
    "in",
    "not_in",
    "icontains",
    "not_icontains",
    "regex",
    "not_regex",
    "gt",
    "gte",
    "lt",
    "lte",
    "is_date_exact",
    "is_date_after",
    "is_date_before",
];

fn uuid(number: usize) -> String {
    format!("018f0000-0000-7000-8000-{number:012}")
}

fn stored(key: &str, person: usize) -> Option<Value> {
    let kind = key.split('_').next().unwrap();
    let mut all = properties().into_iter();
    let (_, _, values) = all.find(|(name, ..)| *name == kind)?;
    // One person has none of the properties.
    values
        .into_iter()
        .nth(person)
        .filter(|value| !value.is_null())
}

fn seed() -> Seed {
    let persons: Vec<Value> = (0..8)
        .map(|number| {
            let mut own = Map::new();
            for (kind, _, values) in properties() {
                for key in [kind.to_owned(), format!("{kind}_untyped")] {
                    own.extend(values.get(number).map(|value| (key, value.clone())));
                }
            }
            json!({
                "id": number + 1, "uuid": uuid(number), "created_at": "2026-01-01T00:00:00Z",
                "distinct_ids": [format!("person-{number}")], "properties": own,
            })
        })
        .collect();
    let definitions = properties()
        .map(|(name, kind, _)| json!({"name": name, "type": "person", "property_type": kind}));
    Seed::parse(&json!({"seed": persons, "property_definitions": definitions}).to_string()).unwrap()
}

/// A value as text.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> Option<f64> {
    plain(value).parse().ok()
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?;
    let day = |text: &str| DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z"));
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| day(text))
        .or_else(|_| DateTime::parse_from_rfc3339(&format!("{}Z", text.replace(' ', "T"))));
    match text {
        "-9999d" => Some(DateTime::UNIX_EPOCH),
        "-1h" => Some(Utc::now()),
        _ => time.ok().map(|time| time.to_utc()),
    }
}

/// Whether a filter means a person, by the documentation of the operators alone. `None` where it means nothing.
fn means(operator: &str, values: &[Value], stored: Option<&Value>) -> Option<bool> {
    let any = |holds: &dyn Fn(&Value, &Value) -> bool| {
        stored.is_some_and(|stored| values.iter().any(|value| holds(stored, value)))
    };
    let equal = any(&|stored, value| plain(stored) == plain(value));
    let contains = any(&|stored, value| {
        plain(stored)
            .to_lowercase()
            .contains(&plain(value).to_lowercase())
    });
    let matches = any(&|stored, value| plain(stored).contains(&plain(value)));
    let compared = |holds: fn(f64, f64) -> bool| {
        let [value] = values else { return None };
        let value = number(value)?;
        Some(
            stored
                .and_then(number)
                .is_some_and(|stored| holds(stored, value)),
        )
    };
    let dated = |holds: &dyn Fn(DateTime<Utc>, DateTime<Utc>) -> bool| {
        let [value] = values else { return None };
        let value = time(value)?;
        Some(
            stored
                .and_then(time)
                .is_some_and(|stored| holds(stored, value)),
        )
    };
    let is_day = values == [json!("2026-10-01")];
    match operator {
        "exact" | "in" => Some(equal),
        "is_not" | "not_in" => Some(!equal),
        "icontains" => Some(contains),
        "not_icontains" => Some(!contains),
        "regex" => Some(matches),
        "not_regex" => Some(!matches),
        "gt" => compared(|stored, value| stored > value),
        "gte" => compared(|stored, value| stored >= value),
        "lt" => compared(|stored, value| stored < value),
        "lte" => compared(|stored, value| stored <= value),
        "is_date_exact" if is_day => {
            dated(&|stored, value| stored.date_naive() == value.date_naive())
        }
        "is_date_exact" => dated(&|stored, value| stored == value),
        "is_date_after" => dated(&|stored, value| stored > value),
        "is_date_before" => dated(&|stored, value| stored < value),
        other => panic!("{other}"),
    }
}

/// Whether this has to work on every version.
fn must_work(operator: &str, key: &str, values: &[Value]) -> bool {
    let fits = |check: fn(&Value) -> bool| values.iter().all(check);
    match operator {
        "icontains" | "not_icontains" | "regex" | "not_regex" => true,
        "exact" | "is_not" | "in" | "not_in" => match key {
            "number" => fits(|value| number(value).is_some()),
            "flag" => fits(Value::is_boolean),
            "date" => false,
            _ => true,
        },
        "gt" | "gte" | "lt" | "lte" => {
            key == "number" && values.len() == 1 && fits(|value| number(value).is_some())
        }
        _ => key == "date" && values.len() == 1 && fits(|value| time(value).is_some()),
    }
}

/// Calls the list with a filter; the persons found, or the error.
async fn list(session: &Session, filter: &Value) -> Result<Vec<String>, String> {
    let arguments = json!({"properties": [filter], "limit": 100});
    let result = session.result("persons-list", arguments).await;
    if result.is_error == Some(true) {
        return Err(text(&result));
    }
    let page = result.structured_content.unwrap();
    let mut found: Vec<String> = column(&page, "uuid")
        .into_iter()
        .map(str::to_owned)
        .collect();
    found.sort();
    Ok(found)
}

async fn check(era: Era) {
    let mut setup = of(era);
    setup.sandbox.seed = Some(seed());
    let session = connect_with(setup).await;
    let mut wrong = Vec::new();
    for kind in ["text", "number", "flag", "date"] {
        for key in [kind.to_owned(), format!("{kind}_untyped")] {
            for operator in OPERATORS {
                for (one, other) in VALUES.into_iter().zip(OTHERS) {
                    let (one, other): (Value, Value) = (
                        serde_json::from_str(one).unwrap(),
                        serde_json::from_str(other).unwrap(),
                    );
                    let list_of_one = matches!(operator, "in" | "not_in");
                    let given = if list_of_one {
                        json!([one])
                    } else {
                        one.clone()
                    };
                    for (given, values) in [
                        (given, vec![one.clone()]),
                        (json!([one, other]), vec![one.clone(), other.clone()]),
                    ] {
                        let filter = json!({"key": key, "operator": operator, "value": given});
                        wrong.extend(verify(&session, &filter, operator, &key, &values).await);
                    }
                }
            }
        }
        for (operator, is_set) in [("is_set", true), ("is_not_set", false)] {
            let key = format!("{kind}_untyped");
            let found = list(&session, &json!({"key": key, "operator": operator})).await;
            let expected: Vec<String> = (0..8)
                .filter(|person| stored(&key, *person).is_some() == is_set)
                .map(uuid)
                .collect();
            assert_eq!(found, Ok(expected), "{key} {operator}");
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} are wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

async fn verify(
    session: &Session,
    filter: &Value,
    operator: &str,
    key: &str,
    values: &[Value],
) -> Option<String> {
    let expected: Option<Vec<String>> = (0..8)
        .map(|person| {
            Some((
                person,
                means(operator, values, stored(key, person).as_ref())?,
            ))
        })
        .collect::<Option<Vec<_>>>()
        .map(|all| {
            all.into_iter()
                .filter(|(_, is_meant)| *is_meant)
                .map(|(person, _)| uuid(person))
                .collect()
        });
    match (list(session, filter).await, expected) {
        (Ok(found), Some(expected)) if found == expected => None,
        (Ok(found), expected) => Some(format!("{filter}: {found:?} instead of {expected:?}")),
        (Err(error), _) if must_work(operator, key, values) => Some(format!("{filter}: {error}")),
        // A reason that names the type of the property, or what the operator needs.
        (Err(error), _) => {
            let is_explained = error.starts_with("Invalid argument")
                || error.contains("does not know")
                || error.contains("a filter does not suit the type of its property");
            (!is_explained).then(|| format!("{filter}: {error}"))
        }
    }
}

#[tokio::test]
async fn operators_mean_what_they_say_in_august_2025() {
    check(Era::August2025).await;
}

#[tokio::test]
async fn operators_mean_what_they_say_in_june_2026() {
    check(Era::June2026).await;
}

#[tokio::test]
async fn operators_mean_what_they_say_in_september_2026() {
    check(Era::September2026).await;
}
