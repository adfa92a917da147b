//! The project of a key that names none, and keys that PostHog does not accept.

use posthog_sandbox::Sandbox;
use serde_json::{Value, json};

use super::session::discover;
use super::{Team, assert_rejected, call};
use crate::ADA;

impl Team {
    /// A team whose keys work on the project that their owner has selected.
    async fn start_on_current() -> Self {
        Self::start_with(&["--project", "@current"]).await
    }

    async fn read(&self, to: &str) -> Value {
        self.call_stateless(to, "persons-retrieve", json!({"id": ADA}), json!({}))
            .await
    }

    async fn change(&self, to: &str) -> Value {
        let arguments = json!({"id": ADA, "key": "plan", "value": "pro"});
        self.call_stateless(to, "persons-property-set", arguments, json!({}))
            .await
    }

    /// The projects of the requests about persons since the last call.
    fn projects(&self) -> Vec<String> {
        let requests = self.sandbox.requests();
        self.sandbox.clear_requests();
        let persons = requests
            .iter()
            .filter(|request| request.path.contains("/persons/"));
        let mut projects: Vec<String> = persons
            .filter_map(|request| Some(request.path.split('/').nth(3)?.to_owned()))
            .collect();
        projects.dedup();
        projects
    }

    /// The owner of the keys selects another project.
    fn select_another_project(&self) {
        self.sandbox
            .update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    }
}

#[tokio::test]
async fn all_processes_work_on_the_project_that_the_first_resolved() {
    let team = Team::start_on_current().await;
    assert_eq!(team.read(&team.one()).await["isError"], false);
    team.select_another_project();
    assert_eq!(team.read(&team.other()).await["isError"], false);
    for to in [team.one(), team.other()] {
        assert_eq!(team.change(&to).await["isError"], false);
    }
    assert_eq!(team.projects(), [Sandbox::PROJECT.to_string()]);
}

#[tokio::test]
async fn first_write_is_refused_while_the_project_cannot_be_known() {
    let mut team = Team::start_on_current().await;
    assert_eq!(team.change(&team.one()).await["isError"], false);
    team.redis.kill().await;
    // Known here, unknown there.
    assert_eq!(team.change(&team.one()).await["isError"], false);
    team.projects();
    assert_rejected(
        &team.change(&team.other()).await,
        "The project of this API key is not known yet",
    );
    assert_eq!(team.projects(), Vec::<String>::new());
    assert_eq!(team.read(&team.other()).await["isError"], false);
}

#[tokio::test]
async fn processes_that_resolved_different_projects_do_not_write_to_both() {
    let mut team = Team::start_on_current().await;
    team.redis.kill().await;
    assert_eq!(team.read(&team.one()).await["isError"], false);
    team.select_another_project();
    team.redis.restart().await;
    // The other process settles first, on the project that is selected now.
    super::poll_until("settled", || async {
        let changed = team.change(&team.other()).await;
        !changed["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("not known yet")
    })
    .await;
    team.projects();
    super::poll_until("refused", || async {
        let changed = team.change(&team.one()).await;
        let text = changed["content"][0]["text"].as_str().unwrap();
        text.contains("Another process of this server works on another project")
    })
    .await;
    assert_eq!(team.projects(), Vec::<String>::new());
}

/// Made-up keys leave nothing in Redis.
#[tokio::test]
async fn keys_that_posthog_does_not_accept_leave_no_record() {
    let team = Team::start_on_current().await;
    let redis = team.redis.connection().await;
    let size = |mut redis: redis::aio::MultiplexedConnection| async move {
        let count: usize = redis::cmd("DBSIZE").query_async(&mut redis).await.unwrap();
        count
    };
    assert_eq!(size(redis.clone()).await, 0);
    for number in 0..20 {
        let key = format!("phx_made_up_{number}");
        for message in [discover(), call(1, "persons-retrieve", json!({"id": ADA}))] {
            let _ = team.send(&team.one(), &key, None, &message).await;
        }
    }
    assert_eq!(size(redis.clone()).await, 0);
    team.read(&team.one()).await;
    assert!(size(redis).await > 0);
}
