// Claude Code without a user.

import { join } from 'node:path';
import { start, withHome, within } from './program.mjs';

export const name = 'claude';

// What its install script would link as `claude`.
const program = '@anthropic-ai/claude-code/cli-wrapper.cjs';

/** Runs one turn; with `search`, tools are deferred behind Claude Code's tool search. */
export function run(model, server, { search = false } = {}) {
  const connection = server.url ? { type: 'http', url: server.url } : server;
  return withHome({ 'mcp.json': JSON.stringify({ mcpServers: { posthog: connection } }) }, async (home) => {
    const options = ['--mcp-config', join(home, 'mcp.json'), '--strict-mcp-config', '--max-turns', '60'];
    const child = start(home, [program, '--print', 'Go on.', ...options, '--allowed-tools', 'mcp__posthog'], {
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: 'simulated',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      ENABLE_TOOL_SEARCH: String(search),
    });
    child.stdin.end();
    await within(child, child.ended);
  });
}
