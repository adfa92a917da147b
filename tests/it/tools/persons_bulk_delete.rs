//! `persons-bulk-delete`.

mod preview;
mod request;
mod result;
mod support;
