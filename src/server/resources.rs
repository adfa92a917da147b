//! Resources: a person as a document, for clients that attach documents to a session.

use rmcp::model::ResourceTemplate;
use uuid::Uuid;

/// The tool that reads a person.
pub const READ_BY: &str = "persons-retrieve";

const PREFIX: &str = "posthog://persons/";

/// The one template there is.
#[must_use]
pub fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{PREFIX}{{uuid}}"), "person")
        .with_title("Person")
        .with_description("One person with all properties, as persons-retrieve shows them")
        .with_mime_type("text/plain")
}

/// The address of a person.
#[must_use]
pub fn uri(uuid: Uuid) -> String {
    format!("{PREFIX}{uuid}")
}

/// The person that an address names.
#[must_use]
pub fn person(uri: &str) -> Option<Uuid> {
    let uuid = uri.strip_prefix(PREFIX)?;
    if uuid.len() == 36 {
        Uuid::try_parse(uuid).ok()
    } else {
        None
    }
}
