// The TypeScript client of the protocol's second generation, with each kind of version negotiation: the handshake (legacy),
// discovery (auto), or a pinned version (its name).

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { address, era, runChecks, stdio, transport } from './checks.mjs';

const mode = ['legacy', 'auto'].includes(era) ? era : { pin: era };

function open({ base, bearer }) {
  if (transport === 'stdio') return new StdioClientTransport({ ...stdio, stderr: 'inherit' });
  const requestInit = bearer ? { headers: { Authorization: `Bearer ${bearer}` } } : {};
  const Transport = transport === 'sse' ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(address(base), { requestInit });
}

await runChecks(async ({ reply, ...where }) => {
  const capabilities = reply ? { elicitation: { form: {} } } : {};
  const client = new Client({ name: 'typescript-client', version: '0' }, { capabilities, versionNegotiation: { mode } });
  const asked = [];
  if (reply) {
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      asked.push(params.message);
      return reply;
    });
  }
  await client.connect(open(where));
  return { client, asked, speaks: () => client.getNegotiatedProtocolVersion() };
}, era === 'legacy' ? '2025-11-25' : '2026-07-28');
process.exit(0);
