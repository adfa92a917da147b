//! Prompt templates: workflows across several tools, most of them for one person.
//!
//! Invariant: knows the protocol and the names of tools, and calls none.

use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use rmcp::{ErrorData, model::JsonObject};

use crate::output::{Redaction, sanitize};

/// The person that a prompt is about.
pub const PERSON: &str = "person";
/// The property to investigate.
pub const PROPERTY: &str = "property";
/// The cohort to investigate.
pub const COHORT: &str = "cohort";

/// No email or distinct id is longer.
const MAX_ARGUMENT_CHARS: usize = 400;

/// An optional argument, as clients show it and as the prompt names it.
struct OptionalArgument {
    name: &'static str,
    description: &'static str,
    label: &'static str,
}

static PROPERTY_IN_QUESTION: OptionalArgument = OptionalArgument {
    name: PROPERTY,
    description: "A property whose value seems wrong",
    label: "The property in question",
};
static COHORT_IN_QUESTION: OptionalArgument = OptionalArgument {
    name: COHORT,
    description: "A cohort that the person is in and should not be, or the reverse",
    label: "The cohort in question",
};

static PROPERTY_IN_COMMON: OptionalArgument = OptionalArgument {
    name: PROPERTY,
    description: "The property that duplicates have in common; email by default",
    label: "The property that duplicates have in common",
};

struct PromptTemplate {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// The tools that it needs; without them it is not listed.
    tools: &'static [&'static str],
    /// Whether it is about one person; otherwise the person is optional.
    needs_person: bool,
    /// Arguments besides the person.
    optional: &'static [&'static OptionalArgument],
    text: &'static str,
}

static PROMPTS: [PromptTemplate; 4] = [
    PromptTemplate {
        name: "erase-person",
        title: "Erase a person",
        description: "Find a person, preview the deletion, delete after confirmation and report what remains",
        tools: &[
            "persons-list",
            "persons-batch-retrieve",
            "persons-bulk-delete",
            "persons-deletion-status-list",
        ],
        needs_person: true,
        optional: &[],
        text: "A person has asked to be erased. Follow all steps in this order.\n\
               1. Find every person that belongs to them, in each of these ways: by email in any letter case (persons-batch-retrieve with emails), by \
               distinct id (persons-list with distinct_id), and by filter (persons-list with properties, email icontains the address, also `Email` and `$email`). \
               Do not rely on search: for a whole address PostHog can show only the person whose distinct id it is, and hide the person whose email it is. \
               Check each with persons-retrieve: one person can hold the distinct ids of several people, and one human can be several persons.\n\
               2. List the persons that you found (uuid, name, distinct ids), and ask me which of them to erase. If a person has distinct ids \
               of another human, stop and propose persons-split first.\n\
               3. Call persons-bulk-delete with ids, delete_events true and delete_recordings true, with dry_run true, and show me the preview.\n\
               4. Only after I agree, call it without dry_run and with wait_seconds 30. I must confirm again before anything is sent. Never call it twice: if the outcome is \
               unknown, go on with step 5.\n\
               5. Verify with persons-deletion-status-list and person_uuids: it says of each person whether the profile is gone and whether events are gone, \
               pending or cannot be known.\n\
               6. Write a summary for the record: who was deleted and when, what is verified gone, what is pending and until when (events are deleted in a weekly batch: repeat step \
               5 afterwards), what cannot be verified (recordings), and what remains (anonymous events, events sent later, backups, copies in other systems, this \
               conversation). Do not say done for what step 5 does not show as gone.",
    },
    PromptTemplate {
        name: "investigate-person",
        title: "Explain what happened to a person",
        description: "Report who a person is, what changed, when and by whom",
        tools: &[
            "persons-list",
            "persons-retrieve",
            "persons-activity-retrieve",
        ],
        needs_person: true,
        optional: &[&PROPERTY_IN_QUESTION, &COHORT_IN_QUESTION],
        text: "Explain who this person is and what happened to them.\n\
               1. Find them: persons-list by email or distinct_id, otherwise by search; then persons-retrieve with select [\"*\"].\n\
               2. Read their cohorts with persons-cohorts-retrieve, and what was changed and by whom with persons-activity-retrieve.\n\
               3. If a property seems wrong, compare persons-properties-at-time-retrieve at two or three points in time to see when it changed.\n\
               4. Report in this order: who the person is; what is unusual (many distinct ids, a missing email, contradictory values); the history as a short \
               timeline; what you could not find out.\n\
               Do not change anything.",
    },
    PromptTemplate {
        name: "merge-duplicates",
        title: "Merge duplicates",
        description: "Find persons that are the same human, and merge them after confirmation",
        tools: &[
            "persons-duplicates-list",
            "persons-retrieve",
            "persons-merge",
        ],
        needs_person: false,
        optional: &[&PROPERTY_IN_COMMON],
        text: "Find persons in PostHog that are the same human, and merge them. A merge cannot be undone: a split can move distinct ids to new \
               persons again, but their properties stay mixed.\n\
               1. Find candidates: with a person given, persons-list by their email in other spellings and by name; otherwise persons-duplicates-list.\n\
               2. Read each candidate with persons-retrieve and select [\"*\"]. The same email or phone number is evidence; the same name or company \
               is none. A shared address (info@, office@), a test account, a device of several people or a placeholder id such as `undefined` is a \
               reason not to merge.\n\
               3. Show me for each group who stays and why (the person with the distinct id that the product uses for the user, otherwise the \
               oldest), who is merged into it, and which property values are lost. Stop here and ask me. Leave a group out if you are in doubt.\n\
               4. For one group at a time, call persons-merge with dry_run true and show me the preview. If the values that are lost matter, stop and \
               ask me whether another person should stay or whether they should be set afterwards.\n\
               5. Only after I agree to that group, call it without dry_run and with wait_seconds 60. I must confirm again before anything is sent.\n\
               6. If the outcome is unknown or a merge is not seen within the time, do not merge again: verify with persons-batch-retrieve first. If it \
               fails, stop and tell me.\n\
               7. Report who was merged into whom, what is still queued, and which groups you left out and why.",
    },
    PromptTemplate {
        name: "untangle-merged-person",
        title: "Untangle a merged person",
        description: "Find out whether a person is several people, and split them after confirmation",
        tools: &["persons-list", "persons-retrieve", "persons-split"],
        needs_person: true,
        optional: &[],
        text: "This person may be several people who were merged by mistake.\n\
               1. Find the person: persons-list by email or distinct_id; then read persons-retrieve with select [\"*\"] and check all distinct ids. If several \
               persons fit, stop and ask me which one is meant.\n\
               2. Look for evidence: persons-activity-retrieve shows who was merged into whom and earlier splits, \
               persons-properties-timeline-retrieve when email, name or other properties changed, persons-events-list which distinct id sends what, \
               persons-properties-at-time-retrieve the properties before a change.\n\
               3. Report which distinct ids belong to whom in your judgment, on which evidence, how certain you are, and which distinct ids the person \
               should keep. If the evidence does not tell, or the person is a shared device, say so, stop and ask me.\n\
               4. Call persons-split with exactly the distinct ids that should be moved, with dry_run true, and show me where each would go.\n\
               5. Only after I agree, call it without dry_run and with wait_seconds 30. I must confirm again before anything is sent.\n\
               6. Verify with persons-batch-retrieve that each distinct id is on its new person, and report what does not change: properties stay with the old \
               person, events follow their distinct ids. Name the properties that are not the old person's, and ask me before you set or remove any.",
    },
];

/// The templates whose tools are available.
fn available(is_enabled: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static PromptTemplate> {
    PROMPTS
        .iter()
        .filter(move |template| template.tools.iter().all(|tool| is_enabled(tool)))
}

/// The prompts whose tools are available.
pub fn list(is_enabled: impl Fn(&str) -> bool) -> Vec<Prompt> {
    available(is_enabled)
        .map(|template| {
            let person = PromptArgument::new(PERSON)
                .with_description("Email, distinct id or UUID")
                .with_required(template.needs_person);
            let questions = template.optional.iter().map(|question| {
                PromptArgument::new(question.name).with_description(question.description)
            });
            let arguments = std::iter::once(person).chain(questions).collect();
            Prompt::new(template.name, Some(template.description), Some(arguments))
                .with_title(template.title)
        })
        .collect()
}

/// Whether a prompt of this name is available and has this argument.
pub fn takes(name: &str, argument: &str, is_enabled: impl Fn(&str) -> bool) -> bool {
    let mut templates = available(is_enabled).filter(|template| template.name == name);
    templates.any(|template| {
        argument == PERSON
            || template
                .optional
                .iter()
                .any(|question| question.name == argument)
    })
}

/// One prompt, for one person.
///
/// # Errors
/// If the prompt is unknown or the person is missing.
pub fn get(
    name: &str,
    arguments: Option<&JsonObject>,
    redaction: &Redaction,
    is_enabled: impl Fn(&str) -> bool,
) -> Result<GetPromptResult, ErrorData> {
    let template = available(is_enabled)
        .find(|template| template.name == name)
        .ok_or_else(|| {
            let message = format!("unknown prompt: {}", redaction.mask(&sanitize(name)));
            ErrorData::invalid_params(message, None)
        })?;
    let given = |name: &str| {
        let text = arguments.and_then(|arguments| arguments.get(name)?.as_str())?;
        let text: String = sanitize(text)
            .trim()
            .chars()
            .take(MAX_ARGUMENT_CHARS)
            .collect();
        (!text.is_empty()).then_some(text)
    };
    let person = given(PERSON);
    if person.is_none() && template.needs_person {
        let message = format!("the argument `{PERSON}` is missing");
        return Err(ErrorData::invalid_params(message, None));
    }
    let shown = person.as_deref().map(|person| redaction.mask(person));
    let mut text = format!("{}\n", template.text);
    if let Some(shown) = &shown {
        text.push_str(&format!(
            "\nThe person: {}",
            serde_json::Value::from(&**shown)
        ));
    }
    for question in template.optional {
        if let Some(text_of) = given(question.name) {
            let shown = serde_json::Value::from(&*redaction.mask(&text_of));
            text.push_str(&format!("\n{}: {shown}", question.label));
        }
    }
    if shown.as_deref() != person.as_deref() {
        text.push_str(
            "\nEmail addresses are masked on this server (--mask-emails). Ask me for the person's UUID or distinct id.",
        );
    }
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(
        Role::User,
        text,
    )]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(is_enabled: impl Fn(&str) -> bool) -> Vec<String> {
        let prompts = list(is_enabled).into_iter();
        prompts.map(|prompt| prompt.name).collect()
    }

    #[test]
    fn merging_is_a_prompt_only_where_persons_can_be_merged() {
        let everything = names(|_| true);
        assert!(everything.contains(&"merge-duplicates".to_owned()));
        let without = names(|tool| tool != "persons-merge");
        assert!(!without.contains(&"merge-duplicates".to_owned()));
        assert_eq!(without.len(), everything.len() - 1);
    }

    #[test]
    fn duplicates_are_looked_for_with_and_without_a_person() {
        let redaction = Redaction::default();
        let text = |arguments: serde_json::Value| {
            let arguments = arguments.as_object().cloned();
            let prompt = get("merge-duplicates", arguments.as_ref(), &redaction, |_| true);
            let message = prompt.unwrap().messages.remove(0);
            message.content.as_text().unwrap().text.clone()
        };
        let all = text(serde_json::json!({"property": "phone"}));
        assert!(
            all.ends_with("\nThe property that duplicates have in common: \"phone\""),
            "{all}"
        );
        assert!(!all.contains("The person: "), "{all}");
        let one = text(serde_json::json!({"person": "ada@example.com"}));
        assert!(one.ends_with("\nThe person: \"ada@example.com\""), "{one}");
        for text in [all, one] {
            assert!(text.contains("cannot be undone") && text.contains("Stop here and ask me"));
        }
    }
}
