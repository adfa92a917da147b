// The TypeScript client 1.23, the last that fails on an SSE event without data. Programs in use still contain it, Gemini CLI
// among them, and treat what it reports to `onerror` as a lost connection.

import assert from 'node:assert/strict';
import { Client } from 'sdk-1.23/client/index.js';
import { StreamableHTTPClientTransport } from 'sdk-1.23/client/streamableHttp.js';
import { ElicitRequestSchema } from 'sdk-1.23/types.js';
import {
  accept,
  address,
  assertFound,
  assertQueued,
  assertTools,
  check,
  find,
  keyless,
  otherKey,
  remove,
  sends,
  server,
} from './checks.mjs';

async function connect(base, bearer) {
  const errors = [];
  const client = new Client({ name: 'typescript-sdk-1.23', version: '0' }, { capabilities: { elicitation: {} } });
  client.onerror = (error) => errors.push(error);
  client.setRequestHandler(ElicitRequestSchema, () => accept);
  const requestInit = bearer ? { headers: { Authorization: `Bearer ${bearer}` } } : {};
  await client.connect(new StreamableHTTPClientTransport(address(base), { requestInit }));
  return { client, errors };
}

await check('reports no error while it lists, reads and deletes', async () => {
  const { client, errors } = await connect(server);
  assertTools((await client.listTools()).tools);
  assertFound(await client.callTool(find));
  await sends(1, async () => assertQueued(await client.callTool(remove('qa-1'))));
  await client.close();
  assert.deepEqual(errors, []);
});
await check('reports no error with the key of the request', async () => {
  const { client, errors } = await connect(keyless, otherKey);
  assertFound(await client.callTool(find));
  await client.close();
  assert.deepEqual(errors, []);
});
process.exit(0);
