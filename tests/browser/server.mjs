// A server over stdio, the sandbox behind it, and a client without elicitation.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

const binary = process.env.BROWSER_BINARY;
const running = [];

function start(args, env) {
  const child = spawn(binary, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  running.push(child);
  child.log = '';
  child.stderr.on('data', (data) => (child.log += data));
  return child;
}

/** Ends every process. */
export async function stop() {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const late = new AbortController();
    setTimeout(10_000, undefined, { signal: late.signal }).then(() => child.kill('SIGKILL'), () => {});
    await ended;
    late.abort();
  }
}

/** Starts the sandbox, with the persons of a seed file if there is one, and a server that uses it. */
export async function serve(seedFile) {
  const sandbox = start(['sandbox', '--port', '0', ...(seedFile ? ['--sandbox-seed', seedFile] : [])], {});
  const host = await new Promise((resolve, reject) => {
    const look = (data) => {
      const found = /at (http:\/\/[0-9.:]+)\. Its/.exec((look.seen = (look.seen ?? '') + data));
      if (found) resolve(found[1]);
    };
    sandbox.stdout.on('data', look);
    sandbox.stderr.on('data', look);
    sandbox.once('exit', () => reject(new Error(`the sandbox did not start: ${look.seen}`)));
  });
  const server = start(['stdio', '--structured', 'on'], {
    POSTHOG_HOST: host,
    POSTHOG_PROJECT_ID: '1',
    POSTHOG_PERSONAL_API_KEY: 'phx_sandbox_all_scopes',
    POSTHOG_MCP_LOG: 'trace',
  });
  const waiting = new Map();
  const forUser = new Map();
  createInterface({ input: server.stdout }).on('line', (line) => {
    const message = JSON.parse(line);
    const { progressToken, message: progress } = message.params ?? {};
    if (/^waiting for the user/.test(progress)) forUser.get(progressToken)?.();
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  });
  const send = (message) => server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  let last = 0;
  const request = async (method, params) => {
    last += 1;
    const answered = new Promise((resolve) => waiting.set(last, resolve));
    send({ id: last, method, params });
    const { error, result } = await answered;
    assert.equal(error, undefined, JSON.stringify(error));
    return result;
  };
  const clientInfo = { name: 'browser-tests', version: '1' };
  await request('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo });
  send({ method: 'notifications/initialized' });

  const call = (name, args) => request('tools/call', { name, arguments: args });
  /** A call that waits for the user: its result is a promise in an object, which `await` leaves alone. */
  const waitingCall = async (name, args) => {
    const progressToken = `call-${last + 1}`;
    const waits = new Promise((resolve) => forUser.set(progressToken, resolve));
    const result = request('tools/call', { name, arguments: args, _meta: { progressToken } });
    await Promise.race([waits, result]);
    return { result };
  };
  /** How many requests to delete persons PostHog has received. */
  const deletions = async () => {
    const { requests } = await (await fetch(`${host}/sandbox/requests`)).json();
    return requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/persons/bulk_delete/')).length;
  };
  /** Whether there is a person with this distinct id. */
  const exists = async (distinctId) => {
    const result = await call('persons-list', { distinct_id: distinctId });
    assert.ok(!result.isError, text(result));
    return result.structuredContent.results.length === 1;
  };
  return {
    call,
    deletions,
    exists,
    log: () => server.log,
    /** Checks that these persons are gone in a while: PostHog queues a deletion. */
    gone: async (distinctIds) => {
      for (const id of distinctIds) {
        for (let tries = 0; await exists(id); tries += 1) {
          assert.ok(tries < 300, `${id} still exists`);
          await setTimeout(100);
        }
      }
    },
    /** Asks to delete persons: the address of the page, and the same call again with the token, answered or still waiting. */
    ask: async (distinctIds, more = {}) => {
      const args = { distinct_ids: distinctIds, ...more };
      const before = await deletions();
      const result = await call('persons-bulk-delete', args);
      const addresses = text(result).match(/http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}(?=\s|$)/g) ?? [];
      assert.equal(new Set(addresses).size, 1, `one bare address: ${text(result)}`);
      assert.equal(await deletions(), before, 'nothing is sent before the answer');
      const { confirmation } = result.structuredContent;
      const confirmed = ['persons-bulk-delete', { ...args, confirmation }];
      return { address: addresses[0], repeat: () => call(...confirmed), wait: () => waitingCall(...confirmed) };
    },
  };
}

export function text(result) {
  return result.content.map((block) => block.text).join('\n');
}
