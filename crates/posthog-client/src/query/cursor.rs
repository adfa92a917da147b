//! What the cursors of pages have in common: what pages are sorted by, and a UUID.

use uuid::Uuid;

/// A text that is no cursor.
#[derive(Debug, thiserror::Error)]
#[error("not a cursor of an earlier page")]
pub struct InvalidCursor;

/// The parts of a cursor. A UUID has no underscore.
pub(super) fn split(text: &str) -> Result<(&str, Uuid), InvalidCursor> {
    let (first, uuid) = text.rsplit_once('_').ok_or(InvalidCursor)?;
    let uuid = Uuid::try_parse(uuid).map_err(|_| InvalidCursor)?;
    Ok((first, uuid))
}

/// A cursor is a text where it is stored, and is checked when it is read.
macro_rules! stored_as_text {
    ($cursor:ty) => {
        impl From<$cursor> for String {
            fn from(cursor: $cursor) -> Self {
                cursor.to_string()
            }
        }

        impl TryFrom<String> for $cursor {
            type Error = InvalidCursor;

            fn try_from(text: String) -> Result<Self, InvalidCursor> {
                text.parse()
            }
        }
    };
}
pub(super) use stored_as_text;
