//! What the doctor found, for a person to read and for a program.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

/// Characters of a line, where the text has spaces to break it at.
const COLUMNS: usize = 100;

/// The check of the tools.
pub(super) const TOOLS: &str = "tools";

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// The server works, but not with everything, or not for long.
    Warning,
    /// The server does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What to do.
    pub advice: Option<String>,
}

/// Whether a tool will work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It will.
    Available,
    /// It will not.
    Fails,
    /// The settings leave it out.
    Excluded,
    /// That could not be found out.
    Unknown,
}

/// One tool.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    /// Its name.
    pub tool: &'static str,
    /// Whether it will work.
    pub status: ToolStatus,
    /// Why it does not, or why that is not known.
    pub reason: Option<String>,
    /// The scope that is missing, or of which nothing is known.
    pub scope: Option<&'static str>,
}

/// The project that the server would work on.
#[derive(Debug, Clone, Serialize)]
pub struct Project {
    /// Its number.
    pub number: u64,
    /// Its name, if the key may ask for it.
    pub name: Option<String>,
    /// Whether it is set, or what the key's owner has selected.
    pub set: bool,
}

/// What is known of the key's scopes.
#[derive(Debug, Clone, Serialize)]
pub struct Scopes {
    /// Whether the key is from before there were scopes, and opens everything.
    pub unlimited: bool,
    /// Scopes that it has.
    pub granted: Vec<String>,
    /// Whether those are all.
    pub complete: bool,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether nothing keeps the server from working.
    pub ok: bool,
    /// The server's version.
    pub version: &'static str,
    /// Where PostHog is, if the setting can be used.
    pub host: Option<String>,
    /// In the order in which they were made. What could not be looked at is missing.
    pub checks: Vec<Check>,
    /// The project, if it is known.
    pub project: Option<Project>,
    /// The scopes, if they are known.
    pub scopes: Option<Scopes>,
    /// All tools.
    pub tools: Vec<Tool>,
}

impl Check {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            found: found.into(),
            advice: None,
        }
    }

    pub(super) fn warning(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            status: Status::Warning,
            ..Self::ok(check, found)
        }
    }

    pub(super) fn problem(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            status: Status::Problem,
            ..Self::ok(check, found)
        }
    }

    pub(super) fn advice(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }
}

impl Report {
    fn count(&self, status: Status) -> usize {
        let checks = self.checks.iter();
        checks.filter(|check| check.status == status).count()
    }

    /// Whether the tools were looked at: a table that knows nothing is noise.
    fn knows_tools(&self) -> bool {
        self.checks.iter().any(|check| check.check == TOOLS)
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

impl Display for ToolStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Available => "works",
            Self::Fails => "fails",
            Self::Excluded => "left out",
            Self::Unknown => "unknown",
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            let head = format!("{:9}{:10}", check.status, check.check);
            hanging(f, &head, &check.found)?;
            if let Some(advice) = &check.advice {
                let head = format!("{:>width$}", "-> ", width = head.len() + 3);
                hanging(f, &head, advice)?;
            }
        }
        if self.knows_tools() {
            writeln!(f)?;
            let width = self.tools.iter().map(|tool| tool.tool.len()).max();
            let width = width.unwrap_or_default();
            for tool in &self.tools {
                let reason = tool.reason.as_deref().unwrap_or_default();
                let line = format!("{:9}{:width$}  {reason}", tool.status, tool.tool);
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        let many = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        writeln!(f)?;
        match (self.count(Status::Problem), self.count(Status::Warning)) {
            (0, 0) => writeln!(f, "It works."),
            (0, warnings) => writeln!(f, "It works, with {}.", many(warnings, "warning")),
            (problems, _) => writeln!(f, "It does not work yet: {}.", many(problems, "problem")),
        }
    }
}

/// Writes a text beside its head, broken into lines that begin below the text.
fn hanging(f: &mut Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    let mut line = head.to_owned();
    for paragraph in text.lines() {
        for word in paragraph.split_whitespace() {
            let begun = line.len() > head.len();
            if begun && line.chars().count() + 1 + word.chars().count() > COLUMNS {
                writeln!(f, "{line}")?;
                line = " ".repeat(head.len());
            } else if begun {
                line.push(' ');
            }
            line.push_str(word);
        }
        writeln!(f, "{line}")?;
        line = " ".repeat(head.len());
    }
    Ok(())
}
