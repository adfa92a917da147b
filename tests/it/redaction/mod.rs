//! With `--mask-emails` and `--redact email,name`, nothing that the real binary writes contains an e-mail address or a
//! person's name: no tool result, question, prompt, completion, resource, error, log line or line of the audit log.
//!
//! The forbidden texts are read from the sandbox's API, the tools to call from the catalog.

mod calls;
mod faults;
mod leaks;
mod moments;
mod sandbox_persons;
mod session;
mod spellings;
