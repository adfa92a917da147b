//! The project, and whether the key has access to it.

use posthog_sandbox::{Key, Sandbox};

use super::{PROJECT, TEST_KEY, check, doctor, examined, printed, sandbox, sandbox_with};

#[tokio::test]
async fn project_without_access_is_a_problem() {
    let mut own = Key::scoped(TEST_KEY, &["*"]);
    own.scoped_teams = Some(vec![7, 8]);
    let sandbox = sandbox_with(vec![own], false).await;
    for (key, project, text) in [
        (Sandbox::KEY, "2", "the key has no access to project 2"),
        (
            TEST_KEY,
            "1",
            "the key has no access to project 1; it is limited to 7, 8",
        ),
    ] {
        let mut command = doctor(&sandbox.url(), key, &[]);
        command.env(PROJECT, project);
        let page = printed(command, 1).await;
        assert!(
            check(&page, "project")
                .starts_with(&format!("PROBLEM project {text} -> Set {PROJECT}")),
            "{page}"
        );
        // Without a usable project there is no table of tools.
        assert!(!page.contains("persons-list"), "{page}");
    }
}

#[tokio::test]
async fn selected_project_is_a_warning_with_the_id_to_set() {
    let sandbox = sandbox().await;
    let mut command = doctor(&sandbox.url(), Sandbox::KEY, &[]);
    command.env(PROJECT, "@current");
    let page = printed(command, 0).await;
    assert_eq!(
        check(&page, "project"),
        "warning project 1, Difference Engine: selected by the key's owner in PostHog -> Set POSTHOG_PROJECT_ID=1, so that \
         selecting another project in PostHog does not change it."
    );
    let mut command = doctor(&sandbox.url(), Sandbox::READ_KEY, &[]);
    command.env_remove(PROJECT);
    let page = printed(command, 1).await;
    assert!(
        check(&page, "project")
            .starts_with("PROBLEM project could not determine which project to use: "),
        "{page}"
    );
}

#[tokio::test]
async fn unselected_project_is_a_warning_about_cohorts() {
    let sandbox = sandbox().await;
    sandbox.update_behaviors(|behaviors| behaviors.foreign_current_project = true);
    let page = examined(&sandbox, Sandbox::KEY, &[], 0).await;
    assert!(
        check(&page, "project").starts_with(
            "warning project 1, Difference Engine; the key's owner has selected project 2 in PostHog"
        ),
        "{page}"
    );
}
