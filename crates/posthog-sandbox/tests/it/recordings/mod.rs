//! Replays recordings of PostHog (`tests/recordings`) against the sandbox of the same version, and compares the
//! responses.

mod compare;
mod differences;
mod query;
mod recording;
mod replay;
