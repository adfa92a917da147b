//! Prompts: the ways through several tools that people ask for most, each begun by naming a person.
//!
//! Knows the protocol and the names of tools; calls none.

use rmcp::model::{GetPromptResult, Prompt, PromptArgument, PromptMessage, Role};
use rmcp::{ErrorData, model::JsonObject};

use crate::output::{Redaction, clean};

/// The argument that every prompt takes.
pub const PERSON: &str = "person";
/// A property that somebody wonders about.
pub const PROPERTY: &str = "property";
/// A cohort that somebody wonders about.
pub const COHORT: &str = "cohort";

/// What is taken of an argument: an e-mail or a distinct id is not longer.
const LONGEST: usize = 400;

/// An argument that may be left out, as people see it and as the text names it.
struct Question {
    name: &'static str,
    description: &'static str,
    words: &'static str,
}

static PROPERTY_IN_QUESTION: Question = Question {
    name: PROPERTY,
    description: "A property whose value seems wrong",
    words: "The property in question",
};
static COHORT_IN_QUESTION: Question = Question {
    name: COHORT,
    description: "A cohort that the person should not be in, or should",
    words: "The cohort in question",
};

struct PromptTemplate {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// The tools on the way; without them the prompt is not offered.
    tools: &'static [&'static str],
    /// What may be asked about besides the person.
    questions: &'static [&'static Question],
    text: &'static str,
}

static PROMPTS: [PromptTemplate; 3] = [
    PromptTemplate {
        name: "erase-person",
        title: "Erase a person",
        description: "Find a person, show what would be deleted, delete after a yes, and say what remains",
        tools: &[
            "persons-list",
            "persons-bulk-delete",
            "persons-deletion-status-list",
        ],
        questions: &[],
        text: "Somebody asks to be erased. Follow these steps and do not skip any.\n\
               1. Find every person that belongs to them: persons-list by email, by distinct_id and by search. Look at each with \
               persons-retrieve: one person can hold the distinct ids of several people, and one human can be several persons.\n\
               2. Tell me whom you found (uuid, name, distinct ids) and ask which of them it is if there is any doubt. If a person holds somebody \
               else's distinct ids, stop and propose persons-split first.\n\
               3. Call persons-bulk-delete with ids, delete_events true and delete_recordings true, with dry_run true, and show me the preview.\n\
               4. Only after I agree, call it without dry_run. I am asked again before anything is sent.\n\
               5. Afterwards look: persons-retrieve says `not found` once a profile is gone; persons-deletion-status-list with person_uuid shows the \
               events.\n\
               6. Sum up for the record: who was deleted, when, what is done, what is queued and until when, and what this cannot reach (events sent \
               later, copies in other systems).",
    },
    PromptTemplate {
        name: "investigate-person",
        title: "Explain what happened to a person",
        description: "Say who a person is, what changed about them, when and by whom",
        tools: &[
            "persons-list",
            "persons-retrieve",
            "persons-activity-retrieve",
        ],
        questions: &[&PROPERTY_IN_QUESTION, &COHORT_IN_QUESTION],
        text: "Explain who this person is and what happened to them.\n\
               1. Find them: persons-list by email or distinct_id, else by search; then persons-retrieve with select [\"*\"].\n\
               2. persons-cohorts-retrieve for their cohorts, persons-activity-retrieve for what was changed and by whom.\n\
               3. For a property that seems wrong, persons-properties-at-time-retrieve at two or three moments shows when it changed.\n\
               4. Report in this order: who it is, what is unusual (many distinct ids, missing e-mail, values that contradict each other), the \
               history as a short timeline, and what you could not find out.\n\
               Change nothing.",
    },
    PromptTemplate {
        name: "untangle-merged-person",
        title: "Untangle a merged person",
        description: "Find out whether a person is several people, and split them after a yes",
        tools: &["persons-list", "persons-retrieve", "persons-split"],
        questions: &[],
        text: "This person may be several people merged by mistake.\n\
               1. Find them: persons-list by email or distinct_id; then persons-retrieve with select [\"*\"], and look at all distinct ids.\n\
               2. persons-properties-at-time-retrieve by each distinct id shows whose properties came from which id; persons-activity-retrieve \
               shows earlier splits.\n\
               3. Tell me which distinct ids you think belong to whom, how sure you are, and which id the person should keep.\n\
               4. Call persons-split with exactly the ids that should leave, with dry_run true, and show me where each would go.\n\
               5. Only after I agree, call it without dry_run and with wait_seconds 30. I am asked again before anything is sent.\n\
               6. Check with persons-batch-retrieve that each id is on its new person, and say what stays as it was: properties stay with the old \
               person, events follow their distinct ids.",
    },
];

/// The ways whose tools are offered.
fn offered(offers: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static PromptTemplate> {
    PROMPTS
        .iter()
        .filter(move |way| way.tools.iter().all(|tool| offers(tool)))
}

/// The prompts whose tools are offered.
pub fn list(offers: impl Fn(&str) -> bool) -> Vec<Prompt> {
    offered(offers)
        .map(|way| {
            let person = PromptArgument::new(PERSON)
                .with_description("E-mail, distinct id or UUID")
                .with_required(true);
            let questions = way.questions.iter().map(|question| {
                PromptArgument::new(question.name).with_description(question.description)
            });
            let arguments = std::iter::once(person).chain(questions).collect();
            Prompt::new(way.name, Some(way.description), Some(arguments)).with_title(way.title)
        })
        .collect()
}

/// Whether a prompt of this name is offered and takes this argument.
pub fn takes(name: &str, argument: &str, offers: impl Fn(&str) -> bool) -> bool {
    let mut ways = offered(offers).filter(|way| way.name == name);
    ways.any(|way| {
        argument == PERSON
            || way
                .questions
                .iter()
                .any(|question| question.name == argument)
    })
}

/// One prompt, about one person.
///
/// # Errors
/// When there is no such prompt, or nobody is named.
pub fn get(
    name: &str,
    arguments: Option<&JsonObject>,
    redaction: &Redaction,
    offers: impl Fn(&str) -> bool,
) -> Result<GetPromptResult, ErrorData> {
    let way = offered(offers)
        .find(|way| way.name == name)
        .ok_or_else(|| {
            let message = format!("unknown prompt: {}", redaction.mask(name));
            ErrorData::invalid_params(message, None)
        })?;
    let given = |name: &str| {
        let text = arguments.and_then(|arguments| arguments.get(name)?.as_str())?;
        let text: String = clean(text).trim().chars().take(LONGEST).collect();
        (!text.is_empty()).then_some(text)
    };
    let person = given(PERSON).ok_or_else(|| {
        ErrorData::invalid_params(format!("the argument `{PERSON}` is missing"), None)
    })?;
    let shown = redaction.mask(&person);
    let mut text = format!(
        "{}\n\nThe person: {}",
        way.text,
        serde_json::Value::from(&*shown)
    );
    for question in way.questions {
        if let Some(text_of) = given(question.name) {
            let shown = serde_json::Value::from(&*redaction.mask(&text_of));
            text.push_str(&format!("\n{}: {shown}", question.words));
        }
    }
    if *shown != *person {
        text.push_str(
            "\nE-mail addresses are withheld on this server (--mask-emails). Ask me for the person's UUID or distinct id.",
        );
    }
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(
        Role::User,
        text,
    )]))
}
