// Runs an agent program with a clean environment and a home directory of its own, and ends it with all its children.

import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const TIMEOUT = 120_000;

/** Creates a home directory with these files, and removes it after `work`. */
export async function withHome(files, work) {
  // Not below /tmp: Codex installs no helpers there.
  const home = await mkdtemp('/var/tmp/persons-agent-');
  try {
    await mkdir(join(home, 'work'));
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(home, name)), { recursive: true });
      await writeFile(join(home, name), content);
    }
    return await work(home);
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Starts a program, a file of `node_modules`, with nothing but these variables in its environment. */
export function start(home, [file, ...args], variables = {}) {
  const path = join(import.meta.dirname, 'node_modules', file);
  const env = { PATH: process.env.PATH, HOME: home, TERM: 'dumb', NO_PROXY: '127.0.0.1,localhost', ...variables };
  const child = spawn('node', [path, ...args], { cwd: join(home, 'work'), env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  child.log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (child.log += chunk));
  child.ended = new Promise((resolve) => child.on('close', resolve));
  return child;
}

/** Ends a program and its children. */
export async function end(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
  await child.ended;
}

/** Waits for `work` while the program runs; fails with the program's output after two minutes. */
export async function within(child, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still running after ${TIMEOUT / 1000} s:\n${child.log.slice(-4000)}`)), TIMEOUT);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    await end(child);
  }
}
