// The Inspector's two command lines: `mcp-inspector --cli`, one session per call, without elicitation; and `mcpdo`, which
// keeps a session open between calls and supports elicitation.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  address, assertFound, assertQuestion, assertQueued, assertRefused, assertTools, check, era, find, keyless, otherKey,
  remove, sends, server, stdio, text, transport,
} from './checks.mjs';

/** Runs a command and returns its output. Exit code 5 means that the result is an error, which the result says itself. */
function command(name, args) {
  const program = new URL(`../node_modules/.bin/${name}`, import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 60_000 });
  // The client forwards the server's log.
  process.stderr.write(stderr);
  assert.ok([0, 5].includes(status), `${name} ended with ${status}: ${args.join(' ')}`);
  return stdout;
}

/** The arguments that select the server, the same for both commands. */
function target({ base = server, bearer } = {}) {
  if (transport === 'stdio') {
    const environment = Object.entries(stdio.env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    return [...environment, '--', stdio.command, ...stdio.args];
  }
  const header = bearer ? ['--header', `Authorization: Bearer ${bearer}`] : [];
  return ['--transport', transport, '--server-url', address(base).href, ...header];
}

function inspector(args, where) {
  const all = ['--cli', '--stored-auth-only', '--protocol-era', era, '--format', 'json', ...args, ...target(where)];
  return JSON.parse(command('mcp-inspector', all)).result;
}

function call({ name, arguments: args }, where) {
  return inspector(['--method', 'tools/call', '--tool-name', name, '--tool-args-json', JSON.stringify(args)], where);
}

let connections = 0;

/** Opens an mcpdo session, with functions to call a tool and to reply to its elicitation. */
function open(where) {
  connections += 1;
  const connection = `connection-${connections}`;
  const mcpdo = (...args) =>
    JSON.parse(command('mcpdo', ['--format', 'json', '--stored-auth-only', '--connection', connection, ...args]));
  const { protocolEra } = mcpdo('connect', '--era', era, ...target(where));
  assert.equal(protocolEra, era === 'legacy' ? 'legacy' : 'modern');
  return {
    call: ({ name, arguments: args }) => mcpdo('tools/call', name, JSON.stringify(args)),
    reply: (id, reply) => mcpdo('elicitation/respond', id, reply),
    close: () => mcpdo('disconnect'),
  };
}

function elicit(reply, distinctId, where) {
  const session = open(where);
  const { elicitationPending: question } = session.call(remove(distinctId));
  assertQuestion(question.message, distinctId);
  const result = session.reply(question.elicitationId, reply);
  assert.equal(result.elicitationPending, undefined, 'a second question');
  session.close();
  return result;
}

try {
  await check('lists the tools with portable schemas', () => {
    assertTools(inspector(['--method', 'tools/list', '--strict']).tools);
  });
  await check('finds a person', () => assertFound(call(find)));
  if (transport === 'stdio') {
    await check('returns the address of a page without elicitation', () =>
      sends(0, () => {
        const preview = call(remove('qa-4'));
        assert.match(text(preview), /^Nothing was sent yet/);
        assert.equal(preview.structuredContent.status, 'confirmation_required');
      }));
  } else {
    await check('rejects a deletion without elicitation', () =>
      sends(0, () => assertRefused(call(remove('qa-4')))));
  }
  await check('deletes after one question is accepted', () => sends(1, () => assertQueued(elicit('confirm:=true', 'qa-1'))));
  await check('sends nothing after a decline', () => sends(0, () => assertRefused(elicit('--decline', 'qa-2'))));
  await check('sends nothing while the box is not ticked', () =>
    sends(0, () => assertRefused(elicit('confirm:=false', 'qa-3'))));
  if (transport !== 'stdio') {
    await check('reads and deletes with the key of the request', async () => {
      const own = { base: keyless, bearer: otherKey };
      assertFound(call(find, own));
      await sends(1, () => assertQueued(elicit('confirm:=true', 'qa-5', own)));
    });
  }
} finally {
  command('mcpdo', ['daemon', 'stop']);
}
