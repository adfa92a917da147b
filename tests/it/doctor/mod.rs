//! `doctor`: findings, remediation, and secrets that it must not print.

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
