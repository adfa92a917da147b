//! A binary that was built without the feature `redis`.

use crate::process::{binary, run};

#[tokio::test]
async fn redis_option_is_rejected_without_the_feature() {
    let url = "redis://user:hunter2@127.0.0.1:6379";
    let command = binary(&["http", "--sandbox", "--bind", "127.0.0.1:0", "--redis", url]);
    let ended = run(command, "").await;
    let refusal = ended.startup_error();
    assert!(refusal.contains("--redis"), "{refusal}");
    assert!(refusal.contains("`--features redis`"), "{refusal}");
    assert!(!refusal.contains("hunter2"), "{refusal}");
}
