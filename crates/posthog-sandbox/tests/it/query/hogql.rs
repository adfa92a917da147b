//! HogQL: what is evaluated, and what is refused.

use posthog_sandbox::{Era, SandboxOptions};
use serde_json::{Value, json};

use super::sending::{first_cells, rows};
use crate::{ADA, api, assert_error, assert_server_error, start};

#[tokio::test]
async fn expressions_are_evaluated() {
    let api = api().await;
    let cases = [
        (
            "1 + 2 * 3, (1 + 2) * 3, 7 % 4, -2, 7 / 2",
            json!([7, 9, 3, -2, 3.5]),
        ),
        (
            "lower('ÄB'), upper('a'), trim('  a b '), length('äb')",
            json!(["Äb", "A", "a b", 3]),
        ),
        (
            "concat('a', 'b', 1), 'a' || 'b', substring('abc', 2, 1)",
            json!(["ab1", "ab", "b"]),
        ),
        (
            "position('abc', 'c'), startsWith('abc', 'ab'), 'a' in ['a', 'b']",
            json!([3, 1, 1]),
        ),
        (
            "if(1 > 2, 'a', 'b'), multiIf(0, 1, 1, 2, 3), 1 ? 2 : 3",
            json!(["b", 2, 2]),
        ),
        (
            "case when 1 = 2 then 'a' else 'b' end, coalesce(null, 'c')",
            json!(["b", "c"]),
        ),
        (
            "nullIf(1, 1), ifNull(null, 2), isNull(null), 1 is not null",
            json!([null, 2, 1, 1]),
        ),
        (
            "not 1, 1 and 0, 1 or 0, 2 between 1 and 3, 2 not in [2]",
            json!([0, 0, 1, 1, 0]),
        ),
        (
            "null = null, null != 1, null < 1, 'a' not like null",
            json!([1, 1, 0, 1]),
        ),
        (
            "'100%' like '100\\\\%', 'ABC' ilike 'b%', 'ABC' ilike '%b%'",
            json!([1, 0, 1]),
        ),
        (
            "(1, 'a') < (1, 'b'), tuple(1, 'x').2, [5, 6][2], [5, 6][-1]",
            json!([1, "x", 6, 6]),
        ),
        (
            "arraySort([3, 1, 2]), arraySlice([1, 2, 3], 2), arraySlice([1, 2, 3], 1, 2)",
            json!([[1, 2, 3], [2, 3], [1, 2]]),
        ),
        (
            "arrayMap(x -> x * 2, [1, 2]), arrayFilter(x -> x > 1, [1, 2])",
            json!([[2, 4], [2]]),
        ),
        (
            "arrayExists(x -> x = 2, [1, 2]), has([1], 2), arrayDistinct([1, 1, 2])",
            json!([1, 0, [1, 2]]),
        ),
        (
            r#"JSONExtractString('{"a":"x\\"y","n":1}', 'a'), JSONExtractRaw('{"a":[1,2]}', 'a')"#,
            json!(["x\"y", "[1,2]"]),
        ),
        (
            r#"JSONExtractString('{"n":1}', 'n'), JSONHas('{"n":null}', 'n'), JSONExtractInt('{"n":7}', 'n')"#,
            json!(["", 1, 7]),
        ),
        (
            r#"JSONExtract('["a"]', 'Array(String)'), JSONExtractKeys('{"b":1,"a":2}')"#,
            json!([["a"], ["a", "b"]]),
        ),
        (
            "toString(toDateTime('2026-11-02T10:00:00.5+01:00'))",
            json!(["2026-11-02 09:00:00.500000"]),
        ),
        (
            "toDateTime('2026-11-02') + interval 1 day, toDateTime('garbage')",
            json!(["2026-11-03T00:00:00Z", null]),
        ),
        (
            "toStartOfMonth(toDateTime('2026-11-02T10:00:00Z')), dateDiff('day', toDateTime('2026-11-01'), toDateTime('2026-11-03'))",
            json!(["2026-11-01T00:00:00Z", 2]),
        ),
        (
            "toInt('7'), toInt('x'), toFloat('1.5'), toUUID('x'), round(2.345, 2)",
            json!([7, null, 1.5, null, 2.35]),
        ),
        (
            "greatest(1, 2), least('a', 'b'), abs(-1), [1] = [1]",
            json!([2, "a", 1, 1]),
        ),
    ];
    for (text, expected) in cases {
        let found = api.rows(&format!("select {text}")).await;
        assert_eq!(found[0], expected, "{text}");
    }
}

#[tokio::test]
async fn rows_are_grouped_joined_and_sorted() {
    let api = api().await;
    let cases = [
        (
            "select event, count() as n, countIf(distinct_id = 'ada@example.com') as of_ada from events \
             where event in ('sign up', 'purchase') group by event having n > 1 order by n desc",
            json!([["sign up", 8, 1], ["purchase", 4, 1]]),
        ),
        (
            "select count(), count(distinct event), uniqExact(event) from events where event = 'purchase'",
            json!([[4, 1, 1]]),
        ),
        // An aggregate of nothing has one row, of defaults.
        (
            "select count(), min(timestamp), max(event), sum(1), groupArray(event) from events where 0",
            json!([[0, "1970-01-01T00:00:00Z", "", 0, []]]),
        ),
        ("select event from events where 0", json!([])),
        (
            "select k, n from (select arrayJoin(['b', 'a', 'b']) as k, 1 as n) order by k, n",
            json!([["a", 1], ["b", 1], ["b", 1]]),
        ),
        (
            "select distinct event from events where distinct_id = 'alan@example.com' order by event",
            json!([["$pageview"], ["sign up"]]),
        ),
        (
            "select argMax(event, timestamp) as last, argMin(event, timestamp) as first, any(distinct_id) \
             from events where distinct_id = 'hedy@example.com'",
            json!([["purchase", "sign up", "hedy@example.com"]]),
        ),
        (
            "with buyers as (select person_id from events where event = 'purchase') \
             select count() from persons where id in (select person_id from buyers)",
            json!([[3]]),
        ),
        (
            "select e.event, e.properties.amount from events as e where e.event = 'purchase' order by e.timestamp limit 1",
            json!([["purchase", 1200.5]]),
        ),
        (
            "select v, lagInFrame(v) over (order by v) as before, row_number() over (order by v desc) as n, \
             sum(v) over (order by v rows between unbounded preceding and current row) as total \
             from (select arrayJoin([3, 1, 2]) as v) order by v",
            json!([[1, 0, 3, 1], [2, 1, 2, 3], [3, 2, 1, 6]]),
        ),
        ("select 1 union all select 2", json!([[1], [2]])),
        (
            "select count() from persons where id in cohort 11",
            json!([[3]]),
        ),
        ("select 2 as a, a + 1 as b", json!([[2, 3]])),
    ];
    for (text, expected) in cases {
        assert_eq!(api.rows(text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn values_are_never_part_of_the_text() {
    let api = api().await;
    let hostile = [
        "' or 1=1 --",
        "{other}",
        "/* */",
        "\\",
        "\\'",
        "a'; drop",
        "`\"",
        "%_",
    ];
    for text in hostile {
        let reply = api.hogql("select {v}, {v} = 'x'", json!({"v": text})).await;
        assert_eq!(rows(&reply), json!([[text, 0]]), "{text}");
    }
    let text = "select properties[{k}] from persons where properties[{k}] = {v} limit {n}";
    let values = json!({"k": "name", "v": "Ada Lovelace", "n": 5, "unused": 1});
    assert_eq!(
        first_cells(&api.hogql(text, values).await),
        ["Ada Lovelace"]
    );
    assert_eq!(
        rows(
            &api.hogql(
                "select count() from events where event in {e}",
                json!({"e": []})
            )
            .await
        ),
        json!([[0]])
    );
    api.assert_no_violations();
}

#[tokio::test]
async fn properties_are_read_as_their_definition_says() {
    let api = api().await;
    let text = "select properties.seats, properties.active, properties.last_invoice_at, properties.balance, \
                properties.tags, properties.referrer, properties.absent, JSONExtractRaw(properties, 'seats') \
                from persons where properties.email = 'emmy@example.com'";
    let expected = json!([[
        3.0,
        true,
        "2026-10-01T06:30:00Z",
        "-12.75",
        "[\"algebra\",\"physics\"]",
        null,
        null,
        "3"
    ]]);
    assert_eq!(api.rows(text).await, expected);
}

#[tokio::test]
async fn changes_of_a_property_are_found_on_events() {
    let api = api().await;
    let text = "select timestamp, v, prev from (select timestamp, v, \
                lagInFrame(v) over (partition by k order by timestamp asc, toString(uuid) asc \
                rows between unbounded preceding and current row) as prev, \
                row_number() over (partition by k order by timestamp asc, toString(uuid) asc) as rn \
                from (select timestamp, uuid, arrayJoin({keys}) as k, JSONExtractRaw(poe.properties, k) as v \
                from events where person_id = {pid})) where rn = 1 or v != prev order by timestamp limit 100";
    let reply = api.hogql(text, json!({"keys": ["plan"], "pid": ADA})).await;
    let expected = json!([
        ["2026-03-02T10:00:00Z", "", ""],
        ["2026-03-02T10:05:00Z", "\"free\"", ""],
        ["2026-05-11T09:30:00Z", "\"trial\"", "\"free\""],
        ["2026-06-10T16:45:00Z", "\"pro\"", "\"trial\""],
    ]);
    assert_eq!(rows(&reply), expected);
}

#[tokio::test]
async fn without_a_limit_there_are_100_rows() {
    let options = SandboxOptions {
        persons: 150,
        ..SandboxOptions::default()
    };
    let api = start(options).await;
    let reply = api.hogql("select id from persons", json!({})).await;
    assert_eq!(rows(&reply).as_array().unwrap().len(), 100);
    assert_eq!(
        (&reply.body["hasMore"], &reply.body["limit"]),
        (&json!(true), &json!(100))
    );
    let reply = api
        .hogql("select id from persons limit 120", json!({}))
        .await;
    assert_eq!(rows(&reply).as_array().unwrap().len(), 120);
    assert_eq!(
        (&reply.body["hasMore"], &reply.body["limit"]),
        (&Value::Null, &Value::Null)
    );
    api.sandbox
        .update_behaviors(|behaviors| behaviors.row_cap = Some(7));
    let reply = api
        .hogql("select id from persons limit 120", json!({}))
        .await;
    assert_eq!(rows(&reply).as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn uuids_are_ordered_by_their_second_half() {
    let api = api().await;
    let text = "select toUUID('10000000-0000-4000-8000-000000000001') < toUUID('00000000-0000-4000-8000-000000000002')";
    assert_eq!(api.rows(text).await, json!([[1]]));
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let api = api().await;
    let cases = [
        ("selec 1", "hogql_syntax_error"),
        ("select 1;", "hogql_syntax_error"),
        ("select 'open", "hogql_syntax_error"),
        ("select (1", "hogql_syntax_error"),
        ("insert into persons values (1)", "hogql_syntax_error"),
        ("select nope from events", "hogql_query_error"),
        ("select 1 from nope", "hogql_query_error"),
        ("select * from url('http://x')", "hogql_query_error"),
        ("select sleep(1)", "hogql_query_error"),
        ("select throwIf(1)", "hogql_query_error"),
        ("select lower()", "hogql_query_error"),
        ("select {nope}", "hogql_query_error"),
        (
            "select 1 from persons limit 1 offset 1",
            "hogql_query_error",
        ),
        (
            "select count() from persons where id in cohort 99",
            "hogql_query_error",
        ),
        ("select lower(1)", "illegal_type_of_argument"),
        ("select event, count() from events", "not_an_aggregate"),
        (
            "select event from events where count() > 1",
            "illegal_aggregation",
        ),
        (
            "select uuid from events where timestamp < '2026-11-16T12:01:00Z'",
            "type_mismatch",
        ),
        ("select uuid from events where event = 1", "no_common_type"),
        (
            "select count() from events where person_id = 'x'",
            "cannot_parse_uuid",
        ),
        (
            "select count() from events where person_id in ['x']",
            "cannot_parse_uuid",
        ),
        ("select intDiv(1, 0)", "illegal_division"),
    ];
    for (text, code) in cases {
        let reply = api.hogql(text, json!({})).await;
        assert_error(&reply, 400, "validation_error", code, Value::Null);
    }
    assert_server_error(&api.hogql("select {v}", json!({"v": {"a": 1}})).await);
    assert_server_error(
        &api.hogql("select event =~ '[' from events", json!({}))
            .await,
    );
}

#[tokio::test]
async fn earlier_versions_refuse_under_another_code() {
    let options = SandboxOptions {
        era: Era::August2025,
        ..SandboxOptions::default()
    };
    let api = start(options).await;
    for text in [
        "selec 1",
        "select nope from events",
        "select last_seen_at from persons",
    ] {
        let reply = api.hogql(text, json!({})).await;
        assert_error(
            &reply,
            400,
            "validation_error",
            "invalid_input",
            Value::Null,
        );
    }
    let reply = api
        .hogql(
            "select id from persons order by created_at limit 1 offset 1",
            json!({}),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test]
async fn generated_persons_have_duplicates() {
    let options = SandboxOptions {
        persons: 1000,
        ..SandboxOptions::default()
    };
    let api = start(options).await;
    let text = "select norm, count() as n, groupArray(20)(toString(id)) as ids from \
                (select id, lower(trim(JSONExtractString(properties, {k}))) as norm from persons \
                where JSONExtractString(properties, {k}) != '') \
                group by norm having n > 1 order by n desc, norm limit 101";
    let found = rows(&api.hogql(text, json!({"k": "email"})).await);
    let found = found.as_array().unwrap().iter();
    let found: Vec<Value> = found.map(|row| json!([row[0], row[1]])).collect();
    let expected = [
        json!(["user-0924@example.net", 3]),
        json!(["user-0949@example.net", 2]),
        json!(["user-0974@example.net", 2]),
    ];
    assert_eq!(found, expected);
}
