// The checks. See README.md.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as claude from './claude.mjs';
import * as codex from './codex.mjs';
import * as gemini from './gemini.mjs';
import { startModel } from './model.mjs';

const binary = process.argv[2];
const key = 'phx_sandbox_all_scopes';
const offered = JSON.parse(execFileSync(binary, ['tools', '--json']));
const page = { name: 'persons-list', arguments: { search: '@example.net', limit: 100 } };
const remove = (distinctId, more) => ({
  name: 'persons-bulk-delete',
  arguments: { distinct_ids: [distinctId], ...more },
});
const accept = { action: 'accept', content: { confirm: true } };
const decline = { action: 'decline' };
let failures = 0;

/** Starts one of the binary's servers; resolves with the address that it logs. */
async function serve(args, pattern, env = {}) {
  const child = spawn(binary, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const address = await new Promise((resolve, reject) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => pattern.test(line) && resolve(pattern.exec(line)[1]));
    }
    child.on('exit', () => reject(new Error(`${args.join(' ')} ended`)));
  });
  return { address, stop: () => child.kill() };
}

/** Runs `work` with a new sandbox and a server for it, over stdio (with `flags`) or HTTP. */
async function withServer(transport, work, flags = []) {
  const sandbox = await serve(['sandbox', '--port', '0', '--sandbox-persons', '100'], /at (http:\/\/[0-9.:]+)\. Its/);
  const env = {
    POSTHOG_HOST: sandbox.address,
    POSTHOG_PROJECT_ID: '1',
    POSTHOG_PERSONAL_API_KEY: key,
    // Its questions are among those for the tool search.
    POSTHOG_MCP_ALLOW_MERGE: 'true',
  };
  let server = { command: binary, args: ['stdio', ...flags], env };
  let http;
  if (transport === 'http') {
    http = await serve(['http', '--bind', '127.0.0.1:0'], /address=([0-9.:]+)/, env);
    server = { url: `http://${http.address}/mcp` };
  }
  const deletions = async () => {
    const { requests } = await (await fetch(`${sandbox.address}/sandbox/requests`)).json();
    return requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/persons/bulk_delete/')).length;
  };
  try {
    return await work(server, deletions);
  } finally {
    http?.stop();
    sandbox.stop();
  }
}

async function check(name, work) {
  try {
    const note = await work();
    console.log(`ok ${name}${note ? `: ${note}` : ''}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED ${name}: ${String(error.message).split('\n')[0]}`);
    console.error(error.stack);
  }
}

/** Runs a program once with a scripted model; returns what the model saw, the deletions sent, and what `run` returned. */
function play(transport, script, run, flags) {
  return withServer(transport, async (server, deletions) => {
    const model = await startModel(script);
    try {
      const returned = await run(model, server);
      return { ...model, deletions: await deletions(), returned };
    } finally {
      await model.close();
    }
  }, flags);
}

const plain = (name) => name.replaceAll('-', '_');
const confirmation = (results) => /rs1\.[\w.-]+/.exec(results.at(-1))[0];

for (const program of [claude, codex, gemini]) {
  for (const transport of ['stdio', 'http']) {
    const place = `${program.name}, ${transport}`;
    await check(`${place}: the model is offered every tool and gets a page of 100 persons whole`, async () => {
      const { tools, results } = await play(transport, [page], program.run);
      const names = [...tools.keys()].map(plain);
      const missing = offered.filter(({ name }) => !names.some((seen) => seen.endsWith(plain(name))));
      assert.deepEqual(missing.map(({ name }) => name), []);
      assert.equal(results.length, 1, `${results.length} results`);
      const persons = new Set(results[0].match(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g)).size;
      assert.equal(persons, 100, `${persons} persons in ${results[0].length} characters`);
      return `${offered.length} tools, ${results[0].length} characters`;
    });
  }
}

// Codex has tool search for the models that it knows to support it.
const searching = [
  [claude, { search: true }],
  [codex, { modelName: 'gpt-5.5' }],
];
for (const [program, options] of searching) {
  await check(`${program.name}, tool search: finds the right tool among the first four for every question`, async () => {
    const file = new URL('../../it/tool_search.json', import.meta.url);
    const questions = Object.entries(JSON.parse(await readFile(file)));
    const script = questions.map(([search]) => ({ search }));
    const exports = await mkdtemp(join(tmpdir(), 'exports-'));
    const everyTool = ['--export-dir', exports, '--allow-merge'];
    const { results } = await play('stdio', script, (...to) => program.run(...to, options), everyTool);
    await rm(exports, { recursive: true });
    const found = (index) => results[index]?.split('\n').map(plain) ?? [];
    const missed = questions.filter(([, tool], index) => !found(index).some((name) => name.endsWith(plain(tool))));
    assert.deepEqual(missed, []);
    return `${questions.length} questions`;
  });
}

for (const transport of ['stdio', 'http']) {
  await check(`codex app-server, ${transport}: deletes after the user confirms`, async () => {
    const seen = await play(transport, [remove('qa-1')], (...to) => codex.runWithUser(...to, accept));
    assert.equal(seen.returned.length, 1, `${seen.returned.length} questions`);
    assert.match(seen.returned[0].message, /^Delete 1 person[^]*qa-1@example\.org/);
    assert.match(seen.results[0], /queued/i);
    assert.equal(seen.deletions, 1);
  });
  await check(`codex app-server, ${transport}: sends nothing after the user declines`, async () => {
    const seen = await play(transport, [remove('qa-1')], (...to) => codex.runWithUser(...to, decline));
    assert.equal(seen.returned.length, 1, `${seen.returned.length} questions`);
    assert.match(seen.results[0], /nothing was sent/i);
    assert.equal(seen.deletions, 0);
  });
  const bypass = '--dangerously-bypass-approvals-and-sandbox';
  const modes = [
    ['claude --print', claude.run],
    ['codex exec', codex.run],
    [`codex exec ${bypass}`, (...to) => codex.run(...to, { flags: [bypass] })],
  ];
  for (const [mode, run] of modes) {
    await check(`${mode}, ${transport}: declines without a user`, async () => {
      const seen = await play(transport, [remove('qa-1')], run);
      assert.equal(seen.results.length, 1, `${seen.results.length} results`);
      assert.equal(seen.deletions, 0);
      return JSON.stringify(seen.results[0].slice(0, 160));
    });
  }
}

await check('gemini, stdio: sends nothing before the confirmation', async () => {
  const seen = await play('stdio', [remove('qa-1')], gemini.run);
  assert.match(seen.results[0], /nothing was sent/i);
  assert.equal(seen.deletions, 0);
});
await check('gemini, stdio: deletes with the confirmation token in its mode', async () => {
  const script = [remove('qa-1'), (results) => remove('qa-1', { confirmation: confirmation(results) })];
  const seen = await play('stdio', script, gemini.run, ['--confirm', 'token']);
  assert.match(seen.results[1], /queued/i);
  assert.equal(seen.deletions, 1);
});
await check('gemini, http: a deletion is refused', async () => {
  const seen = await play('http', [remove('qa-1')], gemini.run);
  assert.match(seen.results[0], /nothing was sent/i);
  assert.equal(seen.deletions, 0);
});
process.exit(failures ? 1 : 0);
