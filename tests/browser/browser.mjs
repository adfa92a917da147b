// The browser, and what holds for every page in it.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

export const desktop = { width: 1280, height: 800 };
const phone = { width: 360, height: 740 };
/** The width at which text is read at four times its size. */
const narrow = { width: 320, height: 500 };

const looks = [
  ['light', desktop, 'light'],
  ['dark', desktop, 'dark'],
  ['phone', phone, 'light'],
  ['phone-dark', phone, 'dark'],
  ['narrow', narrow, 'light'],
];

export async function launch() {
  return chromium.launch({
    executablePath: process.env.BROWSER_CHROMIUM,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  });
}

/** A browser's window, in which nothing may go wrong unnoticed. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: desktop, ...options });
  const wrong = [];
  context.setDefaultTimeout(15_000);
  context.on('weberror', (error) => wrong.push(`exception: ${error.error().message}`));
  context.on('dialog', async (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  context.on('console', (message) => {
    // Among others, what the page's Content-Security-Policy refused.
    if (message.type() === 'error') wrong.push(`console: ${message.text()}`);
  });
  context.on('requestfailed', (request) => wrong.push(`failed: ${request.url()}`));
  return {
    context,
    wrong,
    /** A new tab. */
    async tab(address) {
      const page = await context.newPage();
      if (address) await page.goto(address);
      return page;
    },
    async close() {
      await context.close();
      assert.deepEqual(wrong, [], 'the browser complained');
    },
  };
}

export const heading = (page) => page.locator('h1').innerText();
export const approve = (page) => page.locator('button[value=approve]');
export const decline = (page) => page.locator('button[value=decline]');

/** Presses a button, and returns the heading of the page that follows. */
export async function press(page, button) {
  await Promise.all([page.waitForNavigation(), button(page).click()]);
  return heading(page);
}

/**
 * Looks at a page on a desktop and a phone, light and dark: accessible, no wider than the window, the buttons in the window.
 */
export async function inspect(page, name, { screenshots, scripted = true } = {}) {
  const grounds = new Set();
  for (const [look, size, colorScheme] of looks) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    const where = `${name}, ${look}`;
    const found = await page.evaluate(() => {
      const root = document.documentElement;
      const wide = [...document.body.querySelectorAll('*')].filter((element) => {
        const { left, right, width, height } = element.getBoundingClientRect();
        return width > 1 && height > 1 && (right > root.clientWidth + 1 || left < -1);
      });
      return {
        ground: getComputedStyle(document.body).backgroundColor,
        scrolls: root.scrollWidth > root.clientWidth,
        wide: wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 200)),
        buttons: [...document.querySelectorAll('form button')].map((button) => {
          const { left, right, top, bottom } = button.getBoundingClientRect();
          return left >= 0 && right <= root.clientWidth && top >= 0 && bottom <= root.clientHeight;
        }),
      };
    });
    grounds.add(found.ground);
    assert.ok(!found.scrolls, `${where}: the page is wider than the window`);
    assert.deepEqual(found.wide, [], `${where}: wider than the window`);
    assert.ok(found.buttons.every(Boolean), `${where}: a button is outside of the window`);
    if (screenshots) {
      mkdirSync(screenshots, { recursive: true });
      await page.screenshot({ path: `${screenshots}/${name}-${look}.png` });
    }
    // Without scripts in the page, the checker cannot run in it either.
    if (!scripted) continue;
    // Not as a script element: the page's policy would refuse it.
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    const complaints = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0].html.slice(0, 200)}`);
    assert.deepEqual(complaints, [], where);
    assert.ok(passes.length > 10, `${where}: the accessibility checker ran ${passes.length} rules`);
  }
  assert.equal(grounds.size, 2, `${name}: light and dark are the same`);
  await page.setViewportSize(desktop);
  await page.emulateMedia({ colorScheme: 'light' });
}
