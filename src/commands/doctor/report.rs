//! The report, as text and as JSON.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

/// Characters per line, if the text can be wrapped.
const COLUMNS: usize = 100;

/// The check of the tools.
pub(super) const TOOLS: &str = "tools";

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No problem.
    Ok,
    /// The server works with restrictions.
    Warning,
    /// The server does not work.
    Problem,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The name.
    pub check: &'static str,
    /// The status.
    pub status: Status,
    /// The finding.
    pub found: String,
    /// What to do.
    pub advice: Option<String>,
}

/// Whether a tool will work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It will.
    #[serde(rename = "works")]
    Available,
    /// It will not.
    Fails,
    /// The settings exclude it.
    #[serde(rename = "left_out")]
    Excluded,
    /// That could not be determined.
    Unknown,
}

/// One tool.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    /// Its name.
    pub tool: &'static str,
    /// Whether it will work.
    pub status: ToolStatus,
    /// Why it does not work, or why that is unknown.
    pub reason: Option<String>,
    /// The scope that is missing or could not be determined.
    pub scope: Option<&'static str>,
}

/// The project that the server would work on.
#[derive(Debug, Clone, Serialize)]
pub struct Project {
    /// Its number.
    pub number: u64,
    /// Its name, if the key can read it.
    pub name: Option<String>,
    /// Whether it is configured, or selected by the key's owner.
    pub set: bool,
}

/// The scopes of the key.
#[derive(Debug, Clone, Serialize)]
pub struct Scopes {
    /// Whether it is a legacy key without scopes, which has full access.
    pub unlimited: bool,
    /// Scopes that it has.
    pub granted: Vec<String>,
    /// Whether the list is complete.
    pub complete: bool,
}

/// All findings.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether the server can work.
    pub ok: bool,
    /// The server's version.
    pub version: &'static str,
    /// PostHog's URL, if the setting is valid.
    pub host: Option<String>,
    /// In the order in which they ran. Checks that could not run are omitted.
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

    /// Whether the status of the tools is known; otherwise the table is omitted.
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
            Self::Excluded => "excluded",
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
            (0, 0) => writeln!(f, "The server works."),
            (0, warnings) => writeln!(f, "The server works, with {}.", many(warnings, "warning")),
            (problems, _) => writeln!(
                f,
                "The server does not work: {}.",
                many(problems, "problem")
            ),
        }
    }
}

/// Writes a text after its head, wrapped and indented.
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
