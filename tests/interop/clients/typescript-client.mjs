// The TypeScript client of the protocol's second generation, in each of its ways to agree on a version: the handshake
// (legacy), asking the server (auto), or no negotiation at all (the version's name).

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { address, converse, era, stdio, transport } from './conversation.mjs';

const mode = ['legacy', 'auto'].includes(era) ? era : { pin: era };

function open({ base, bearer }) {
  if (transport === 'stdio') return new StdioClientTransport({ ...stdio, stderr: 'inherit' });
  const requestInit = bearer ? { headers: { Authorization: `Bearer ${bearer}` } } : {};
  const Transport = transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(address(base), { requestInit });
}

await converse(async ({ answer, ...where }) => {
  const capabilities = answer ? { elicitation: { form: {} } } : {};
  const client = new Client({ name: 'typescript-client', version: '0' }, { capabilities, versionNegotiation: { mode } });
  const asked = [];
  if (answer) {
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      asked.push(params.message);
      return answer;
    });
  }
  await client.connect(open(where));
  return { client, asked, speaks: () => client.getNegotiatedProtocolVersion() };
}, era === 'legacy' ? '2025-11-25' : '2026-07-28');
process.exit(0);
