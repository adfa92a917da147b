//! Session recordings.

use super::dates::Time;

/// What a session recording is known by. The recording itself has no place here.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    /// That of the session.
    pub(crate) id: String,
    pub(crate) distinct_id: String,
    pub(crate) start: Time,
    pub(crate) seconds: u32,
    pub(crate) start_url: String,
}
