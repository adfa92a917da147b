//! The property map of a person, either stored or computed on demand. Computed maps keep a sandbox
//! with many generated persons small; the first edit turns one into a stored map.

use std::borrow::Cow;
use std::mem;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::generated;

pub(super) type PropertyMap = Map<String, Value>;

/// Cheap to clone: the two stores and every event share one map until somebody edits it.
#[derive(Clone, Debug)]
pub(super) enum Properties {
    Stored(Arc<PropertyMap>),
    /// The properties of the generated person with this number.
    Generated(u64),
}

impl Properties {
    pub(super) fn empty() -> Self {
        Self::from(PropertyMap::new())
    }

    pub(super) fn get(&self, key: &str) -> Option<Cow<'_, Value>> {
        match self {
            Self::Stored(map) => map.get(key).map(Cow::Borrowed),
            Self::Generated(number) => generated::property(*number, key).map(Cow::Owned),
        }
    }

    pub(super) fn to_map(&self) -> PropertyMap {
        match self {
            Self::Stored(map) => map.as_ref().clone(),
            Self::Generated(number) => generated::properties(*number),
        }
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut PropertyMap)) {
        let mut map = match mem::replace(self, Self::Generated(0)) {
            Self::Stored(map) => map,
            Self::Generated(number) => Arc::new(generated::properties(number)),
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
