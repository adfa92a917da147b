// A simulated model: an HTTP server that speaks OpenAI's Responses API, Gemini's API and Anthropic's Messages API, and answers
// with scripted tool calls.
// It keeps what the agent program sends to it, which is all that a real model would know.

import { createServer } from 'node:http';

/**
 * Starts a model that makes the calls of `script` one after the other: `{ name, arguments }`, a function of the results so
 * far, or `{ search }`, a question to the program's tool search, whose result is the names of the tools found. Which call is next follows from the number of results in the request, so a repeated request repeats its call.
 */
export async function startModel(script) {
  const model = { tools: new Map(), results: [], requests: '' };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = new URL(request.url, 'http://model').pathname;
    const api = Object.values(apis).find(({ serves }) => request.method === 'POST' && serves.test(path));
    if (!api) return response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    const body = Buffer.concat(chunks).toString();
    const seen = api.read(JSON.parse(body));
    for (const tool of seen.tools) model.tools.set(tool.name, tool);
    model.requests += body;
    if (seen.results.length >= model.results.length) model.results = seen.results;
    const step = script[seen.results.length];
    const call = typeof step === 'function' ? step(seen.results) : step;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(api.write(call && { id: `call_${seen.results.length}`, arguments: {}, ...call, ...find(seen.tools, call) }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  model.url = `http://127.0.0.1:${server.address().port}`;
  model.close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return model;
}

/** The tool that the program offers for ours: its prefix is the program's, and Codex writes `-` as `_`. */
function find(tools, call) {
  if (call.search) return {};
  const plain = (name) => name.replaceAll('-', '_');
  const tool = tools.find(({ name }) => plain(name).endsWith(plain(call.name)));
  if (!tool) throw new Error(`the program does not offer ${call.name}`);
  return { name: tool.name, namespace: tool.namespace };
}

const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

const apis = {
  responses: {
    serves: /\/responses$/,
    read({ tools = [], input }) {
      const flat = (listed) =>
        listed.flatMap((tool) => tool.tools?.map((inner) => ({ ...inner, namespace: tool.name })) ?? [tool]);
      const text = ({ type, output, tools: found }) => {
        if (type === 'tool_search_output') return flat(found).map(({ name }) => name).join('\n');
        return typeof output === 'string' ? output : output.map((part) => part.text ?? '').join('\n');
      };
      return {
        tools: flat(tools).filter(({ name }) => name),
        results: input.filter(({ type }) => /^(function_call|tool_search)_output$/.test(type)).map(text),
      };
    },
    write(call) {
      const item = !call
        ? { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Done.' }] }
        : call.search
          ? {
              type: 'tool_search_call',
              call_id: call.id,
              status: 'completed',
              execution: 'client',
              arguments: { query: call.search, limit: 4 },
            }
          : {
              type: 'function_call',
              call_id: call.id,
              name: call.name,
              ...(call.namespace && { namespace: call.namespace }),
              arguments: JSON.stringify(call.arguments),
            };
      const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
      return [
        { type: 'response.created', response: { id: 'response' } },
        { type: 'response.output_item.done', item: { id: 'item', ...item } },
        { type: 'response.completed', response: { id: 'response', usage, output: [] } },
      ]
        .map(event)
        .join('');
    },
  },
  gemini: {
    serves: /:(streamGenerateContent|generateContent)$/,
    read({ tools = [], contents }) {
      const parts = contents.flatMap((content) => content.parts ?? []);
      const results = parts.filter((part) => part.functionResponse);
      return {
        tools: tools.flatMap((tool) => tool.functionDeclarations ?? []),
        results: results.map(({ functionResponse }) => {
          const { output, error, ...rest } = functionResponse.response;
          return output ?? error ?? JSON.stringify(rest);
        }),
      };
    },
    write(call) {
      const part = call ? { functionCall: { name: call.name, args: call.arguments, id: call.id } } : { text: 'Done.' };
      const candidate = { content: { role: 'model', parts: [part] }, finishReason: 'STOP', index: 0 };
      const usageMetadata = { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 };
      return `data: ${JSON.stringify({ candidates: [candidate], usageMetadata })}\n\n`;
    },
  },
  messages: {
    serves: /\/v1\/messages$/,
    read({ tools = [], messages }) {
      const blocks = messages.flatMap(({ content }) => (Array.isArray(content) ? content : []));
      const results = blocks.filter(({ type }) => type === 'tool_result');
      const part = (part) => part.text ?? part.tool_name ?? '';
      const text = ({ content }) => (typeof content === 'string' ? content : content.map(part).join('\n'));
      return { tools, results: results.map(text) };
    },
    write(call) {
      const search = call?.search && { name: 'ToolSearch', arguments: { query: call.search, max_results: 4 } };
      const { name, arguments: input } = search || call || {};
      const block = call ? { type: 'tool_use', id: call.id, name, input: {} } : { type: 'text', text: '' };
      const delta = call
        ? { type: 'input_json_delta', partial_json: JSON.stringify(input) }
        : { type: 'text_delta', text: 'Done.' };
      const usage = { input_tokens: 1, output_tokens: 1 };
      const message = { id: 'message', type: 'message', role: 'assistant', model: 'simulated', content: [], usage };
      return [
        { type: 'message_start', message },
        { type: 'content_block_start', index: 0, content_block: block },
        { type: 'content_block_delta', index: 0, delta },
        { type: 'content_block_stop', index: 0 },
        { type: 'message_delta', delta: { stop_reason: call ? 'tool_use' : 'end_turn' }, usage },
        { type: 'message_stop' },
      ]
        .map(event)
        .join('');
    },
  },
};
