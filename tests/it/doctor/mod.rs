//! `doctor`: what it finds, what it advises, and what it keeps to itself.

mod catalog;
mod host;
mod json;
mod key;
mod probing;
mod project;
mod scopes;
mod support;
mod tls;

use support::{
    Clouds, KEY, NOWHERE, OWN, PROJECT, answering, check, checks, config, doctor, examine,
    examined, found, printed, sandbox, sandbox_with, tools,
};
