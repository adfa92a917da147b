//! The state of a running sandbox, and the checks that a request passes before its handler, in PostHog's order: address,
//! credentials, project, scopes, then the sandbox's own strictness (Persons API, Addressing).

use std::collections::VecDeque;
use std::time::Duration;

use super::path::{self, PathParameters};
use super::routes::{self, Route};
use crate::faults::FaultQueue;
use crate::fixtures::{Seed, story};
use crate::handlers::discovery::{self, ORGANIZATION, OTHER_PROJECT, PROJECT};
use crate::handlers::query::QueryStore;
use crate::handlers::{Context, capture, rejection, violation};
use crate::http::{
    Body, Content, Key, RecordedRequest, Request, Response, RouteAccess, authenticate,
};
use crate::model::dates::{Time, instant};
use crate::model::{ProjectState, RunningClock, START};
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
    queries: QueryStore,
    keys: Vec<Key>,
    seeded: ProjectState,
    other: ProjectState,
}

impl SandboxState {
    pub(crate) fn new(options: SandboxOptions, mut keys: Vec<Key>) -> Self {
        let now = match options.starts_now {
            true => Some(chrono::Utc::now()),
            false => options.seed.as_ref().and_then(Seed::now),
        };
        let clock = RunningClock::start(options.clock, now.unwrap_or_else(|| instant(START)));
        keys.extend(options.keys.iter().cloned());
        let seeded = match &options.seed {
            Some(seed) => seed.project(PROJECT, options.persons, clock.now()),
            None => story(PROJECT, options.persons, options.events, clock.now()),
        };
        Self {
            seeded,
            other: ProjectState::empty(OTHER_PROJECT),
            behaviors: Behaviors::default(),
            faults: FaultQueue::default(),
            requests: VecDeque::new(),
            violations: Vec::new(),
            queries: QueryStore::default(),
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
            // PostHog renders errors as CSV too, which leaves nothing of them.
            return Response {
                content: Content::Empty,
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
        if capture::serves(request.path()) {
            // The capture host, which is this one. It knows projects by their token, and no API keys.
            let is_other_project = capture::is_of(request, OTHER_PROJECT);
            let key = Key::anonymous();
            let mut context =
                self.context(request, is_other_project, &key, PathParameters::default());
            return capture::capture(&mut context);
        }
        let (routes, path) = self.find_route(request)?;
        self.check_content_negotiation(request)?;
        self.reject_project_tokens(request)?;
        if routes
            .iter()
            .any(|route| matches!(route.access, RouteAccess::Public))
        {
            return self.authenticated(request, &routes, path, Key::anonymous());
        }
        let key = authenticate(request, &self.keys)?;
        self.authenticated(request, &routes, path, key)
    }

    /// What follows authentication.
    fn authenticated(
        &mut self,
        request: &Request,
        routes: &[&'static Route],
        path: PathParameters,
        key: Key,
    ) -> Result<Response, Response> {
        let is_other_project = self.is_other_project(routes, &path, &key)?;
        let method = match request.method() {
            "HEAD" => "GET",
            method => method,
        };
        let Some(route) = routes.iter().find(|route| route.method == method) else {
            return Err(self.method_not_allowed(request, routes, &path, &key));
        };
        self.access_to(route).check(&key)?;
        if path.id.contains('.') {
            // A dot starts a format suffix, and no such format exists.
            return Err(Response::not_found("Not found."));
        }
        if !path.is_missing_action {
            self.check_query(request, route)?;
        }
        self.check_body(request)?;
        let mut context = self.context(request, is_other_project, &key, path);
        (route.handler)(&mut context)
    }

    fn context<'a>(
        &'a mut self,
        request: &'a Request,
        is_other_project: bool,
        key: &'a Key,
        path: PathParameters,
    ) -> Context<'a> {
        Context {
            request,
            project: if is_other_project {
                &mut self.other
            } else {
                &mut self.seeded
            },
            options: &self.options,
            behaviors: &self.behaviors,
            violations: &mut self.violations,
            queries: &mut self.queries,
            key,
            now: self.clock.now(),
            id: path.id,
            old_mount: path.old_mount,
        }
    }

    /// The method of a collection has no scope to declare, so a key with scopes does not get as far as the 405.
    fn method_not_allowed(
        &mut self,
        request: &Request,
        routes: &[&'static Route],
        path: &PathParameters,
        key: &Key,
    ) -> Response {
        if !path.is_missing_action {
            let detail = "method not served at this path";
            self.violations.push(violation(request, detail));
        }
        let checked = routes.iter().find_map(|route| {
            let access = if route.is_of_collection() {
                RouteAccess::UnscopedKeys
            } else {
                self.access_to(route)
            };
            access.check(key).err()
        });
        checked.unwrap_or_else(|| Response::method_not_allowed(request.method()))
    }

    /// Paths that nothing serves are a 404 within the API, and lead to the login page outside it.
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
        let old_mount = segments.starts_with(&["api", "person"]);
        if old_mount {
            segments.splice(1..2, ["projects", "@current", "persons"]);
        }
        let Some((&"api", below_api)) = segments.split_first() else {
            let login = Response::login(request.path());
            return Err(self.with_violation(request, "no route for this path", login));
        };
        let is_missing_action = path::is_missing_action(self.options.era, below_api);
        let Some((routes, path)) = path::find(self.options.era, below_api) else {
            let response = Response::not_found("Endpoint not found.");
            return Err(if is_missing_action {
                response
            } else {
                self.with_violation(request, "no route for this path", response)
            });
        };
        let path = PathParameters {
            old_mount,
            is_missing_action,
            ..path
        };
        let optional = csv_suffix || routes.iter().any(|route| path::slash_is_optional(route));
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
                let response =
                    Response::authentication_failed("Incorrect authentication credentials.");
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
    fn is_other_project(
        &self,
        routes: &[&'static Route],
        path: &PathParameters,
        key: &Key,
    ) -> Result<bool, Response> {
        let Some(project) = &path.project else {
            return Ok(false);
        };
        let current = discovery::current_project(&self.behaviors);
        let number = match project.as_str() {
            "@current" => Some(current),
            text => text.parse().ok(),
        };
        let accessible = number.filter(|number| *number == PROJECT || *number == current);
        // A project that the key owner is no member of does not exist for its own endpoint.
        let is_member = accessible.is_some() && !key.is_outsider;
        if !is_member
            && routes
                .iter()
                .any(|route| route.path == routes::PROJECT_PATH)
        {
            return Err(Response::not_found("Not found."));
        }
        let Some(number) = number.filter(|number| accessible.is_some() || *number == OTHER_PROJECT)
        else {
            return Err(Response::not_found("Project not found."));
        };
        if !is_member {
            return Err(Response::permission_denied(
                "You don't have access to the project.",
            ));
        }
        let limited_to = |what: String| {
            let detail = format!("API key does not have access to the requested {what}.");
            Err(Response::permission_denied(detail))
        };
        if !key.allows_project(number) {
            return limited_to(format!("project: ID {number}"));
        }
        if !key.allows_organization(ORGANIZATION) {
            return limited_to(format!("organization: ID {ORGANIZATION}"));
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
            let given = content_type.unwrap_or_default();
            let detail = format!("Unsupported media type \"{given}\" in request.");
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
