// Codex: `codex exec`, which has no user, and `codex app-server`, through which the IDE extensions ask theirs.

import { createInterface } from 'node:readline';
import { start, withHome, within } from './program.mjs';

export const name = 'codex';

function config(model, server, modelName, approval) {
  const text = JSON.stringify;
  const connection = server.url
    ? [`url = ${text(server.url)}`]
    : [
        `command = ${text(server.command)}`,
        `args = ${text(server.args)}`,
        `env = { ${Object.entries(server.env).map(([key, value]) => `${key} = ${text(value)}`).join(', ')} }`,
      ];
  return [
    `model = "${modelName}"`,
    'model_provider = "simulated"',
    `approval_policy = "${approval}"`,
    'check_for_update_on_startup = false',
    '[analytics]',
    'enabled = false',
    '[model_providers.simulated]',
    'name = "simulated"',
    `base_url = "${model.url}/v1"`,
    'wire_api = "responses"',
    '[mcp_servers.posthog]',
    ...connection,
    '',
  ].join('\n');
}

/** Runs one turn without a user. */
export function run(model, server, { modelName = 'simulated', flags = [] } = {}) {
  const files = { '.codex/config.toml': config(model, server, modelName, 'never') };
  return withHome(files, async (home) => {
    const child = start(home, ['.bin/codex', 'exec', '--skip-git-repo-check', ...flags, 'Go on.']);
    child.stdin.end();
    await within(child, child.ended);
  });
}

/** Runs one turn with a user who allows the tool call and gives `reply` to the server's question; returns the questions. */
export function runWithUser(model, server, reply) {
  const files = { '.codex/config.toml': config(model, server, 'simulated', 'on-request') };
  return withHome(files, async (home) => {
    const child = start(home, ['.bin/codex', 'app-server']);
    const questions = [];
    const replies = new Map();
    let completed;
    const turn = new Promise((resolve) => (completed = resolve));
    const send = (message) => child.stdin.write(`${JSON.stringify(message)}\n`);
    const request = (method, params) =>
      new Promise((resolve) => {
        replies.set(method, resolve);
        send({ id: method, method, params });
      });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = JSON.parse(line);
      if (message.method === 'mcpServer/elicitation/request') {
        // Codex asks for its own approval in the same form, without a field.
        const own = message.params._meta?.codex_approval_kind;
        if (!own) questions.push(message.params);
        const allowed = { action: 'accept', content: {} };
        send({ id: message.id, result: { _meta: null, content: null, ...(own ? allowed : reply) } });
      } else if (message.method === 'turn/completed') completed();
      else if (!message.method) replies.get(message.id)?.(message.result ?? Promise.reject(new Error(line)));
    });
    const talk = async () => {
      const clientInfo = { name: 'interop', title: null, version: '0' };
      await request('initialize', { clientInfo, capabilities: { experimentalApi: true, requestAttestation: false } });
      send({ method: 'initialized' });
      const { thread } = await request('thread/start', {});
      const input = [{ type: 'text', text: 'Go on.', text_elements: [] }];
      await request('turn/start', { threadId: thread.id, input });
      await turn;
    };
    await within(child, talk());
    return questions;
  });
}
