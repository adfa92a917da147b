//! The properties of a person, either stored or computed on demand. Computed properties keep a sandbox with many
//! generated persons small; the first edit turns them into a stored map.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) type PropertyMap = Map<String, Value>;

/// Cheap to clone: the two stores and every event share one map until it is edited.
#[derive(Clone, Debug)]
pub(crate) enum Properties {
    Stored(Arc<PropertyMap>),
    /// The properties of the generated person with this number.
    Computed(u64, &'static PropertySource),
}

/// Computes the properties of a generated person from its number.
#[derive(Debug)]
pub(crate) struct PropertySource {
    pub(crate) keys: &'static [&'static str],
    pub(crate) value: fn(u64, &str) -> Option<Value>,
}

impl PropertySource {
    fn map(&self, number: u64) -> PropertyMap {
        let pair = |key: &&str| (self.value)(number, key).map(|value| ((*key).to_owned(), value));
        self.keys.iter().filter_map(pair).collect()
    }
}

impl Properties {
    pub(crate) fn empty() -> Self {
        Self::from(PropertyMap::new())
    }

    pub(crate) fn get(&self, key: &str) -> Option<Cow<'_, Value>> {
        match self {
            Self::Stored(map) => map.get(key).map(Cow::Borrowed),
            Self::Computed(number, source) => (source.value)(*number, key).map(Cow::Owned),
        }
    }

    pub(crate) fn to_map(&self) -> PropertyMap {
        match self {
            Self::Stored(map) => map.as_ref().clone(),
            Self::Computed(number, source) => source.map(*number),
        }
    }

    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut PropertyMap)) {
        let mut map = match mem::replace(self, Self::empty()) {
            Self::Stored(map) => map,
            Self::Computed(number, source) => Arc::new(source.map(number)),
        };
        change(Arc::make_mut(&mut map));
        *self = Self::Stored(map);
    }
}

impl From<PropertyMap> for Properties {
    fn from(map: PropertyMap) -> Self {
        Self::Stored(Arc::new(map))
    }
}
