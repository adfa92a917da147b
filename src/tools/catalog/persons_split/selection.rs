//! Which distinct ids are to move.

use std::collections::HashSet;

use super::plan::{Shown, listed};
use crate::output::quote;
use crate::tools::ToolError;
use crate::tools::arguments::{DistinctId, NonEmptyString, distinct};
use crate::tools::support::resolve_person::own_distinct_id;
use posthog_client::{Person, Untrusted};

/// As many as a user can review one by one.
const MAX_LISTED: usize = 200;
/// As many as PostHog moves in one task.
const MAX_MOVED: usize = 2_500;

/// The argument that says which.
pub(super) enum Selection {
    These(Vec<String>),
    BeginningWith(String),
    AllBut(String),
}

/// What a selection is of a person.
pub(super) struct Selected {
    pub(super) ids: Vec<Untrusted<String>>,
    pub(super) main: Option<Untrusted<String>>,
}

impl Selection {
    pub(super) fn new(
        these: Option<Vec<DistinctId>>,
        prefix: Option<NonEmptyString>,
        main: Option<DistinctId>,
    ) -> Result<Self, ToolError> {
        match (these, prefix, main) {
            (Some(ids), None, None) if ids.is_empty() => Err(ToolError::invalid_input(
                "`distinct_ids_to_split` is empty. Nothing was sent.",
            )),
            (Some(ids), None, None) => {
                let ids = distinct(ids.into_iter().map(|id| id.0));
                let count = ids.len();
                let these = Self::These(ids);
                // Before each is looked for among those of the person.
                if count > MAX_LISTED {
                    return Err(these.too_many(count, MAX_LISTED));
                }
                Ok(these)
            }
            (None, Some(prefix), None) => Ok(Self::BeginningWith(prefix.0)),
            (None, None, Some(main)) => Ok(Self::AllBut(main.0)),
            _ => Err(ToolError::invalid_input(
                "Give exactly one of `distinct_ids_to_split`, `distinct_ids_prefix` and `main_distinct_id`: without any, PostHog \
                 would keep an arbitrary distinct id and move all others. Nothing was sent.",
            )),
        }
    }

    /// The distinct ids of the person that move, and the only one that stays, if that is the selection. What PostHog would perform without an error is rejected: removing all
    /// distinct ids because of a misspelt main id.
    pub(super) fn of(&self, person: &Person, shown: &Shown) -> Result<Selected, ToolError> {
        let mut main = None;
        let has: HashSet<&Untrusted<String>> = person.distinct_ids.iter().collect();
        let ids = match self {
            Self::These(given) => {
                let own = given.iter().map(|id| own_distinct_id(person, id));
                let ids = distinct(own.collect::<Result<Vec<_>, _>>()?);
                let foreign = ids.iter().filter(|id| !has.contains(id));
                let foreign: Vec<String> = foreign.map(|id| shown.id(id)).collect();
                if !foreign.is_empty() {
                    return Err(ToolError::invalid_input(format!(
                        "The person does not have these distinct ids: {}. Nothing was sent. persons-retrieve shows the person's distinct ids.",
                        listed(&foreign)
                    )));
                }
                ids
            }
            Self::BeginningWith(given) => {
                let all = person.distinct_ids.iter();
                let ids: Vec<_> = all
                    .filter(|id| shown.begins_with(id, given))
                    .cloned()
                    .collect();
                if ids.is_empty() {
                    return Err(ToolError::invalid_input(format!(
                        "No distinct id of the person begins with {}, upper and lower case distinguished. Nothing was sent. persons-retrieve with distinct_ids_prefix shows those that begin so.",
                        quote(given, 100)
                    )));
                }
                ids
            }
            Self::AllBut(given) => {
                let stays = own_distinct_id(person, given)?;
                if !has.contains(&stays) {
                    return Err(ToolError::invalid_input(format!(
                        "The person does not have the `main_distinct_id` {}: PostHog would move every distinct id and leave the person without any. Nothing was sent. persons-retrieve shows the person's distinct ids.",
                        quote(&shown.id(&stays), 100)
                    )));
                }
                let others = person.distinct_ids.iter().filter(|id| **id != stays);
                let others = others.cloned().collect();
                main = Some(stays);
                others
            }
        };
        self.check_count(ids.len(), has.len())?;
        Ok(Selected { ids, main })
    }

    fn check_count(&self, count: usize, all: usize) -> Result<(), ToolError> {
        if count == 0 {
            return Err(ToolError::invalid_input(
                "The person has no other distinct id: there is nothing to split. Nothing was sent.",
            ));
        }
        if count >= all {
            return Err(ToolError::invalid_input(
                "At least one distinct id must stay on the person; without one it can no longer be changed. Nothing was sent.",
            ));
        }
        // Fewer may be listed, which was checked before any was looked for.
        if count > MAX_MOVED {
            return Err(self.too_many(count, MAX_MOVED));
        }
        Ok(())
    }

    fn too_many(&self, count: usize, max: usize) -> ToolError {
        let instead = match self {
            Self::These(_) => "Pass fewer in distinct_ids_to_split, or distinct_ids_prefix.",
            Self::BeginningWith(_) => "Pass a longer distinct_ids_prefix.",
            Self::AllBut(_) => "Move some of them first, with distinct_ids_prefix.",
        };
        ToolError::invalid_input(format!(
            "{count} distinct ids would move; at most {max} are allowed per call. Nothing was sent. {instead}"
        ))
    }
}
