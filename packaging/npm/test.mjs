// Runs the packages with npx as a user would, from a registry on this machine that serves nothing else.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

/** What npm asks a registry about a package, and the package itself. */
function startRegistry(packages) {
  const server = createServer((request, response) => {
    const base = `http://127.0.0.1:${server.address().port}`;
    const name = request.url.slice(1);
    const file = packages.find(({ file }) => path.basename(file) === name)?.file;
    const found = packages.find(({ manifest }) => manifest.name === name);
    if (file) return response.end(fs.readFileSync(file));
    if (!found) return response.writeHead(404).end('{}');
    const { manifest } = found;
    const integrity = `sha512-${createHash('sha512').update(fs.readFileSync(found.file)).digest('base64')}`;
    const dist = { tarball: `${base}/${path.basename(found.file)}`, integrity };
    const versions = { [manifest.version]: { ...manifest, dist } };
    response.end(JSON.stringify({ name, 'dist-tags': { latest: manifest.version }, versions }));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

export async function test(packages, work) {
  const { name, version } = packages[0].manifest;
  const registry = await startRegistry(packages);
  const home = path.join(work, 'home');
  fs.mkdirSync(home);
  // Nothing of the environment's settings, npm's included.
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    npm_config_registry: `http://127.0.0.1:${registry.address().port}`,
    npm_config_cache: path.join(work, 'cache'),
    npm_config_update_notifier: 'false',
  };
  const npx = (options, args) => spawn('npx', [...options, name, ...args], { cwd: home, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const output = async (options, args) => {
    const child = npx(options, args);
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    const [code] = await once(child, 'close');
    return { code, text };
  };
  try {
    for (const { manifest } of packages) assert.equal(manifest.scripts, undefined, `${manifest.name} has scripts`);
    const first = await output(['--yes'], ['--version']);
    assert.deepEqual(first, { code: 0, text: `${name} ${version}\n` }, 'npx --yes');
    registry.close();
    const offline = ['--yes', '--offline'];
    const { text } = await output(offline, ['--sandbox', 'call', 'persons-list', '{"email": "ada@example.com"}']);
    assert.match(text, /ada@example\.com/);
    // The exit code is the binary's.
    assert.equal((await output(offline, ['no-such-command'])).code, 2);

    const server = npx(offline, ['stdio', '--sandbox']);
    const clientInfo = { name: 'npm', version: '0' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`);
    const [line] = await once(server.stdout, 'data');
    assert.equal(JSON.parse(line).result.serverInfo.name, name);
    server.stdin.end();
    assert.deepEqual(await once(server, 'close'), [0, null], 'the server ends with its input');

    // A signal to the launcher ends the server too.
    const [installation] = fs.readdirSync(path.join(env.npm_config_cache, '_npx'));
    const launcher = path.join(env.npm_config_cache, '_npx', installation, 'node_modules', name, 'launcher.js');
    const http = spawn('node', [launcher, 'http', '--sandbox', '--bind', '127.0.0.1:0'], { env });
    let log = '';
    while (!/address=[0-9.:]+/.test(log)) log += (await once(http.stderr, 'data'))[0];
    const [, address] = /address=([0-9.:]+)/.exec(log);
    assert.equal((await fetch(`http://${address}/healthz`)).status, 200);
    http.kill('SIGTERM');
    assert.deepEqual(await once(http, 'close'), [0, null]);
    await assert.rejects(fetch(`http://${address}/healthz`));
    console.log('installed with npx, and called online and offline');
  } finally {
    registry.close();
  }
}
