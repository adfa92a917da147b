#!/usr/bin/env node
// Starts the binary of this platform, which npm installs as an optional dependency.

const { spawn } = require('node:child_process');

const name = `posthog-persons-mcp-${process.platform}-${process.arch}`;
const file = process.platform === 'win32' ? 'posthog-persons-mcp.exe' : 'posthog-persons-mcp';

let binary;
try {
  binary = require.resolve(`${name}/bin/${file}`);
} catch {
  console.error(
    `posthog-persons-mcp: the package ${name} is not installed. Either there is no build for this platform, or optional ` +
      'dependencies are disabled (npm install --include=optional).',
  );
  process.exit(1);
}

const args = process.argv.slice(2);
// Node 23.11 and newer become the binary, except on Windows; older versions stay as its parent.
if (process.execve && process.platform !== 'win32') process.execve(binary, [binary, ...args], process.env);

const child = spawn(binary, args, { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`posthog-persons-mcp: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => {
  if (!signal) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
