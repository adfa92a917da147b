//! The audit log: one line for each change and deletion that was sent, on the disk before it was, without anybody's data.

mod entries;
mod file;
mod process;
mod support;
