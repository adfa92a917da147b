//! `tools`: lists the offered tools.

use std::io::Write;
use std::process::ExitCode;

use super::build;
use crate::config::Config;
use crate::server::to_protocol_tool;

pub(super) fn run(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let tools = build::tools(config)?;
    if json {
        let limits = config.output.as_ref().map_err(Clone::clone)?;
        let tools: Vec<_> = tools
            .iter()
            .map(|tool| to_protocol_tool(tool, limits))
            .collect();
        serde_json::to_writer_pretty(&mut out, &tools)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = tools.iter().map(|tool| tool.name.len()).max().unwrap_or(0);
    for tool in &tools {
        writeln!(
            out,
            "{:width$}  {:6}  {:8}  {}",
            tool.name,
            tool.effect.name(),
            tool.toolset.name(),
            tool.title
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
