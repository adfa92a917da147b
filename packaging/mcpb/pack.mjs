// Puts binaries and the manifest into a bundle, and tries the bundle. See pack, which runs it.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { getMcpConfigForManifest, packExtension, unpackExtension } from '@anthropic-ai/mcpb';

const [bundle, ...binaries] = process.argv.slice(2);
if (binaries.length === 0) {
  console.error('usage: packaging/mcpb/pack BUNDLE BINARY...');
  process.exit(2);
}

/** What a binary runs on, by the first bytes of its file. */
function platform(binary) {
  const magic = fs.readFileSync(binary).subarray(0, 4).toString('hex');
  if (magic === '7f454c46') return 'linux';
  // Mach-O for one processor, and for several.
  if (['cffaedfe', 'cafebabe'].includes(magic)) return 'darwin';
  if (magic.startsWith('4d5a')) return 'win32';
  throw new Error(`${binary} is no binary for Linux, macOS or Windows`);
}

/** The manifest for these platforms alone, each with its place for a binary. */
function manifestFor(platforms) {
  const manifest = JSON.parse(fs.readFileSync(new URL('manifest.json', import.meta.url)));
  const { mcp_config: config } = manifest.server;
  const { platform_overrides: others, ...usual } = config;
  const commands = { darwin: usual.command };
  for (const [name, { command }] of Object.entries(others)) commands[name] = command;
  const [first, ...rest] = platforms;
  manifest.compatibility.platforms = platforms;
  manifest.server.entry_point = inBundle(commands[first]);
  manifest.server.mcp_config = { ...usual, command: commands[first] };
  if (rest.length) {
    const overrides = rest.map((name) => [name, { command: commands[name] }]);
    manifest.server.mcp_config.platform_overrides = Object.fromEntries(overrides);
  }
  return { manifest, commands };
}

/** Where a command's binary is in the bundle. */
function inBundle(command) {
  return command.replace('${__dirname}/', '');
}

// Settings of whoever runs this are not the bundle's settings.
for (const name of Object.keys(process.env).filter((name) => name.startsWith('POSTHOG_'))) delete process.env[name];

/** Asks a server over standard input and output, one request after the other. */
function conversation({ command, args, env }) {
  const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  let id = 0;
  return {
    async ask(method, params) {
      id += 1;
      server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
      const { value: line, done } = await answers.next();
      assert.ok(!done, `no answer to ${method}`);
      const answer = JSON.parse(line);
      assert.equal(answer.error, undefined);
      return answer.result;
    },
    tell(method) {
      server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method })}\n`);
    },
    close() {
      server.stdin.end();
    },
  };
}

/** Installs the bundle as a host does, with these settings; what comes of it is how to start the server. */
async function install(folder, userConfig) {
  assert.ok(await unpackExtension({ mcpbPath: bundle, outputDir: folder, silent: true }), 'it cannot be unpacked');
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json')));
  const place = { manifest, extensionPath: folder, systemDirs: {}, pathSeparator: path.sep };
  assert.equal(await getMcpConfigForManifest({ ...place, userConfig: {} }), undefined, 'it starts without a key');
  return { manifest, config: await getMcpConfigForManifest({ ...place, userConfig }) };
}

/** A person's first minutes with the bundle, on the sandbox. */
async function tryOut(work) {
  const folder = path.join(work, 'installed');
  const binary = path.join(folder, inBundle(commands[process.platform]));
  const key = 'phx_sandbox_all_scopes';
  const { manifest, config } = await install(folder, { key });
  assert.equal(config.env.POSTHOG_HOST, 'https://us.posthog.com');
  assert.equal(config.env.POSTHOG_MCP_READ_ONLY, 'false');
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim();
  assert.equal(version, `${manifest.name} ${manifest.version}`, 'the binary is of another version');

  const sandbox = spawn(binary, ['sandbox', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [host] = await new Promise((found) =>
      sandbox.stdout.on('data', (text) => found(/http:[^ ]*\d/.exec(text))));
    for (const readOnly of [false, true]) {
      fs.rmSync(folder, { recursive: true });
      const settings = { key, host, project: '1', read_only: readOnly };
      const server = conversation((await install(folder, settings)).config);
      const clientInfo = { name: 'bundle', version: '0' };
      await server.ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
      server.tell('notifications/initialized');
      const { tools } = await server.ask('tools/list', {});
      const offered = tools.filter(({ annotations }) => !readOnly || annotations.readOnlyHint).map(({ name }) => name);
      assert.deepEqual(tools.map(({ name }) => name), offered, 'read only is not');
      if (!readOnly) assert.deepEqual(manifest.tools.map(({ name }) => name), offered, 'the manifest lists other tools');
      const find = { name: 'persons-list', arguments: { email: 'ada@example.com' } };
      const { isError, content } = await server.ask('tools/call', find);
      assert.ok(!isError && content[0].text.includes('ada@example.com'), content[0].text);
      server.close();
    }
  } finally {
    sandbox.kill();
  }
}

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'bundle-'));
let commands;
try {
  const content = path.join(work, 'content');
  const places = Object.fromEntries(binaries.map((binary) => [platform(binary), binary]));
  assert.equal(Object.keys(places).length, binaries.length, 'two binaries for one platform');
  let manifest;
  ({ manifest, commands } = manifestFor(Object.keys(places)));
  for (const [name, binary] of Object.entries(places)) {
    const place = path.join(content, inBundle(commands[name]));
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.copyFileSync(binary, place);
    fs.chmodSync(place, 0o755);
  }
  fs.writeFileSync(path.join(content, 'manifest.json'), JSON.stringify(manifest, null, 2));
  const root = new URL('../../', import.meta.url);
  for (const name of ['LICENSE', 'README.md']) fs.copyFileSync(new URL(name, root), path.join(content, name));
  // Validates the manifest as well.
  const packed = await packExtension({ extensionPath: content, outputPath: bundle, silent: true });
  assert.ok(packed, 'it cannot be packed');
  const tried = process.platform in places;
  if (tried) await tryOut(work);
  const { size } = fs.statSync(bundle);
  console.log(`${bundle} ${size} bytes, for ${Object.keys(places).join(', ')}${tried ? ', tried' : ', not tried here'}`);
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}
