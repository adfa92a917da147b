//! The state of a running sandbox, and the checks that a request passes before its handler, in PostHog's order: address,
//! credentials, project, scopes, then the sandbox's own strictness (Persons API, Addressing).

use std::collections::VecDeque;
use std::time::Duration;

use super::routes::{self, PathParameters, Route};
use crate::faults::FaultQueue;
use crate::fixtures::seed;
use crate::handlers::discovery::{self, ORGANIZATION, OTHER_PROJECT, PROJECT};
use crate::handlers::{Context, rejection, violation};
use crate::http::{
    Body, CSV, Content, Key, RecordedRequest, Request, Response, RouteAccess, authenticate,
};
use crate::model::dates::Time;
use crate::model::{ProjectState, RunningClock};
use crate::options::{Behaviors, SandboxOptions};

/// Bounds the memory of a sandbox under a benchmark.
const MAX_RECORDED_REQUESTS: usize = 20_000;

pub(crate) struct SandboxState {
    options: SandboxOptions,
    pub(crate) behaviors: Behaviors,
    pub(crate) faults: FaultQueue,
    pub(crate) clock: RunningClock,
    pub(crate) requests: VecDeque<RecordedRequest>,
    pub(crate) violations: Vec<String>,
    keys: Vec<Key>,
    seeded: ProjectState,
    other: ProjectState,
}

impl SandboxState {
    pub(crate) fn new(options: SandboxOptions, mut keys: Vec<Key>) -> Self {
        let clock = RunningClock::start(options.clock);
        keys.extend(options.keys.iter().cloned());
        Self {
            seeded: seed(PROJECT, options.persons, clock.now()),
            other: ProjectState::empty(OTHER_PROJECT),
            behaviors: Behaviors::default(),
            faults: FaultQueue::default(),
            requests: VecDeque::new(),
            violations: Vec::new(),
            clock,
            keys,
            options,
        }
    }

    pub(crate) fn record(&mut self, request: &Request) {
        if self.requests.len() == MAX_RECORDED_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request.recorded.clone());
    }

    /// The seeded project after all effects that are due by now.
    pub(crate) fn current_project(&mut self) -> (&mut ProjectState, Time) {
        let now = self.clock.now();
        self.seeded.run_due_effects(now);
        (&mut self.seeded, now)
    }

    /// Moves the clock, runs the effects that fall due, and returns the new time.
    pub(crate) fn advance(&mut self, by: Duration) -> Time {
        self.current_project();
        self.clock.advance(by);
        self.current_project().1
    }

    pub(crate) fn respond(&mut self, request: &Request) -> Response {
        self.current_project();
        let response = self.dispatch(request).unwrap_or_else(|error| error);
        if response.status >= 400 && request.wants_csv() {
            // PostHog renders errors as CSV too, which leaves their bodies empty.
            return Response {
                content: Content::Text {
                    content_type: CSV.to_owned(),
                    text: String::new(),
                },
                ..response
            };
        }
        response
    }

    /// Records a violation and returns the sandbox's own error for it.
    fn reject(&mut self, request: &Request, detail: &str) -> Response {
        self.violations.push(violation(request, detail));
        rejection(detail)
    }

    /// Records a violation that PostHog has a response for.
    fn with_violation(&mut self, request: &Request, detail: &str, response: Response) -> Response {
        self.violations.push(violation(request, detail));
        response
    }

    fn dispatch(&mut self, request: &Request) -> Result<Response, Response> {
        if request.path() == discovery::INTROSPECT {
            return discovery::introspect(request, &self.keys);
        }
        let (routes, path) = self.find_route(request)?;
        self.check_content_negotiation(request)?;
        self.reject_project_tokens(request)?;
        let key = authenticate(request, &self.keys)?;
        let is_other_project = self.is_other_project(&path, &key)?;
        let by_method = routes.iter().find(|route| route.method == request.method());
        let Some(route) = by_method else {
            let response = Response::method_not_allowed(request.method());
            return Err(self.with_violation(request, "method not served at this path", response));
        };
        self.access_to(route).check(&key)?;
        if path.id.contains('.') {
            // A dot starts a format suffix, and no such format exists.
            return Err(Response::not_found("Not found."));
        }
        self.check_query(request, route)?;
        self.check_body(request)?;
        let now = self.clock.now();
        let mut context = Context {
            request,
            project: if is_other_project {
                &mut self.other
            } else {
                &mut self.seeded
            },
            options: &self.options,
            behaviors: &self.behaviors,
            violations: &mut self.violations,
            key: &key,
            now,
            id: path.id,
        };
        (route.handler)(&mut context)
    }

    /// Paths that nothing serves get the load balancer's page.
    fn find_route(
        &mut self,
        request: &Request,
    ) -> Result<(Vec<&'static Route>, PathParameters), Response> {
        let (segments, trailing_slash) = request.segments();
        let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            return Err(self.reject(request, "dot segment in the path"));
        }
        if segments.starts_with(&["api", "environments"]) {
            return Err(self.reject(request, "deprecated path /api/environments"));
        }
        let csv_suffix = segments.last() == Some(&"persons.csv");
        if csv_suffix {
            segments.pop();
            segments.push("persons");
        }
        let below_api = match segments.split_first() {
            Some((&"api", rest)) => rest,
            _ => &[],
        };
        let Some((routes, path)) = routes::find(below_api) else {
            let page = Response::html_not_found();
            return Err(self.with_violation(request, "no route for this path", page));
        };
        let optional = csv_suffix || routes.iter().any(|route| routes::slash_is_optional(route));
        if !trailing_slash && !optional {
            return Err(self.reject(request, "path without its trailing slash"));
        }
        Ok((routes, path))
    }

    /// Content negotiation, which comes before every other check of the API.
    fn check_content_negotiation(&mut self, request: &Request) -> Result<(), Response> {
        match request.parameter("format") {
            None | Some("json" | "csv") => {}
            Some(_) => {
                let response = Response::not_found("Not found.");
                return Err(self.with_violation(request, "unknown format", response));
            }
        }
        let accept = request.recorded.header("accept").unwrap_or("*/*");
        let served = ["*/*", "application/json", "application/*", "text/csv"];
        if !served.iter().any(|kind| accept.contains(kind)) {
            let response = Response::error(
                406,
                "invalid_request",
                "not_acceptable",
                "Could not satisfy the request Accept header.",
                None,
            );
            return Err(self.with_violation(request, "Accept without JSON", response));
        }
        Ok(())
    }

    /// PostHog reads parameters of these names as credentials, wherever they come from.
    fn reject_project_tokens(&mut self, request: &Request) -> Result<(), Response> {
        for name in ["token", "api_key"] {
            if request.parameter(name).is_some() {
                let response = Response::authentication_failed("Project token is invalid.");
                let detail = format!("parameter {name}, which is read as a project token");
                return Err(self.with_violation(request, &detail, response));
            }
        }
        let in_body = match &request.body {
            Body::Json(body) => body.get("personal_api_key").is_some(),
            Body::Empty | Body::Malformed => false,
        };
        if in_body || request.parameter("personal_api_key").is_some() {
            return Err(self.reject(request, "API key outside the Authorization header"));
        }
        Ok(())
    }

    /// Whether the path names the other project, if the key may access the project that it names.
    fn is_other_project(&self, path: &PathParameters, key: &Key) -> Result<bool, Response> {
        let Some(project) = &path.project else {
            return Ok(false);
        };
        let current = discovery::current_project(&self.behaviors);
        let number = match project.as_str() {
            "@current" => current,
            text => match text.parse() {
                Ok(number) => number,
                Err(_) => return Err(Response::not_found("Project not found.")),
            },
        };
        let exists = number == PROJECT || number == current;
        if !exists || !key.allows_project(number, ORGANIZATION) {
            return Err(Response::permission_denied(
                "You don't have access to the project.",
            ));
        }
        Ok(number != PROJECT)
    }

    fn access_to(&self, route: &Route) -> RouteAccess {
        match route.access {
            RouteAccess::Batch if self.options.batch_closed_to_keys => RouteAccess::UnscopedKeys,
            RouteAccess::Batch => RouteAccess::Scopes(&["person:read"]),
            access => access,
        }
    }

    fn check_query(&mut self, request: &Request, route: &Route) -> Result<(), Response> {
        let user_agent = request.recorded.header("user-agent").unwrap_or_default();
        if user_agent.contains("posthog/mcp-server") {
            // An organization can make this client read-only (Persons API, Credentials).
            return Err(self.reject(request, "User-Agent of PostHog's own MCP server"));
        }
        if route.path != routes::LIST && request.wants_csv() {
            return Err(self.reject(request, "CSV of an endpoint other than the list"));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in &request.parameters {
            if name != "format" && !route.query.contains(&name.as_str()) {
                return Err(self.reject(request, &format!("unknown parameter {name:?}")));
            }
            if seen.contains(&name.as_str()) {
                return Err(self.reject(request, &format!("parameter {name:?} given twice")));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn check_body(&mut self, request: &Request) -> Result<(), Response> {
        if matches!(request.body, Body::Empty) {
            return Ok(());
        }
        if matches!(request.method(), "GET" | "DELETE") {
            return Err(self.reject(request, "body in a GET or DELETE"));
        }
        let content_type = request.recorded.header("content-type");
        if content_type.is_none_or(|value| !value.starts_with("application/json")) {
            let detail = format!("Unsupported media type {content_type:?} in request.");
            let response = Response::error(
                415,
                "invalid_request",
                "unsupported_media_type",
                detail,
                None,
            );
            return Err(self.with_violation(request, "Content-Type other than JSON", response));
        }
        Ok(())
    }
}
