//! Texts that nobody writes on purpose get a response too.

use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Builder;

use crate::api;

const WORDS: &[&str] = &[
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "limit",
    "having",
    "events",
    "persons",
    "id",
    "event",
    "timestamp",
    "properties",
    "properties.plan",
    "count()",
    "arrayJoin([1,2])",
    "lower(",
    ")",
    "(",
    "[",
    "]",
    "1",
    "-9223372036854775808",
    "'a'",
    "{v}",
    ",",
    "and",
    "or",
    "not",
    "in",
    "like",
    "between",
    "is null",
    "=",
    "<",
    "+",
    "-",
    "*",
    "/",
    ".",
    "as x",
    "x",
    "over (",
    "rows",
    "case",
    "when",
    "then",
    "end",
    "interval 1 day",
    "toDateTime('9999-12-31')",
    "--",
    "`",
    "?",
    ":",
    "->",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_text_is_answered(words in proptest::collection::vec(0..WORDS.len(), 1..14)) {
        let words: Vec<&str> = words.into_iter().map(|index| WORDS[index]).collect();
        let text = format!("select {}", words.join(" "));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reply = api().await.hogql(&text, json!({"v": 1})).await;
            assert!(matches!(reply.status, 200 | 400 | 500), "{text}: {}", reply.text);
            assert!(reply.body.is_object(), "{text}: {}", reply.text);
        });
    }
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let api = api().await;
    for (open, close) in [
        ("(", ")"),
        ("not (", ")"),
        ("-(", ")"),
        ("[", "]"),
        ("(select ", ")"),
        ("1 from (select ", ")"),
    ] {
        let text = format!("select {}1{}", open.repeat(20_000), close.repeat(20_000));
        assert_eq!(api.hogql(&text, json!({})).await.status, 400, "{open}");
    }
}
