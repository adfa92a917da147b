//! The context of a handler: the request, the project, the key, and how violations are reported.

use serde_json::Value;
use uuid::Uuid;

use super::query::QueryStore;
use crate::http::{Body, Key, Request, Response};
use crate::model::dates::Time;
use crate::model::{Era, Person, ProjectState, Properties, PropertyMap, dates};
use crate::options::{Behaviors, SandboxOptions};

pub(crate) struct Context<'a> {
    pub(crate) request: &'a Request,
    pub(crate) project: &'a mut ProjectState,
    pub(crate) options: &'a SandboxOptions,
    pub(crate) behaviors: &'a Behaviors,
    pub(crate) violations: &'a mut Vec<String>,
    pub(crate) queries: &'a mut QueryStore,
    pub(crate) key: &'a Key,
    pub(crate) now: Time,
    /// The `{id}` of the path, decoded; empty for routes without one.
    pub(crate) id: String,
    /// Whether the path is below `/api/person/`, which takes the project from the key owner's current one.
    pub(crate) old_mount: bool,
}

impl Context<'_> {
    pub(crate) fn era(&self) -> Era {
        self.options.era
    }

    /// Records a violation that PostHog tolerates.
    pub(crate) fn record_violation(&mut self, detail: &str) {
        self.violations.push(violation(self.request, detail));
    }

    /// Records a violation for which PostHog's response is unknown, and returns the sandbox's own error.
    pub(crate) fn reject(&mut self, detail: impl AsRef<str>) -> Response {
        self.record_violation(detail.as_ref());
        rejection(detail.as_ref())
    }

    /// Records a violation that PostHog fails on, and returns its 500.
    pub(crate) fn crash(&mut self, detail: impl AsRef<str>) -> Response {
        self.record_violation(detail.as_ref());
        Response::server_error(500)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        if name == "limit" && self.behaviors.limit_ignored {
            return None;
        }
        self.request.parameter(name)
    }

    /// An integer parameter that PostHog reads without validation.
    pub(crate) fn integer(&mut self, name: &str, default: usize) -> Result<usize, Response> {
        match self.parameter(name) {
            None | Some("") => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => {
                    let detail = format!("parameter {name} is not an integer: {text:?}");
                    Err(self.crash(detail))
                }
            },
        }
    }

    /// A date, absolute or relative; `None` if it is neither.
    pub(crate) fn date(&mut self, written: &str) -> Result<Option<Time>, Response> {
        if dates::is_out_of_range(written) {
            return Err(self.reject(format!("year out of range: {written:?}")));
        }
        Ok(dates::parse_relative(written, self.now))
    }

    /// The person of the path, by UUID or numeric id, in the primary store.
    pub(crate) fn person(&self) -> Result<&Person, Response> {
        self.person_by_id(&self.id)
    }

    pub(crate) fn person_by_id(&self, id: &str) -> Result<&Person, Response> {
        let primary = &self.project.primary;
        let found = if let Ok(uuid) = Uuid::parse_str(id) {
            primary.by_uuid(uuid)
        } else if is_integer(id) {
            id.parse().ok().and_then(|number| primary.get(number))
        } else {
            return Err(Response::invalid(
                format!(
                    "The ID provided does not look like a personID. If you are using a distinctId, \
                     please use /persons?distinct_id={id} instead."
                ),
                None,
            ));
        };
        found.ok_or_else(|| Response::not_found("Not found."))
    }

    /// The fields of the body; an empty body has none. Fields outside `allowed` are rejected.
    pub(crate) fn fields(&mut self, allowed: &[&str]) -> Result<PropertyMap, Response> {
        let fields = self.any_fields()?;
        match fields.keys().find(|key| !allowed.contains(&key.as_str())) {
            Some(field) => Err(self.reject(format!("unknown body field {field:?}"))),
            None => Ok(fields),
        }
    }

    pub(crate) fn any_fields(&mut self) -> Result<PropertyMap, Response> {
        match &self.request.body {
            Body::Empty => Ok(PropertyMap::new()),
            Body::Json(Value::Object(fields)) => Ok(fields.clone()),
            Body::Json(other) => {
                let detail = format!("body is not a JSON object: {other}");
                Err(self.crash(detail))
            }
            Body::Malformed => {
                self.record_violation("body is not JSON");
                let detail = "JSON parse error - Expecting value: line 1 column 1 (char 0)";
                Err(Response::error(
                    400,
                    "invalid_request",
                    "parse_error",
                    detail,
                    None,
                ))
            }
        }
    }

    /// The properties without those that access control hides from the caller.
    pub(crate) fn visible_properties(&self, properties: &Properties) -> PropertyMap {
        let mut map = properties.to_map();
        for key in &self.behaviors.restricted_properties {
            map.remove(key);
        }
        map
    }
}

fn is_integer(id: &str) -> bool {
    let digits = id.strip_prefix('-').unwrap_or(id);
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
}

pub(crate) fn violation(request: &Request, detail: &str) -> String {
    format!("{} {}: {detail}", request.method(), request.full_path())
}

pub(crate) fn rejection(detail: &str) -> Response {
    let detail = format!("The sandbox rejected the request: {detail}");
    Response::error(400, "validation_error", "sandbox_strict", detail, None)
}
