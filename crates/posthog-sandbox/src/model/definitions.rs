//! Property definitions: the type that a project has recorded for a property, by which its filters are evaluated.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum PropertyType {
    String,
    Numeric,
    Boolean,
    DateTime,
}

impl PropertyType {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Numeric => "Numeric",
            Self::Boolean => "Boolean",
            Self::DateTime => "DateTime",
        }
    }
}

/// What has the property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PropertyOwner {
    #[default]
    Person,
    Event,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PropertyDefinition {
    pub(crate) name: String,
    #[serde(rename = "type", default)]
    pub(crate) owner: PropertyOwner,
    /// A definition may have no type, which counts as no definition in a filter.
    pub(crate) property_type: Option<PropertyType>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct PropertyDefinitions(Vec<PropertyDefinition>);

impl PropertyDefinitions {
    pub(crate) fn type_of(&self, owner: PropertyOwner, name: &str) -> Option<PropertyType> {
        let mut same = self.of(owner).filter(|definition| definition.name == name);
        same.next()?.property_type
    }

    pub(crate) fn of(&self, owner: PropertyOwner) -> impl Iterator<Item = &PropertyDefinition> {
        self.0
            .iter()
            .filter(move |definition| definition.owner == owner)
    }
}
