//! What a tool does to data, and what follows from it. Knows nothing of any particular tool.

/// What a call does to the data in PostHog. The only safety fact that a tool states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Read,
}

impl Effect {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
        }
    }

    /// The four hints of the protocol. None is left out: a client reads a missing one as the worst case.
    #[must_use]
    pub fn hints(self) -> Hints {
        match self {
            Self::Read => Hints {
                read_only: true,
                destructive: false,
                idempotent: true,
                open_world: true,
            },
        }
    }
}

/// The protocol's hints about a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: bool,
    /// It can overwrite or remove.
    pub destructive: bool,
    /// Calling it again with the same arguments changes nothing more.
    pub idempotent: bool,
    /// It reaches a system outside the assistant's own.
    pub open_world: bool,
}

/// The group a tool belongs to, to switch many on or off at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolset {
    /// Who a person is.
    Persons,
    /// What happened to a person.
    History,
    /// Who is behind a number.
    Insights,
}

impl Toolset {
    /// The name in settings and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Persons => "persons",
            Self::History => "history",
            Self::Insights => "insights",
        }
    }
}
