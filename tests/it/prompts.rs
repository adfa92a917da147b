//! Prompts, and the completion of their arguments.

use posthog_persons_mcp::output::Redaction;
use posthog_persons_mcp::policy::Policy;
use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, CompletionContext, GetPromptRequestParams, Reference,
};
use serde_json::{Value, json};

use crate::{ADA, Session, Setup, connect, connect_with};

const EXPLAIN: &str = "investigate-person";

/// The completions of an argument of the prompt `investigate-person`, with or without a person.
async fn completions(
    session: &Session,
    argument: &str,
    typed: &str,
    person: Option<&str>,
) -> Vec<String> {
    let argument = ArgumentInfo::new(argument, typed);
    let mut request = CompleteRequestParams::new(Reference::for_prompt(EXPLAIN), argument);
    if let Some(person) = person {
        let filled_in = [("person".to_owned(), person.to_owned())];
        request = request.with_context(CompletionContext::with_arguments(filled_in.into()));
    }
    let result = session.client.complete(request).await.unwrap();
    result.completion.values
}

async fn prompt(session: &Session, name: &str, arguments: Value) -> String {
    let arguments = arguments.as_object().unwrap().clone();
    let request = GetPromptRequestParams::new(name).with_arguments(arguments);
    let prompt = session.client.get_prompt(request).await.unwrap();
    let message = prompt.messages[0].content.as_text().unwrap();
    message.text.clone()
}

#[tokio::test]
async fn prompts_take_a_person_and_investigation_takes_a_question() {
    let session = connect().await;
    let prompts = session.client.list_all_prompts().await.unwrap();
    let arguments: Vec<(String, Vec<String>)> = prompts
        .into_iter()
        // It is about many persons, and tested beside its text.
        .filter(|prompt| prompt.name != "merge-duplicates")
        .map(|prompt| {
            let arguments = prompt.arguments.into_iter().flatten();
            (prompt.name, arguments.map(|one| one.name).collect())
        })
        .collect();
    assert_eq!(
        json!(arguments),
        json!([
            ["erase-person", ["person"]],
            [EXPLAIN, ["person", "property", "cohort"]],
            ["untangle-merged-person", ["person"]],
        ])
    );
    let text = prompt(&session, EXPLAIN, json!({"person": "ada@example.com"})).await;
    assert!(text.ends_with("The person: \"ada@example.com\""), "{text}");
    let arguments = json!({"person": ADA, "property": "plan", "cohort": "a \"b\"\n\u{202e}c"});
    let text = prompt(&session, EXPLAIN, arguments).await;
    let ending = format!(
        "The person: \"{ADA}\"\nThe property in question: \"plan\"\nThe cohort in question: \"a \\\"b\\\" c\""
    );
    assert!(text.ends_with(&ending), "{text}");
}

#[tokio::test]
async fn person_argument_is_completed_by_email() {
    let session = connect().await;
    assert_eq!(
        completions(&session, "person", "ada@", None).await,
        ["ada@example.com"]
    );
    assert!(completions(&session, "person", "", None).await.is_empty());
    assert!(
        completions(&session, "person", "nobody", None)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn property_argument_is_completed_from_the_person_or_the_newest_persons() {
    let session = connect().await;
    let of_ada = completions(&session, "property", "pla", Some("ada@example.com")).await;
    assert_eq!(of_ada, ["plan"]);
    assert_eq!(
        completions(&session, "property", "PLA", Some(ADA)).await,
        ["plan"]
    );
    let of_person = completions(&session, "property", "plan", None).await;
    assert!(of_person.contains(&"plan".to_owned()), "{of_person:?}");
    let all = completions(&session, "property", "", None).await;
    assert!((10..=100).contains(&all.len()), "{all:?}");
}

#[tokio::test]
async fn cohort_argument_is_completed_from_the_cohorts_of_the_person() {
    let session = connect().await;
    let cohorts = completions(&session, "cohort", "", Some("ada@example.com")).await;
    let result = session
        .call("persons-cohorts-retrieve", json!({"person_id": ADA}))
        .await;
    assert_eq!(cohorts, crate::column(&result, "name"));
    assert!(completions(&session, "cohort", "", None).await.is_empty());
    assert!(
        completions(&session, "cohort", "", Some("unknown"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn excluded_tools_and_redaction_disable_completion() {
    let policy = Policy {
        exclude: vec![
            "persons-values-retrieve".to_owned(),
            "persons-cohorts-retrieve".to_owned(),
        ],
        ..Policy::default()
    };
    let session = connect_with(Setup {
        policy,
        ..Setup::default()
    })
    .await;
    assert!(
        completions(&session, "person", "ada@", None)
            .await
            .is_empty()
    );
    assert!(
        completions(&session, "cohort", "", Some(ADA))
            .await
            .is_empty()
    );
    let mut setup = Setup::default();
    setup.limits.redaction = Redaction::new(&[], true);
    let session = connect_with(setup).await;
    assert!(
        completions(&session, "person", "ada", None)
            .await
            .is_empty()
    );
    assert!(session.requests().is_empty());
    let other = completions(&session, "no argument", "", Some(ADA)).await;
    assert!(other.is_empty());
}
