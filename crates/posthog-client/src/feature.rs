//! What this PostHog can do, where an older one does something else with the same request.
//!
//! Three fields of two endpoints are dangerous on a PostHog that does not know them: it ignores the field and does the
//! rest. A split that should move two distinct ids moves all and wipes the person; a deletion that should keep the person
//! deletes it. Whether the fields are known is never inferred from a sign that could mean something else: PostHog Cloud is
//! current, and an instance of one's own lists the fields of its endpoints in its schema.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A field of a request that older versions of PostHog ignore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `distinct_ids_to_split` of a split.
    PartialSplit,
    /// `keep_person` of a bulk deletion.
    KeepPerson,
    /// `delete_recordings` of a bulk deletion.
    DeleteRecordings,
}

impl Feature {
    const ALL: [Self; 3] = [Self::PartialSplit, Self::KeepPerson, Self::DeleteRecordings];

    /// The name of the field.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::PartialSplit => "distinct_ids_to_split",
            Self::KeepPerson => "keep_person",
            Self::DeleteRecordings => "delete_recordings",
        }
    }

    /// Since when PostHog knows it.
    #[must_use]
    pub fn since(self) -> &'static str {
        match self {
            Self::PartialSplit => "June 2026",
            Self::KeepPerson | Self::DeleteRecordings => "December 2025",
        }
    }

    fn path_end(self) -> &'static str {
        match self {
            Self::PartialSplit => "/persons/{id}/split/",
            Self::KeepPerson | Self::DeleteRecordings => "/persons/bulk_delete/",
        }
    }
}

/// Whether a feature is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Supported,
    /// This PostHog is older than it.
    TooOld,
    /// The instance's schema could not be read. Counts as too old.
    Unknown,
}

/// What the schema of an instance lists, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownFeatures(Option<Vec<Feature>>);

impl KnownFeatures {
    pub(crate) fn support(&self, feature: Feature) -> Support {
        match &self.0 {
            Some(known) if known.contains(&feature) => Support::Supported,
            Some(_) => Support::TooOld,
            None => Support::Unknown,
        }
    }

    pub(crate) fn read(schema: &str) -> Self {
        let Ok(schema) = serde_json::from_str::<Schema>(schema) else {
            return Self(None);
        };
        let knows = |feature: &Feature| {
            let operations = schema
                .paths
                .iter()
                .filter(|(path, _)| path.ends_with(feature.path_end()));
            operations
                .map(|(_, operation)| *operation)
                .any(|operation| schema.fields(operation).contains(feature.field()))
        };
        // A document without these endpoints says nothing about their fields.
        let is_persons_api = schema
            .paths
            .keys()
            .any(|path| path.ends_with("/persons/bulk_delete/"));
        Self(is_persons_api.then(|| Feature::ALL.into_iter().filter(knows).collect()))
    }
}

/// The parts of an `OpenAPI` document that matter, as they stand: the document has megabytes.
#[derive(Deserialize)]
struct Schema<'a> {
    #[serde(borrow)]
    paths: HashMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    components: Components<'a>,
}

#[derive(Deserialize, Default)]
struct Components<'a> {
    #[serde(borrow, default)]
    schemas: HashMap<String, &'a RawValue>,
}

impl Schema<'_> {
    /// The names of what a `POST` of a path takes, in its body or its query.
    fn fields(&self, path: &RawValue) -> BTreeSet<String> {
        let operation = serde_json::from_str::<Value>(path.get()).unwrap_or_default();
        let post = operation.get("post").cloned().unwrap_or_default();
        let mut fields = BTreeSet::new();
        let parameters = post.get("parameters").and_then(Value::as_array);
        for parameter in parameters.into_iter().flatten() {
            fields.extend(
                parameter
                    .get("name")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
        }
        let mut seen = BTreeSet::new();
        self.collect(post.get("requestBody"), &mut fields, &mut seen);
        fields
    }

    fn collect(
        &self,
        schema: Option<&Value>,
        fields: &mut BTreeSet<String>,
        seen: &mut BTreeSet<String>,
    ) {
        match schema {
            Some(Value::Array(items)) => {
                for item in items {
                    self.collect(Some(item), fields, seen);
                }
            }
            Some(Value::Object(object)) => {
                for (name, value) in object {
                    match (name.as_str(), value) {
                        ("$ref", Value::String(reference)) => {
                            let name = reference.rsplit('/').next().unwrap_or_default();
                            if seen.insert(name.to_owned()) {
                                let referenced = self.components.schemas.get(name);
                                let referenced =
                                    referenced.and_then(|raw| serde_json::from_str(raw.get()).ok());
                                self.collect(referenced.as_ref(), fields, seen);
                            }
                        }
                        ("properties", Value::Object(properties)) => {
                            fields.extend(properties.keys().cloned())
                        }
                        (_, value) => self.collect(Some(value), fields, seen),
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known(schema: &Value) -> [Support; 3] {
        let known = KnownFeatures::read(&schema.to_string());
        Feature::ALL.map(|feature| known.support(feature))
    }

    #[test]
    fn fields_are_found_in_bodies_references_and_parameters() {
        use Support::{Supported, TooOld, Unknown};

        let split = |body: Value| json!({"post": {"requestBody": {"content": {"application/json": {"schema": body}}}}});
        let current = json!({
            "paths": {
                "/api/projects/{project_id}/persons/{id}/split/":
                    split(json!({"properties": {"main_distinct_id": {}, "distinct_ids_to_split": {}}})),
                "/api/projects/{project_id}/persons/bulk_delete/": split(json!({"$ref": "#/components/schemas/Bulk"})),
            },
            "components": {"schemas": {
                "Bulk": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"$ref": "#/components/schemas/Bulk"}]},
                "Base": {"properties": {"ids": {}, "keep_person": {}, "delete_recordings": {}}},
            }},
        });
        assert_eq!(known(&current), [Supported, Supported, Supported]);
        let parameters = json!({"paths": {
            "/api/projects/{project_id}/persons/{id}/split/": split(json!({"$ref": "#/components/schemas/Person"})),
            "/api/projects/{project_id}/persons/bulk_delete/": {"post": {"parameters": [{"name": "keep_person"}]}},
        }});
        assert_eq!(known(&parameters), [TooOld, Supported, TooOld]);
        // The fields of another endpoint prove nothing.
        let elsewhere = json!({"paths": {
            "/api/projects/{project_id}/persons/{id}/split/": {"get": current["paths"]["/api/projects/{project_id}/persons/{id}/split/"]["post"]},
            "/api/projects/{project_id}/persons/bulk_delete/": {"post": {}},
            "/api/projects/{project_id}/groups/bulk_delete/": split(json!({"properties": {"keep_person": {}}})),
        }});
        assert_eq!(known(&elsewhere), [TooOld, TooOld, TooOld]);
        for nothing in [
            json!({}),
            json!({"paths": {}}),
            json!("no"),
            json!({"paths": {"/api/users/": {}}}),
        ] {
            assert_eq!(known(&nothing), [Unknown, Unknown, Unknown], "{nothing}");
        }
    }
}
