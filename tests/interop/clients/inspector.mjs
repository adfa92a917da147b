// The Inspector's two command lines: `mcp-inspector --cli`, a conversation for each call, which cannot ask anybody; and
// `mcpdo`, which keeps a conversation open between calls and can.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  address, assertFound, assertQuestion, assertQueued, assertRefused, assertTools, check, era, find, keyless, otherKey,
  remove, sends, server, stdio, text, transport,
} from './conversation.mjs';

/** The command's output. 5 is its word for an answer that is an error, which the answer says itself. */
function command(name, args) {
  const program = new URL(`../node_modules/.bin/${name}`, import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 60_000 });
  // A server's log comes by way of its client.
  process.stderr.write(stderr);
  assert.ok([0, 5].includes(status), `${name} ended with ${status}: ${args.join(' ')}`);
  return stdout;
}

/** Where the server is, in the words of both command lines. */
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

/** A conversation of mcpdo's: one function calls a tool, one answers the question that comes of it. */
function open(where) {
  connections += 1;
  const connection = `conversation-${connections}`;
  const mcpdo = (...args) =>
    JSON.parse(command('mcpdo', ['--format', 'json', '--stored-auth-only', '--connection', connection, ...args]));
  const { protocolEra } = mcpdo('connect', '--era', era, ...target(where));
  assert.equal(protocolEra, era === 'legacy' ? 'legacy' : 'modern');
  return {
    call: ({ name, arguments: args }) => mcpdo('tools/call', name, JSON.stringify(args)),
    answer: (id, ...answer) => mcpdo('elicitation/respond', id, ...answer),
    close: () => mcpdo('disconnect'),
  };
}

function asks(answer, distinctId, where) {
  const conversation = open(where);
  const { elicitationPending: question } = conversation.call(remove(distinctId));
  assertQuestion(question.message, distinctId);
  const result = conversation.answer(question.elicitationId, answer);
  assert.equal(result.elicitationPending, undefined, 'a second question');
  conversation.close();
  return result;
}

try {
  await check('lists the tools, with schemas that are portable', () => {
    assertTools(inspector(['--method', 'tools/list', '--strict']).tools);
  });
  await check('finds a person', () => assertFound(call(find)));
  if (transport === 'stdio') {
    await check('is shown whom, and a token, where nobody can be asked', () =>
      sends(0, () => {
        const preview = call(remove('qa-4'));
        assert.match(text(preview), /^Nothing was sent yet/);
        assert.equal(preview.structuredContent.status, 'confirmation_required');
      }));
  } else {
    await check('is refused a deletion where nobody can be asked', () =>
      sends(0, () => assertRefused(call(remove('qa-4')))));
  }
  await check('deletes after one question and a yes', () => sends(1, () => assertQueued(asks('confirm:=true', 'qa-1'))));
  await check('sends nothing after a no', () => sends(0, () => assertRefused(asks('--decline', 'qa-2'))));
  await check('sends nothing while the box is not ticked', () =>
    sends(0, () => assertRefused(asks('confirm:=false', 'qa-3'))));
  if (transport !== 'stdio') {
    await check('reads and deletes with a key of its own', async () => {
      const own = { base: keyless, bearer: otherKey };
      assertFound(call(find, own));
      await sends(1, () => assertQueued(asks('confirm:=true', 'qa-5', own)));
    });
  }
} finally {
  command('mcpdo', ['daemon', 'stop']);
}
