//! What the events of a person are, for the report.

use std::collections::HashMap;

/// Names that are counted one by one.
const MAX_NAMES: usize = 1000;

/// What the events are.
#[derive(Debug, Default)]
pub(super) struct EventSummary {
    /// For each name.
    pub(super) names: HashMap<String, NameCount>,
    /// Events with further names.
    pub(super) others: u64,
}

/// The events of one name.
#[derive(Debug)]
pub(super) struct NameCount {
    pub(super) count: u64,
    pub(super) first: String,
    pub(super) last: String,
}

impl EventSummary {
    pub(super) fn add(&mut self, name: String, at: String) {
        if let Some(of_name) = self.names.get_mut(&name) {
            of_name.count += 1;
            of_name.last = at;
        } else if self.names.len() < MAX_NAMES {
            let (first, last) = (at.clone(), at);
            self.names.insert(
                name,
                NameCount {
                    count: 1,
                    first,
                    last,
                },
            );
        } else {
            self.others += 1;
        }
    }
}
