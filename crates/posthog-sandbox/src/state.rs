//! Everything a running sandbox holds, and the order in which a request is judged: address,
//! credentials, project, scopes, strictness, handler (contract section 1).

use std::collections::VecDeque;

use super::SandboxOptions;
use super::answer::{Answer, CSV, Content};
use super::call::{Call, strict_answer, violation};
use super::clock::RunningClock;
use super::dates::Time;
use super::discovery::{ORGANIZATION, OTHER_PROJECT, PROJECT};
use super::faults::{Behaviors, Faults};
use super::incoming::{Body, Incoming, RecordedRequest};
use super::keys::{Access, Key, authenticate};
use super::oauth;
use super::routes::{self, Captured, Route};
use super::seed;
use super::world::World;

/// Enough for any test, and a bound for a sandbox under a benchmark.
const REMEMBERED_REQUESTS: usize = 20_000;

pub(super) struct State {
    pub(super) options: SandboxOptions,
    pub(super) behaviors: Behaviors,
    pub(super) faults: Faults,
    pub(super) clock: RunningClock,
    pub(super) requests: VecDeque<RecordedRequest>,
    pub(super) violations: Vec<String>,
    keys: Vec<Key>,
    home: World,
    other: World,
}

impl State {
    pub(super) fn new(options: SandboxOptions, mut keys: Vec<Key>) -> Self {
        let clock = RunningClock::start(options.clock);
        keys.extend(options.keys.iter().cloned());
        Self {
            home: seed::world(PROJECT, options.persons, clock.now()),
            other: World::empty(OTHER_PROJECT),
            behaviors: Behaviors::default(),
            faults: Faults::default(),
            requests: VecDeque::new(),
            violations: Vec::new(),
            clock,
            keys,
            options,
        }
    }

    pub(super) fn record(&mut self, incoming: &Incoming) {
        if self.requests.len() == REMEMBERED_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(incoming.recorded.clone());
    }

    /// Lets the world of the story catch up with the clock.
    pub(super) fn settled(&mut self) -> (&mut World, Time) {
        let now = self.clock.now();
        self.home.settle(now);
        (&mut self.home, now)
    }

    pub(super) fn answer(&mut self, incoming: &Incoming) -> Answer {
        self.settled();
        let answer = self.judge(incoming).unwrap_or_else(|refusal| refusal);
        if answer.status >= 400 && incoming.wants_csv() {
            // The CSV renderer is asked for errors too, and has nothing to say about them.
            return Answer {
                content: Content::Text {
                    content_type: CSV.to_owned(),
                    text: String::new(),
                },
                ..answer
            };
        }
        answer
    }

    fn strict(&mut self, incoming: &Incoming, detail: &str) -> Answer {
        self.violations.push(violation(incoming, detail));
        strict_answer(detail)
    }

    fn complain(&mut self, incoming: &Incoming, detail: &str, answer: Answer) -> Answer {
        self.violations.push(violation(incoming, detail));
        answer
    }

    fn judge(&mut self, incoming: &Incoming) -> Result<Answer, Answer> {
        if incoming.path() == oauth::INTROSPECT {
            return oauth::introspect(incoming, &self.keys);
        }
        let (routes, captured) = self.locate(incoming)?;
        self.negotiate(incoming)?;
        self.refuse_project_tokens(incoming)?;
        let key = authenticate(incoming, &self.keys)?;
        let foreign = self.is_foreign_project(&captured, &key)?;
        let by_method = routes
            .iter()
            .find(|route| route.method == incoming.method());
        let Some(route) = by_method else {
            let answer = Answer::method_not_allowed(incoming.method());
            return Err(self.complain(incoming, "this method is not served here", answer));
        };
        self.access_to(route).check(&key)?;
        if captured.id.contains('.') {
            // A dot starts a format suffix, and no such format exists.
            return Err(Answer::not_found("Not found."));
        }
        self.check_query(incoming, route)?;
        self.check_body(incoming)?;
        let now = self.clock.now();
        let mut call = Call {
            request: incoming,
            world: if foreign {
                &mut self.other
            } else {
                &mut self.home
            },
            options: &self.options,
            behaviors: &self.behaviors,
            violations: &mut self.violations,
            key: &key,
            now,
            id: captured.id,
        };
        (route.handler)(&mut call)
    }

    /// Contract section 1. Addresses that nothing serves get the load balancer's page.
    fn locate(&mut self, incoming: &Incoming) -> Result<(Vec<&'static Route>, Captured), Answer> {
        let (segments, trailing_slash) = incoming.segments();
        let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            return Err(self.strict(incoming, "a dot segment in the path"));
        }
        if segments.starts_with(&["api", "environments"]) {
            return Err(self.strict(incoming, "the deprecated /api/environments"));
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
        let Some((routes, captured)) = routes::find(below_api) else {
            let page = Answer::html_not_found();
            return Err(self.complain(incoming, "nothing is served at this address", page));
        };
        let optional = csv_suffix || routes.iter().any(|route| routes::slash_is_optional(route));
        if !trailing_slash && !optional {
            return Err(self.strict(incoming, "a path without its trailing slash"));
        }
        Ok((routes, captured))
    }

    /// Content negotiation, which comes before everything else that the API checks.
    fn negotiate(&mut self, incoming: &Incoming) -> Result<(), Answer> {
        match incoming.parameter("format") {
            None | Some("json" | "csv") => {}
            Some(_) => {
                let answer = Answer::not_found("Not found.");
                return Err(self.complain(incoming, "an unknown format", answer));
            }
        }
        let accept = incoming.recorded.header("accept").unwrap_or("*/*");
        let served = ["*/*", "application/json", "application/*", "text/csv"];
        if !served.iter().any(|kind| accept.contains(kind)) {
            let answer = Answer::error(
                406,
                "invalid_request",
                "not_acceptable",
                "Could not satisfy the request Accept header.",
                None,
            );
            return Err(self.complain(incoming, "an Accept that asks for no JSON", answer));
        }
        Ok(())
    }

    /// Contract section 1: these names are read as credentials, wherever they come from.
    fn refuse_project_tokens(&mut self, incoming: &Incoming) -> Result<(), Answer> {
        for name in ["token", "api_key"] {
            if incoming.parameter(name).is_some() {
                let answer = Answer::authentication_failed("Project token is invalid.");
                let detail = format!("the parameter {name} is read as a project token");
                return Err(self.complain(incoming, &detail, answer));
            }
        }
        let in_body = match &incoming.body {
            Body::Json(body) => body.get("personal_api_key").is_some(),
            Body::Empty | Body::Malformed => false,
        };
        if in_body || incoming.parameter("personal_api_key").is_some() {
            return Err(self.strict(incoming, "a key outside the Authorization header"));
        }
        Ok(())
    }

    /// Whether the call goes to the other project. Contract sections 1 and 2.1.
    fn is_foreign_project(&mut self, captured: &Captured, key: &Key) -> Result<bool, Answer> {
        let Some(project) = &captured.project else {
            return Ok(false);
        };
        let current = if self.behaviors.foreign_current_project {
            OTHER_PROJECT
        } else {
            PROJECT
        };
        let number = match project.as_str() {
            "@current" => current,
            text => match text.parse() {
                Ok(number) => number,
                Err(_) => return Err(Answer::not_found("Project not found.")),
            },
        };
        let exists = number == PROJECT || number == current;
        if !exists || !key.may_enter(number, ORGANIZATION) {
            return Err(Answer::permission_denied(
                "You don't have access to the project.",
            ));
        }
        Ok(number != PROJECT)
    }

    fn access_to(&self, route: &Route) -> Access {
        match route.access {
            Access::Batch if self.options.batch_closed_to_keys => Access::Closed,
            Access::Batch => Access::Scopes(&["person:read"]),
            access => access,
        }
    }

    fn check_query(&mut self, incoming: &Incoming, route: &Route) -> Result<(), Answer> {
        let user_agent = incoming.recorded.header("user-agent").unwrap_or_default();
        if user_agent.contains("posthog/mcp-server") {
            // Contract 2.1: an organisation may have made that server read-only.
            return Err(self.strict(incoming, "the User-Agent of the vendor's own server"));
        }
        if route.path != routes::LIST && incoming.wants_csv() {
            return Err(self.strict(incoming, "CSV of something other than the list"));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in &incoming.parameters {
            if name != "format" && !route.query.contains(&name.as_str()) {
                return Err(self.strict(incoming, &format!("unknown parameter {name:?}")));
            }
            if seen.contains(&name.as_str()) {
                return Err(self.strict(incoming, &format!("parameter {name:?} given twice")));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn check_body(&mut self, incoming: &Incoming) -> Result<(), Answer> {
        if matches!(incoming.body, Body::Empty) {
            return Ok(());
        }
        if matches!(incoming.method(), "GET" | "DELETE") {
            return Err(self.strict(incoming, "a body where none is read"));
        }
        let content_type = incoming.recorded.header("content-type");
        if content_type.is_none_or(|value| !value.starts_with("application/json")) {
            let detail = format!("Unsupported media type {content_type:?} in request.");
            let answer = Answer::error(
                415,
                "invalid_request",
                "unsupported_media_type",
                detail,
                None,
            );
            return Err(self.complain(incoming, "a body that is not announced as JSON", answer));
        }
        Ok(())
    }
}
