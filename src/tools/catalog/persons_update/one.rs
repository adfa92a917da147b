//! The change of one person, which needs no confirmation.

use futures::FutureExt;
use posthog_client::{Person, PersonId};

use super::{Change, Output};
use crate::output::write_list;
use crate::tools::arguments::Subject;
use crate::tools::support::confirmation_text::place_line;
use crate::tools::support::poll::poll;
use crate::tools::support::property_change::{self, Seen, is_applied};
use crate::tools::support::resolve_person::uuid_of;
use crate::tools::{Context, FactsDigest, PendingWrite, Preview, Question, ToolError};

pub(super) async fn prepare(
    context: &Context,
    subject: Subject,
    change: Change,
) -> Result<PendingWrite<Output>, ToolError> {
    let uuid = uuid_of(context, &subject).await?;
    let keys = change.keys();
    let sanitizer = context.limits.sanitizer();
    let shown: Vec<String> = keys.iter().map(|key| sanitizer.argument(key)).collect();
    let mut text = "set ".to_owned();
    write_list(&mut text, &shown);
    text.push_str(&format!(" of person {uuid}.\n"));
    let project = context.posthog.project().await?;
    // Shown by a dry run; nobody is asked.
    let preview = Preview {
        question: Question {
            action: "Update 1 person".to_owned(),
            summary: [
                "Set properties of 1 person?".to_owned(),
                uuid.to_string(),
                "Other properties stay.".to_owned(),
                place_line(project, context.posthog.host()),
            ],
            consequences: Vec::new(),
            sections: Vec::new(),
        },
        text,
        facts: Output {
            person_uuid: Some(uuid.to_string()),
            queued: shown.clone(),
            check: property_change::check(uuid, &shown),
            ..Output::default()
        },
        digest: FactsDigest::new(&uuid),
    };
    let context = context.clone();
    Ok(PendingWrite {
        persons: vec![uuid.to_string()],
        property_keys: keys.clone(),
        deletes: Vec::new(),
        merged_into: None,
        preview: Some(Box::new(preview)),
        execute: async move {
            let id = PersonId::from(uuid);
            let sent = context.posthog.update_properties(&id, &change.properties);
            sent.await
                .map_err(|error| property_change::failed(error, uuid))?;
            let applied = |person: &Person| is_applied(person, &change.properties);
            let read = || context.posthog.person(&id);
            let person = poll(&context, change.wait, read, applied).await;
            let seen = Seen::new(change.wait, person.as_ref().map(applied));
            let result = property_change::accepted(&context.limits, uuid, &keys, "set", seen);
            Ok(result.map(|changed| Output {
                person_uuid: Some(changed.person_uuid),
                queued: changed.queued,
                check: changed.check,
                ..Output::default()
            }))
        }
        .boxed(),
    })
}
