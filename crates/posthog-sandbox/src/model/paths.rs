//! The paths of a person: what it looked at, one thing after another, within sessions.

use chrono::Duration;
use serde_json::Value;

use super::event::Event;

/// After a pause of this length a new path begins.
const PAUSE: Duration = Duration::minutes(30);

pub(crate) struct PathRules {
    pub(crate) pageviews: bool,
    pub(crate) screens: bool,
    pub(crate) custom_events: bool,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) steps: usize,
}

impl PathRules {
    /// The paths of a person's events, as keys such as `2_https://example.com/pricing`.
    pub(crate) fn paths(&self, events: &[&Event]) -> Vec<Vec<String>> {
        let mut paths: Vec<Vec<String>> = Vec::new();
        let mut last = None;
        for event in events {
            let Some(item) = self.item(event) else {
                continue;
            };
            let continues = last.is_some_and(|last| event.at - last < PAUSE);
            last = Some(event.at);
            match paths.last_mut().filter(|_| continues) {
                Some(path) if path.last() == Some(&item) => {}
                Some(path) => path.push(item),
                None => paths.push(vec![item]),
            }
        }
        let paths = paths.into_iter().filter_map(|path| self.cut(path));
        paths.map(numbered).collect()
    }

    fn item(&self, event: &Event) -> Option<String> {
        let text = |name: &str| event.properties.get(name).and_then(Value::as_str);
        match event.name.as_str() {
            "$pageview" if self.pageviews => Some(without_slash(text("$current_url")?).to_owned()),
            "$screen" if self.screens => Some(text("$screen_name")?.to_owned()),
            name if !name.starts_with('$') && self.custom_events => Some(name.to_owned()),
            _ => None,
        }
    }

    /// From the start and to the end that are asked for, in as many steps.
    fn cut(&self, mut path: Vec<String>) -> Option<Vec<String>> {
        let point = |point: &Option<String>| point.as_deref().map(without_slash).map(str::to_owned);
        if let Some(start) = point(&self.start) {
            let at = path.iter().position(|item| *item == start)?;
            path.drain(..at);
        }
        if let Some(end) = point(&self.end) {
            let at = path.iter().position(|item| *item == end)?;
            path.truncate(at + 1);
            let surplus = path.len().saturating_sub(self.steps);
            path.drain(..surplus);
        }
        path.truncate(self.steps);
        Some(path)
    }
}

/// A page is the same with and without a slash at its end, also as the point where paths begin or end.
fn without_slash(url: &str) -> &str {
    let without = url.strip_suffix('/').filter(|url| !url.is_empty());
    without.unwrap_or(url)
}

fn numbered(path: Vec<String>) -> Vec<String> {
    let items = path.into_iter().enumerate();
    items
        .map(|(index, item)| format!("{}_{item}", index + 1))
        .collect()
}

/// Which persons of the paths are asked for.
pub(crate) enum PathSelection {
    Everybody,
    /// Who went on from or arrived at these.
    Edge {
        from: Option<String>,
        to: Option<String>,
    },
    /// Whose path ended here.
    DropOff(String),
}

impl PathSelection {
    /// How many of the events in these paths count; 0 for a person who is not meant.
    pub(crate) fn count(&self, paths: &[Vec<String>]) -> usize {
        let count = |counts: &dyn Fn(&[String], usize) -> bool| {
            let steps = paths
                .iter()
                .map(|path| (0..path.len()).filter(|at| counts(path, *at)).count());
            steps.sum()
        };
        match self {
            Self::Everybody => count(&|_, _| true),
            Self::Edge { from, to } => count(&|path, at| {
                let source = at.checked_sub(1).and_then(|at| path.get(at));
                let is = |item: Option<&String>, key: &Option<String>| {
                    key.as_ref().is_none_or(|key| item == Some(key))
                };
                source.is_some() && is(source, from) && is(path.get(at), to)
            }),
            Self::DropOff(key) => {
                count(&|path, at| at + 1 == path.len() && path.get(at) == Some(key))
            }
        }
    }
}
