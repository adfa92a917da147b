// Builds the bundle from binaries and the manifest, and tests it. Run by pack.

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

/** The platform of a binary, by its magic number. */
function platform(binary) {
  const magic = fs.readFileSync(binary).subarray(0, 4).toString('hex');
  if (magic === '7f454c46') return 'linux';
  // Mach-O, and universal Mach-O.
  if (['cffaedfe', 'cafebabe'].includes(magic)) return 'darwin';
  if (magic.startsWith('4d5a')) return 'win32';
  throw new Error(`${binary} is not a binary for Linux, macOS or Windows`);
}

/** The manifest reduced to these platforms, and the command for each platform. */
function manifestFor(platforms) {
  const manifest = JSON.parse(fs.readFileSync(new URL('manifest.json', import.meta.url)));
  const { mcp_config: config } = manifest.server;
  const { platform_overrides: overrides, ...base } = config;
  const commands = { darwin: base.command };
  for (const [name, { command }] of Object.entries(overrides)) commands[name] = command;
  const [first, ...rest] = platforms;
  manifest.compatibility.platforms = platforms;
  manifest.server.entry_point = inBundle(commands[first]);
  manifest.server.mcp_config = { ...base, command: commands[first] };
  if (rest.length) {
    const entries = rest.map((name) => [name, { command: commands[name] }]);
    manifest.server.mcp_config.platform_overrides = Object.fromEntries(entries);
  }
  return { manifest, commands };
}

/** The path of a command's binary in the bundle. */
function inBundle(command) {
  return command.replace('${__dirname}/', '');
}

// The environment's settings must not affect the test.
for (const name of Object.keys(process.env).filter((name) => name.startsWith('POSTHOG_'))) delete process.env[name];

/** A minimal MCP client over stdio, one request at a time. */
function connect({ command, args, env }) {
  const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  let id = 0;
  return {
    async request(method, params) {
      id += 1;
      server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
      const { value: line, done } = await lines.next();
      assert.ok(!done, `no response to ${method}`);
      const response = JSON.parse(line);
      assert.equal(response.error, undefined);
      return response.result;
    },
    notify(method) {
      server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method })}\n`);
    },
    close() {
      server.stdin.end();
    },
  };
}

/** Installs the bundle as a host does, with these settings, and returns how to start the server. */
async function install(folder, userConfig) {
  assert.ok(await unpackExtension({ mcpbPath: bundle, outputDir: folder, silent: true }), 'unpacking failed');
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json')));
  const place = { manifest, extensionPath: folder, systemDirs: {}, pathSeparator: path.sep };
  assert.equal(await getMcpConfigForManifest({ ...place, userConfig: {} }), undefined, 'the manifest does not require a key');
  return { manifest, config: await getMcpConfigForManifest({ ...place, userConfig }) };
}

/** Installs the bundle and calls the server, on the sandbox. */
async function test(work) {
  const folder = path.join(work, 'installed');
  const binary = path.join(folder, inBundle(commands[process.platform]));
  const key = 'phx_sandbox_all_scopes';
  const { manifest, config } = await install(folder, { key });
  assert.equal(config.env.POSTHOG_HOST, 'https://us.posthog.com');
  assert.equal(config.env.POSTHOG_MCP_READ_ONLY, 'false');
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim();
  assert.equal(version, `${manifest.name} ${manifest.version}`, 'the version of the binary and of the manifest differ');

  const sandbox = spawn(binary, ['sandbox', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [host] = await new Promise((found) =>
      sandbox.stdout.on('data', (text) => found(/http:[^ ]*\d/.exec(text))));
    for (const readOnly of [false, true]) {
      fs.rmSync(folder, { recursive: true });
      const settings = { key, host, project: '1', read_only: readOnly };
      const server = connect((await install(folder, settings)).config);
      const clientInfo = { name: 'bundle', version: '0' };
      await server.request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
      server.notify('notifications/initialized');
      const { tools } = await server.request('tools/list', {});
      const expected = tools.filter(({ annotations }) => !readOnly || annotations.readOnlyHint).map(({ name }) => name);
      assert.deepEqual(tools.map(({ name }) => name), expected, 'read-only mode exposes other tools');
      if (!readOnly) assert.deepEqual(manifest.tools.map(({ name }) => name), expected, 'the manifest lists other tools');
      const find = { name: 'persons-list', arguments: { email: 'ada@example.com' } };
      const { isError, content } = await server.request('tools/call', find);
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
  assert.ok(packed, 'packing failed');
  const tested = process.platform in places;
  if (tested) await test(work);
  const { size } = fs.statSync(bundle);
  console.log(`${bundle} ${size} bytes, for ${Object.keys(places).join(', ')}${tested ? ', tested' : ', not tested on this platform'}`);
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}
