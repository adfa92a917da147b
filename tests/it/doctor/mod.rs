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
mod version;

use support::{
    KEY, PROJECT, Regions, TEST_KEY, UNREACHABLE, check, checks, config, doctor, examine, examined,
    finding, printed, respond_with, sandbox, sandbox_with, tools,
};
