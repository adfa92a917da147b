// The TypeScript client of the protocol's first generation: the handshake, over stdio, Streamable HTTP and HTTP+SSE.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { address, converse, stdio, transport } from './conversation.mjs';

function open({ base, bearer }) {
  if (transport === 'stdio') return new StdioClientTransport({ ...stdio, stderr: 'inherit' });
  const requestInit = bearer ? { headers: { Authorization: `Bearer ${bearer}` } } : {};
  const Transport = transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(address(base), { requestInit });
}

await converse(async ({ answer, ...where }) => {
  const capabilities = answer ? { elicitation: {} } : {};
  const client = new Client({ name: 'typescript-sdk', version: '0' }, { capabilities });
  const asked = [];
  if (answer) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      asked.push(params.message);
      return answer;
    });
  }
  const connection = open(where);
  // The client tells its transport what was agreed on, and nobody else.
  let version;
  const tell = connection.setProtocolVersion?.bind(connection);
  connection.setProtocolVersion = (agreed) => {
    version = agreed;
    tell?.(agreed);
  };
  await client.connect(connection);
  return { client, asked, speaks: () => version };
}, '2025-11-25');
process.exit(0);
