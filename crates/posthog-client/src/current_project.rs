//! Resolves `@current` to a project's number, in the order in which PostHog's own tools do.

use serde::Deserialize;

use crate::account::{self, KeyScope, Me, Team};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::project::Project;
use crate::request::Request;

#[derive(Deserialize)]
struct Projects {
    results: Vec<Team>,
}

impl Client {
    /// The number of the client's project.
    ///
    /// # Errors
    /// [`ErrorKind::Project`] when `@current` cannot be resolved.
    pub async fn project(&self) -> Result<u64, Error> {
        match self.inner.project {
            Project::Number(number) => Ok(number),
            Project::Current => self
                .inner
                .resolved
                .number()
                .get_or_try_init(|| self.current_project())
                .await
                .copied(),
        }
    }

    /// Whether the number of the project depends on what the key's owner has selected.
    #[must_use]
    pub fn resolves_project(&self) -> bool {
        self.inner.project == Project::Current
    }

    /// Whether every process that serves the key is known to work on the same project.
    #[must_use]
    pub fn is_project_settled(&self) -> bool {
        !self.resolves_project() || self.inner.resolved.is_settled()
    }

    /// Works on this project from now on, as other processes that serve the key do. False if this process already works on
    /// another: a project never changes.
    #[must_use]
    pub fn settle_project(&self, number: u64) -> bool {
        self.inner.resolved.settle(number)
    }

    /// The project that the key's owner has selected, unless the key is limited to others; else the first that it can
    /// access.
    async fn current_project(&self) -> Result<u64, Error> {
        let me = allowed(self.json::<Me>(account::me()).await)?;
        let key = match self.json::<KeyScope>(account::own_key()).await {
            // The request before accepted the key, so it is an OAuth token, for which there is no such endpoint.
            Err(error) if *error.kind() == ErrorKind::Authentication => KeyScope::default(),
            key => allowed(key)?.unwrap_or_default(),
        };
        let teams = key.scoped_teams.unwrap_or_default();
        let organizations = key.scoped_organizations.unwrap_or_default();
        let active = me.as_ref().and_then(|me| me.team.as_ref());
        if let Some(first) = teams.first() {
            return match active {
                Some(team) if teams.contains(&team.id) => Ok(team.id),
                None if teams.len() > 1 => Err(unknown("the key can access several")),
                _ => Ok(*first),
            };
        }
        let may_use = |organization: &str| {
            organizations.is_empty() || organizations.iter().any(|allowed| allowed == organization)
        };
        if let Some(team) = active
            && team.organization.as_deref().is_none_or(may_use)
        {
            return Ok(team.id);
        }
        let first = me
            .iter()
            .flat_map(|me| &me.organizations)
            .find(|organization| may_use(&organization.id));
        if let Some(organization) = first {
            let path = vec!["api", "organizations", &organization.id, "projects"];
            let projects = allowed(self.json::<Projects>(Request::get(path)).await)?;
            if let Some(project) = projects.and_then(|projects| projects.results.into_iter().next())
            {
                return Ok(project.id);
            }
        }
        let path = vec!["api", "projects", "@current"];
        match allowed(self.json::<Team>(Request::get(path)).await)? {
            Some(project) => Ok(project.id),
            None => Err(unknown(
                "the key cannot read which one its owner has selected",
            )),
        }
    }
}

fn unknown(why: &str) -> Error {
    Error::new(ErrorKind::Project).with_reason(why)
}

/// Continues the search where the key has no access to an endpoint.
fn allowed<T>(response: Result<T, Error>) -> Result<Option<T>, Error> {
    match response {
        Ok(response) => Ok(Some(response)),
        Err(error) => match error.kind() {
            ErrorKind::MissingScope(_)
            | ErrorKind::Forbidden
            | ErrorKind::ScopedKeysUnsupported
            | ErrorKind::NotFound => Ok(None),
            _ => Err(error),
        },
    }
}
