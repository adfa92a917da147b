//! One call of an endpoint: what the handlers see of the request and of the world, and the one
//! place where strictness is spoken.

use serde_json::Value;
use uuid::Uuid;

use super::SandboxOptions;
use super::answer::Answer;
use super::dates::{self, Time};
use super::faults::Behaviors;
use super::incoming::{Body, Incoming};
use super::keys::Key;
use super::properties::{Properties, PropertyMap};
use super::stores::Person;
use super::world::World;

pub(super) struct Call<'a> {
    pub(super) request: &'a Incoming,
    pub(super) world: &'a mut World,
    pub(super) options: &'a SandboxOptions,
    pub(super) behaviors: &'a Behaviors,
    pub(super) violations: &'a mut Vec<String>,
    pub(super) key: &'a Key,
    pub(super) now: Time,
    /// The `{id}` of the path, decoded; empty for routes without one.
    pub(super) id: String,
}

impl Call<'_> {
    /// Writes down what a client should never do, without answering it.
    pub(super) fn complain(&mut self, detail: &str) {
        self.violations.push(violation(self.request, detail));
    }

    /// Refuses what the contract knows no answer for.
    pub(super) fn strict(&mut self, detail: impl AsRef<str>) -> Answer {
        self.complain(detail.as_ref());
        strict_answer(detail.as_ref())
    }

    /// What the real server does not survive, and no client should send.
    pub(super) fn crash(&mut self, detail: impl AsRef<str>) -> Answer {
        self.complain(detail.as_ref());
        Answer::server_error(500)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.request.parameter(name)
    }

    /// An integer parameter that the real server reads without a net.
    pub(super) fn integer(&mut self, name: &str, default: usize) -> Result<usize, Answer> {
        match self.parameter(name) {
            None | Some("") => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => {
                    let detail = format!("the parameter {name} is no integer: {text:?}");
                    Err(self.crash(detail))
                }
            },
        }
    }

    /// A date, absolute or relative; `None` for what is neither.
    pub(super) fn date(&mut self, written: &str) -> Result<Option<Time>, Answer> {
        if dates::is_beyond(written) {
            return Err(self.strict(format!("a year beyond 9999: {written:?}")));
        }
        Ok(dates::parse_relative(written, self.now))
    }

    /// The lookup that the detail routes share: by UUID or numeric id, in the primary store.
    pub(super) fn person(&self) -> Result<&Person, Answer> {
        self.person_by_id(&self.id)
    }

    pub(super) fn person_by_id(&self, id: &str) -> Result<&Person, Answer> {
        let primary = &self.world.primary;
        let found = if let Ok(number) = id.parse::<u64>() {
            primary.get(number)
        } else if let Ok(uuid) = Uuid::parse_str(id) {
            primary.by_uuid(uuid)
        } else {
            return Err(Answer::invalid(
                format!(
                    "The ID provided ({id}) is neither a numeric person id nor a UUID. To look a \
                     person up by distinct ID use the list endpoint with ?distinct_id=."
                ),
                None,
            ));
        };
        found.ok_or_else(|| Answer::not_found("Not found."))
    }

    /// The fields of the body; an empty body has none. Fields outside `allowed` are refused.
    pub(super) fn fields(&mut self, allowed: &[&str]) -> Result<PropertyMap, Answer> {
        let fields = self.any_fields()?;
        match fields.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(field) => Err(self.strict(format!("unknown body field {field:?}"))),
            None => Ok(fields),
        }
    }

    pub(super) fn any_fields(&mut self) -> Result<PropertyMap, Answer> {
        match &self.request.body {
            Body::Empty => Ok(PropertyMap::new()),
            Body::Json(Value::Object(fields)) => Ok(fields.clone()),
            Body::Json(other) => {
                let detail = format!("a body that is no JSON object: {other}");
                Err(self.crash(detail))
            }
            Body::Malformed => {
                self.complain("a body that is not JSON");
                let detail = "JSON parse error - Expecting value: line 1 column 1 (char 0)";
                Err(Answer::error(
                    400,
                    "invalid_request",
                    "parse_error",
                    detail,
                    None,
                ))
            }
        }
    }

    /// The properties that the caller may see; access control removes the rest without a trace.
    pub(super) fn visible(&self, properties: &Properties) -> PropertyMap {
        let mut map = properties.to_map();
        for key in &self.behaviors.restricted_properties {
            map.remove(key);
        }
        map
    }
}

pub(super) fn violation(request: &Incoming, detail: &str) -> String {
    format!("{} {}: {detail}", request.method(), request.full_path())
}

pub(super) fn strict_answer(detail: &str) -> Answer {
    let detail = format!("The sandbox did not expect this: {detail}");
    Answer::error(400, "validation_error", "sandbox_strict", detail, None)
}
