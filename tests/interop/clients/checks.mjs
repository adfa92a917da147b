// The checks that every JavaScript client runs. Each client's own file connects the client; nothing here depends on which
// client it is.

import assert from 'node:assert/strict';

export const { INTEROP_BINARY: binary, INTEROP_SANDBOX: sandbox, INTEROP_SERVER: server } = process.env;
/** A server without an API key: every request carries its own. */
export const { INTEROP_KEYLESS: keyless } = process.env;
/** The server's API key and, for the server without one, a request's. */
export const { INTEROP_KEY: key, INTEROP_OTHER_KEY: otherKey } = process.env;
const tools = process.env.INTEROP_TOOLS.split(',');

export const [transport, era] = process.argv.slice(2);
/** How to start a server over stdio. */
export const stdio = {
  command: binary,
  args: ['stdio', '--structured', 'on'],
  env: {
    POSTHOG_HOST: sandbox,
    POSTHOG_PROJECT_ID: '1',
    POSTHOG_PERSONAL_API_KEY: key,
    POSTHOG_MCP_LOG: 'trace',
  },
};

/** The URL of a server for this transport. */
export function address(base) {
  return new URL(transport === 'sse' ? '/sse' : '/mcp', base);
}

/** Runs a check and prints a line for it; exits if it fails. */
export async function check(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}: ${String(error.message).split('\n')[0]}`);
    console.error(error);
    process.exit(1);
  }
}

/** The deletions that the sandbox has received. */
export async function deletions() {
  const response = await fetch(`${sandbox}/sandbox/requests`);
  const { requests } = await response.json();
  return requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/persons/bulk_delete/'));
}

/** Checks that the sandbox receives `expected` deletions during `work`, and returns the last. */
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
  assert.match(message, /^Delete 1 person for good/);
  assert.ok(message.includes(`"${distinctId}@example.org"`), message);
}

export function text(result) {
  return result.content.map((block) => block.text).join('\n');
}

export const find = { name: 'persons-list', arguments: { email: 'ada@example.com' } };

export function remove(distinctId, more = {}) {
  return { name: 'persons-bulk-delete', arguments: { distinct_ids: [distinctId], ...more } };
}

/** Presses the button of the approval page that a result names, as a browser would. */
export async function approve(result) {
  const [url] = /^http:\/\/\S+$/m.exec(text(result));
  const page = await (await fetch(url)).text();
  const [, form] = /name="form" value="(\w+)"/.exec(page);
  const headers = { origin: new URL(url).origin };
  const body = new URLSearchParams({ form, answer: 'approve' });
  const response = await fetch(url, { method: 'POST', redirect: 'manual', headers, body });
  assert.equal(response.status, 303);
}

/** The user's replies to an elicitation. */
export const accept = { action: 'accept', content: { confirm: true } };
const decline = { action: 'decline' };
const unticked = { action: 'accept', content: { confirm: false } };

/**
 * Runs all checks. `connect({ reply, base, bearer })` returns a connected client: `reply` is the user's reply to an
 * elicitation (without it, the client does not support elicitation), `base` the URL of the server unless it is started over
 * stdio. It also returns the questions asked so far and the negotiated protocol version.
 */
export async function runChecks(connect, version) {
  const elicit = async (reply, distinctId, options = {}) => {
    const { client, asked } = await connect({ reply, base: server, ...options });
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
  await check('deletes after one question is accepted', async () => {
    const request = await sends(1, async () => assertQueued(await elicit(accept, 'qa-1')));
    assert.equal(request.body.ids.length, 1);
  });
  await check('sends nothing after a decline', () => sends(0, async () => assertRefused(await elicit(decline, 'qa-2'))));
  await check('sends nothing while the box is not ticked', () =>
    sends(0, async () => assertRefused(await elicit(unticked, 'qa-3'))));

  if (transport === 'stdio') {
    await check('deletes once after the approval on the page without elicitation', async () => {
      const { client } = await connect({});
      let token;
      await sends(0, async () => {
        const preview = await client.callTool(remove('qa-4'));
        assert.match(text(preview), /^Nothing was sent yet/);
        assertQuestion(/^Delete [^]*/m.exec(text(preview))[0], 'qa-4');
        token = preview.structuredContent.confirmation;
        await approve(preview);
      });
      await sends(0, async () => assertRefused(await client.callTool(remove('qa-5', { confirmation: token }))));
      await sends(1, async () => assertQueued(await client.callTool(remove('qa-4', { confirmation: token }))));
      await sends(0, async () => assertRefused(await client.callTool(remove('qa-4', { confirmation: token }))));
      await client.close();
    });
    return;
  }
  await check('rejects a deletion without elicitation', async () => {
    const { client } = await connect({ base: server });
    await sends(0, async () => assertRefused(await client.callTool(remove('qa-4'))));
    await client.close();
  });
  await check('rejects a request without an API key', async () => {
    await assert.rejects(connect({ base: keyless }));
    await assert.rejects(connect({ base: keyless, bearer: 'phc_project_key' }));
  });
  await check('reads and deletes with the key of the request', async () => {
    const own = { base: keyless, bearer: otherKey };
    const { client } = await connect(own);
    assertFound(await client.callTool(find));
    await client.close();
    const { headers } = await sends(1, async () => assertQueued(await elicit(accept, 'qa-5', own)));
    const authorization = headers.find(([name]) => name === 'authorization')[1];
    assert.ok(authorization === `Bearer ${otherKey}`, 'PostHog received another key');
  });
}
