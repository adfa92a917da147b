// The TypeScript client of the protocol's first generation, over stdio, Streamable HTTP and HTTP+SSE.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { address, runChecks, stdio, transport } from './checks.mjs';

function open({ base, bearer }) {
  if (transport === 'stdio') return new StdioClientTransport({ ...stdio, stderr: 'inherit' });
  const requestInit = bearer ? { headers: { Authorization: `Bearer ${bearer}` } } : {};
  const Transport = transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(address(base), { requestInit });
}

await runChecks(async ({ reply, ...where }) => {
  const capabilities = reply ? { elicitation: {} } : {};
  const client = new Client({ name: 'typescript-sdk', version: '0' }, { capabilities });
  const asked = [];
  if (reply) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      asked.push(params.message);
      return reply;
    });
  }
  const connection = open(where);
  // The client reports the negotiated version only to its transport.
  let version;
  const setVersion = connection.setProtocolVersion?.bind(connection);
  connection.setProtocolVersion = (negotiated) => {
    version = negotiated;
    setVersion?.(negotiated);
  };
  await client.connect(connection);
  return { client, asked, speaks: () => version };
}, '2025-11-25');
process.exit(0);
