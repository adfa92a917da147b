// The checks of the approval page. See run.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch, open } from './browser.mjs';
import { checks } from './checks.mjs';
import { writeSeed } from './persons.mjs';
import { serve, stop } from './server.mjs';

const { only, screenshots, picture } = parseArgs({
  options: { only: { type: 'string' }, screenshots: { type: 'string' }, picture: { type: 'string' } },
}).values;

const MAX_PICTURE = 80_000;
/** When something hangs. The checks take little more than the five minutes of a page. */
const MAX_MINUTES = 15;
let browser;
const work = mkdtempSync(join(tmpdir(), 'approval-page-'));

/** Ends everything that was started, also after a signal. */
async function finish() {
  await browser?.close();
  await stop();
  rmSync(work, { recursive: true, force: true });
}
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15]]) {
  process.once(signal, () => finish().finally(() => process.exit(128 + number)));
}

setTimeout(() => {
  console.error(`not finished after ${MAX_MINUTES} minutes`);
  finish().finally(() => process.exit(1));
}, MAX_MINUTES * 60_000).unref();

async function takePicture() {
  const server = await serve();
  const ids = ['grace@example.com', 'mary-shelley', 'qa-1', 'qa-2', 'nobody@example.com'];
  const { address } = await server.ask(ids, { delete_events: true });
  const window = await open(browser, { viewport: { width: 1120, height: 680 }, colorScheme: 'light' });
  const page = await window.tab(address);
  await page.screenshot({ path: picture });
  await window.close();
  const { size } = statSync(picture);
  if (size > MAX_PICTURE) throw new Error(`${picture} has ${size} bytes, more than ${MAX_PICTURE}`);
  console.log(`ok ${picture}: ${size} bytes`);
}

async function runChecks() {
  const seed = join(work, 'seed.json');
  writeSeed(seed);
  const server = await serve(seed);
  const wanted = Object.entries(checks).filter(([name]) => !only || new RegExp(only).test(name));
  if (wanted.length === 0) throw new Error(`no check matches ${only}; there are:\n${Object.keys(checks).join('\n')}`);
  // What takes long starts first and ends last.
  const started = [];
  for (const [name, check] of wanted) {
    if (check.before) started.push([name, await check.before({ browser, server, screenshots })]);
  }
  let passed = 0;
  try {
    for (const [name, check] of wanted) {
      try {
        const before = started.find(([other]) => other === name)?.[1];
        await (check.run ?? check)({ browser, server, screenshots, before });
      } catch (error) {
        console.log(`FAILED ${name}: ${String(error.message).split('\n')[0]}`);
        throw error;
      }
      passed += 1;
      console.log(`ok ${name}`);
    }
  } finally {
    console.log(`${passed} of ${wanted.length} checks passed`);
  }
}

try {
  browser = await launch();
  await (picture ? takePicture() : runChecks());
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await finish();
}
