// What the clients written in JavaScript do with the server, and what is checked. A client's own file knows how that
// client connects; nothing here knows which client it is.

import assert from 'node:assert/strict';

export const { INTEROP_BINARY: binary, INTEROP_SANDBOX: sandbox, INTEROP_SERVER: server } = process.env;
/** A server without a key: every request brings its own. */
export const { INTEROP_KEYLESS: keyless } = process.env;
/** The server's key and, for the server that has none, a request's own. */
export const { INTEROP_KEY: key, INTEROP_OTHER_KEY: otherKey } = process.env;
const tools = process.env.INTEROP_TOOLS.split(',');

export const [transport, era] = process.argv.slice(2);
/** How a server over stdio is started: all of it is in its environment. */
export const stdio = {
  command: binary,
  args: ['stdio'],
  env: {
    POSTHOG_HOST: sandbox,
    POSTHOG_PROJECT_ID: '1',
    POSTHOG_PERSONAL_API_KEY: key,
    POSTHOG_MCP_LOG: 'trace',
  },
};

/** The address of a server for this transport. */
export function address(base) {
  return new URL(transport === 'sse' ? '/sse' : '/mcp', base);
}

/** One line for a check; the first one that fails is the last. */
export async function check(name, checked) {
  try {
    await checked();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}: ${String(error.message).split('\n')[0]}`);
    console.error(error);
    process.exit(1);
  }
}

/** The deletions that have arrived at the sandbox, in the sandbox's own record. */
export async function deletions() {
  const answer = await fetch(`${sandbox}/sandbox/requests`);
  const { requests } = await answer.json();
  return requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/persons/bulk_delete/'));
}

/** Checks that so many deletions arrive while `work` is done, and returns the last. */
export async function sends(expected, work) {
  const before = (await deletions()).length;
  await work();
  const after = await deletions();
  assert.equal(after.length, before + expected, `${after.length - before} deletions reached the sandbox`);
  return after.at(-1);
}

export function assertTools(listed) {
  assert.deepEqual(listed.map(({ name }) => name).sort(), [...tools].sort());
}

export function assertFound(result) {
  assert.ok(!result.isError, text(result));
  assert.match(text(result), /ada@example\.com/);
  assert.equal(result.structuredContent.results.length, 1);
}

export function assertQueued(result) {
  assert.ok(!result.isError, text(result));
  assert.match(text(result), /^Queued, not done yet/);
  assert.equal(result.structuredContent.status, 'queued');
}

export function assertRefused(result) {
  assert.equal(result.isError, true, text(result));
  assert.match(text(result), /Nothing was sent/);
}

export function assertQuestion(message, distinctId) {
  assert.match(message, /^Delete 1 person from PostHog project 1/);
  assert.ok(message.includes(`"${distinctId}@example.org"`), message);
}

export function text(result) {
  return result.content.map((block) => block.text).join('\n');
}

export const find = { name: 'persons-list', arguments: { email: 'ada@example.com' } };

export function remove(distinctId, more = {}) {
  return { name: 'persons-bulk-delete', arguments: { distinct_ids: [distinctId], ...more } };
}

/** What the human does when asked. */
export const yes = { action: 'accept', content: { confirm: true } };
const no = { action: 'decline' };
const unticked = { action: 'accept', content: { confirm: false } };

/**
 * The whole conversation. `connect({ answer, base, bearer })` gives a connected client: `answer` is what its human says
 * (without it, the client cannot ask one), `base` the server where it is not started over stdio. Besides the client it
 * returns the questions that were asked and the protocol version that was agreed on.
 */
export async function converse(connect, version) {
  const asks = async (answer, distinctId, options = {}) => {
    const { client, asked } = await connect({ answer, base: server, ...options });
    const result = await client.callTool(remove(distinctId));
    await client.close();
    assert.equal(asked.length, 1, `${asked.length} questions`);
    assertQuestion(asked[0], distinctId);
    return result;
  };

  await check(`speaks ${version}, and lists the ${tools.length} tools`, async () => {
    const { client, speaks } = await connect({ base: server });
    assert.equal(speaks(), version);
    assertTools((await client.listTools()).tools);
    await client.close();
  });
  await check('finds a person', async () => {
    const { client } = await connect({ base: server });
    assertFound(await client.callTool(find));
    await client.close();
  });
  await check('deletes after one question and a yes', async () => {
    const request = await sends(1, async () => assertQueued(await asks(yes, 'qa-1')));
    assert.equal(request.body.ids.length, 1);
  });
  await check('sends nothing after a no', () => sends(0, async () => assertRefused(await asks(no, 'qa-2'))));
  await check('sends nothing while the box is not ticked', () =>
    sends(0, async () => assertRefused(await asks(unticked, 'qa-3'))));

  if (transport === 'stdio') {
    await check('deletes with the token where nobody can be asked, once', async () => {
      const { client } = await connect({});
      let token;
      await sends(0, async () => {
        const preview = await client.callTool(remove('qa-4'));
        assert.match(text(preview), /^Nothing was sent yet/);
        assertQuestion(text(preview).split('\n\n')[1], 'qa-4');
        token = preview.structuredContent.confirmation;
      });
      await sends(0, async () => assertRefused(await client.callTool(remove('qa-5', { confirmation: token }))));
      await sends(1, async () => assertQueued(await client.callTool(remove('qa-4', { confirmation: token }))));
      await sends(0, async () => assertRefused(await client.callTool(remove('qa-4', { confirmation: token }))));
      await client.close();
    });
    return;
  }
  await check('is refused a deletion where nobody can be asked', async () => {
    const { client } = await connect({ base: server });
    await sends(0, async () => assertRefused(await client.callTool(remove('qa-4'))));
    await client.close();
  });
  await check('is not let in without a key of its own', async () => {
    await assert.rejects(connect({ base: keyless }));
    await assert.rejects(connect({ base: keyless, bearer: 'phc_project_key' }));
  });
  await check('reads and deletes with a key of its own', async () => {
    const own = { base: keyless, bearer: otherKey };
    const { client } = await connect(own);
    assertFound(await client.callTool(find));
    await client.close();
    const { headers } = await sends(1, async () => assertQueued(await asks(yes, 'qa-5', own)));
    const authorization = headers.find(([name]) => name === 'authorization')[1];
    assert.ok(authorization === `Bearer ${otherKey}`, 'PostHog saw another key');
  });
}
