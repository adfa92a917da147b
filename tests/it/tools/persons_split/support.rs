//! Grace and her distinct ids.

use crate::writing::GRACE;
use serde_json::{Value, json};

pub(super) const TOOL: &str = "persons-split";

pub(super) const KATHERINE: &str = "cb6afac3-9b8e-52f6-90cd-885fdcc94639";

pub(super) const LAPTOP: &str = "6651cb37-b670-5900-9cec-a4bd1bff21d0";

pub(super) const ANONYMOUS: &str = "0190f1aa-2222-4aaa-8bbb-0000000009ac";

/// The new person of the distinct id that Grace's UUID derives from.
pub(super) const SECOND_GRACE: &str = "eda47886-4070-5fdf-b07c-0fad652b1a39";

pub(super) fn katherines() -> Value {
    json!({"id": GRACE, "distinct_ids_to_split": ["katherine@example.com", "katherine-laptop"]})
}

pub(super) fn with(mut arguments: Value, name: &str, value: impl Into<Value>) -> Value {
    arguments[name] = value.into();
    arguments
}
