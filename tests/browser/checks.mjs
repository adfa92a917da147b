// What a person sees and does on the page, and what comes of it. By the name that is printed.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { approve, decline, heading, inspect, open, press } from './browser.mjs';
import { hostile, many, ordinary } from './persons.mjs';
import { text } from './server.mjs';

const free = [...ordinary];
/** Persons that no other check uses. */
const take = (count) => free.splice(0, count);

const assertQueued = (result) => assert.match(text(result), /^Queued/);

function assertRefused(result) {
  assert.equal(result.isError, true, text(result));
  assert.match(text(result), /Nothing was sent/);
}

/** Checks how many deletions PostHog receives during `work`. */
async function sends(server, expected, work) {
  const before = await server.deletions();
  await work();
  assert.equal((await server.deletions()) - before, expected, 'deletions that reached PostHog');
}

/** Runs `work` with a window, and checks afterwards that nothing went wrong in it. */
async function inWindow(browser, work, options) {
  const window = await open(browser, options);
  await work(window);
  await window.close();
}

/** Asks about new persons and opens the page. */
async function asked(server, window, count = 2) {
  const ids = take(count);
  const question = await server.ask(ids);
  return { ids, ...question, page: await window.tab(question.address) };
}

const shownNames = (page) => page.locator('table.persons tbody tr:visible td:first-child > bdi').allInnerTexts();

export const checks = {
  'confirmed: the persons are deleted once, and the page says so': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, repeat, wait, address } = await asked(server, window, 3);
      assert.match(await heading(page), /^Delete 3 persons for good/);
      assert.equal(await approve(page).innerText(), 'Delete 3 persons');
      assert.equal(await decline(page).innerText(), 'Do not delete');
      for (const id of ids) {
        await page.locator('td', { hasText: `${id}@example.com` }).first().waitFor();
      }
      await inspect(page, 'open', { screenshots });
      await sends(server, 0, () => page.reload());
      await sends(server, 1, async () => {
        const { result: call } = await wait();
        assert.equal(await press(page, approve), 'Approved and used');
        assertQueued(await call);
        assert.equal(page.url(), address);
      });
      await server.gone(ids);
      await inspect(page, 'used', { screenshots });
      await sends(server, 0, async () => assertRefused(await repeat()));
    });
  },

  'approved before the assistant calls again: waits for it': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, repeat } = await asked(server, window);
      await sends(server, 0, async () => assert.equal(await press(page, approve), 'Approved'));
      await inspect(page, 'approved', { screenshots });
      await sends(server, 1, async () => assertQueued(await repeat()));
      await page.reload();
      assert.equal(await heading(page), 'Approved and used');
      await server.gone(ids);
    });
  },

  'declined: nothing is sent, then or later': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, repeat, wait } = await asked(server, window);
      await sends(server, 0, async () => {
        const { result: call } = await wait();
        assert.equal(await press(page, decline), 'Declined');
        assertRefused(await call);
        assertRefused(await repeat());
      });
      await inspect(page, 'declined', { screenshots });
      for (const id of ids) assert.ok(await server.exists(id), `${id} is gone`);
    });
  },

  'changed in between: nothing is sent, and the page says so': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, repeat } = await asked(server, window);
      const update = await server.call('persons-update', {
        distinct_id: ids[0], properties: { name: 'Renamed person' }, wait_seconds: 10,
      });
      assert.ok(!update.isError, text(update));
      await sends(server, 0, async () => {
        assertRefused(await repeat());
        assert.equal(await press(page, approve), 'The persons have changed');
      });
      await inspect(page, 'changed', { screenshots });
      assert.ok(await server.exists(ids[0]));
    });
  },

  'twice: a second press changes nothing': async ({ browser, server }) => {
    await inWindow(browser, async (window) => {
      const { page, repeat, wait } = await asked(server, window);
      const other = await window.tab(page.url());
      await sends(server, 1, async () => {
        const { result: call } = await wait();
        await press(page, approve);
        assertQueued(await call);
        assert.equal(await press(other, approve), 'Approved and used');
        await page.goBack();
        assert.equal(await heading(page), 'Approved and used', 'the browser shows the old form again');
        assertRefused(await repeat());
      });
    });
  },

  'another tab: the first answer counts': async ({ browser, server }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, repeat } = await asked(server, window);
      const other = await window.tab(page.url());
      await sends(server, 0, async () => {
        assert.equal(await press(other, decline), 'Declined');
        assert.equal(await press(page, approve), 'Declined');
        assertRefused(await repeat());
      });
      assert.ok(await server.exists(ids[0]));
    });
  },

  'two questions: each answer is about its own persons': async ({ browser, server }) => {
    await inWindow(browser, async (window) => {
      const first = await asked(server, window);
      const second = await asked(server, window);
      assert.notEqual(first.address, second.address);
      await sends(server, 1, async () => {
        await press(second.page, approve);
        assertQueued(await second.repeat());
      });
      assert.ok(await server.exists(first.ids[0]));
      await server.gone(second.ids);
      await press(first.page, decline);
    });
  },

  'without JavaScript: whole, and can be answered': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, wait } = await asked(server, window);
      assert.equal((await shownNames(page)).length, 2);
      assert.equal(await page.locator('input[type=search], th button').count(), 0, 'controls that do nothing');
      assert.match(await page.locator('form time').textContent(), /^\d\d:\d\d:\d\d UTC$/);
      await inspect(page, 'without-javascript', { screenshots, scripted: false });
      await sends(server, 1, async () => {
        const { result: call } = await wait();
        assert.equal(await press(page, approve), 'Approved and used');
        assertQueued(await call);
      });
      await server.gone(ids);
    }, { javaScriptEnabled: false });
  },

  'another time zone: the end is in the time of the reader': async ({ browser, server }) => {
    await inWindow(browser, async (window) => {
      const { page } = await asked(server, window);
      const end = page.locator('form time');
      const moment = new Date(await end.getAttribute('datetime'));
      const local = new Date(moment.getTime() + 330 * 60_000).toISOString().slice(11, 19);
      assert.equal(await end.textContent(), `${local} GMT+5:30`);
      await press(page, decline);
    }, { timezoneId: 'Asia/Kolkata' });
  },

  'keyboard only: search, sort and answer': async ({ browser, server }) => {
    await inWindow(browser, async (window) => {
      const { ids, page, wait } = await asked(server, window);
      const focused = () => page.evaluate(() => {
        const element = document.activeElement;
        const { left, top, width, height } = element.getBoundingClientRect();
        const at = document.elementFromPoint(left + width / 2, top + height / 2);
        return {
          name: element.labels?.[0]?.textContent.trim() || element.textContent.trim(),
          outlined: getComputedStyle(element).outlineStyle !== 'none',
          visible: element === at || element.contains(at),
        };
      });
      const seen = [];
      while (seen.at(-1) !== 'Delete 2 persons') {
        await page.keyboard.press('Tab');
        const { name, outlined, visible } = await focused();
        assert.ok(outlined, `${name}: the focus is not marked`);
        assert.ok(visible, `${name}: something covers the focus`);
        assert.ok(seen.length < 20, `the button is not reached: ${seen}`);
        seen.push(name);
        if (name === 'Name') {
          await page.keyboard.press('Enter');
          await page.keyboard.press('Space');
        }
      }
      assert.equal(seen[0], 'Find');
      assert.equal(seen.at(-2), 'Do not delete', 'declining comes before approving');
      assert.equal(await page.locator('th[aria-sort]').getAttribute('aria-sort'), 'descending');
      // Enter in the search must not answer.
      await page.locator('input[type=search]').focus();
      await page.keyboard.type(ids[0]);
      await page.keyboard.press('Enter');
      assert.match(await heading(page), /^Delete 2 persons/);
      await approve(page).focus();
      await sends(server, 1, async () => {
        const { result: call } = await wait();
        await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
        assert.equal(await heading(page), 'Approved and used');
        assertQueued(await call);
      });
    });
  },

  '1,000 persons: all there, searched and sorted': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const { address, wait } = await server.ask(many);
      const page = await window.tab(address);
      assert.match(await heading(page), /^Delete 1000 persons/);
      assert.equal((await shownNames(page)).length, 1000);

      const status = page.locator('.shown');
      await page.getByRole('searchbox', { name: 'Find' }).fill('MANY-77@');
      assert.equal((await shownNames(page)).length, 1);
      assert.match(await status.innerText(), /^1 of 1,?000 persons shown; your answer is about all 1,?000/);
      await page.getByRole('searchbox', { name: 'Find' }).fill('no such person');
      assert.equal((await shownNames(page)).length, 0);
      assert.match(await status.innerText(), /^0 of/);
      await page.getByRole('searchbox', { name: 'Find' }).fill('');
      assert.equal((await shownNames(page)).length, 1000);

      const numbers = Array.from({ length: 1000 }, (_, index) => `Visitor ${index + 1}`);
      await page.getByRole('button', { name: 'Name' }).click();
      assert.deepEqual(await shownNames(page), numbers);
      await page.getByRole('button', { name: 'Name' }).click();
      assert.deepEqual(await shownNames(page), numbers.toReversed());
      await page.getByRole('button', { name: 'Created' }).click();
      assert.equal(await page.locator('th[aria-sort]').count(), 1);
      const rows = await page.locator('table.persons tbody tr').allInnerTexts();
      assert.match(rows[0], /many-1@/);
      await inspect(page, 'thousand', { screenshots });
      await page.getByRole('searchbox', { name: 'Find' }).fill('many-77');
      await sends(server, 1, async () => {
        const { result: call } = await wait();
        assert.equal(await press(page, approve), 'Approved and used');
        assertQueued(await call);
      });
      await server.gone(['many-1', 'many-77', 'many-1000']);
    });
  },

  'hostile names: only text': async ({ browser, server, screenshots }) => {
    await inWindow(browser, async (window) => {
      const unknown = ['<svg onload=alert(3)>', '\u202egnorw', 'x'.repeat(190)];
      const { address, wait } = await server.ask([...Object.keys(hostile), ...unknown]);
      const page = await window.tab(address);
      const names = await shownNames(page);
      assert.equal(names.length, Object.keys(hostile).length);
      await page.getByRole('heading', { name: 'Ids of nobody: 3' }).waitFor();
      for (const part of ['<img src=x onerror=alert(1)>', '<button form=answer', '{{ form_token }}', '&lt;b&gt;', '</style>']) {
        assert.ok(names.some((name) => name.includes(part)), `${part} is not shown as it is: ${JSON.stringify(names)}`);
      }
      const foreign = 'img, svg, iframe, style, script:not([src="/script.js"]), td button, td input, td a';
      assert.equal(await page.locator(foreign).count(), 0, 'a name became an element');
      assert.equal(await page.locator('form').count(), 1);
      assert.equal(await page.locator('form button').count(), 2);
      // Direction controls act outside of what they are written in, unless they are removed or isolated.
      assert.doesNotMatch(await page.locator('body').innerText(), /[\u202a-\u202e\u2066-\u2069\u2028\u2029]/);
      const isolated = await page.evaluate(() =>
        [...document.querySelectorAll('bdi')].every((part) => getComputedStyle(part).unicodeBidi === 'isolate'));
      assert.ok(isolated);
      // The marks of one name are not drawn over another person.
      const above = page.locator('tr', { hasText: '<button form=answer' });
      const tall = page.locator('td bdi', { hasText: '\u0301\u0301' }).first();
      assert.ok(await tall.count(), 'no name with stacked marks is shown');
      const before = await above.screenshot();
      await tall.evaluate((name) => { name.textContent = 'a'; });
      assert.ok(before.equals(await above.screenshot()), 'a name is drawn over another person');
      await page.reload();
      await inspect(page, 'hostile', { screenshots });
      await page.getByRole('button', { name: 'Name' }).click();
      await page.getByRole('searchbox', { name: 'Find' }).fill('<script>');
      assert.equal((await shownNames(page)).length, 1);
      await sends(server, 0, async () => {
        const { result: call } = await wait();
        assert.equal(await press(page, decline), 'Declined');
        assertRefused(await call);
      });
      await inspect(page, 'hostile-declined', { screenshots });
    });
  },

  'another site: can neither answer nor frame the page': async ({ browser, server }) => {
    const window = await open(browser);
    const { ids, page, address, repeat } = await asked(server, window);
    const token = await page.locator('input[name=form]').inputValue();
    const site = createServer((request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(request.url === '/frame'
        ? `<iframe src="${address}"></iframe>`
        : `<form method="post" action="${address}"><input name="form" value="${token}">
           <button name="answer" value="approve">Press</button></form>`);
    });
    site.listen(0, '127.0.0.1');
    await once(site, 'listening');
    const foreign = await window.tab(`http://localhost:${site.address().port}/`);
    await sends(server, 0, async () => {
      const refused = foreign.waitForResponse(address);
      await foreign.locator('button').click();
      assert.equal((await refused).status(), 403);
      await page.reload();
      assert.match(await heading(page), /^Delete 2 persons/, 'the question is still open');
    });
    await foreign.goto(`http://localhost:${site.address().port}/frame`);
    const frame = foreign.frames().at(-1);
    assert.equal(await frame.locator('form').count().catch(() => 0), 0, 'the page is shown in a frame');
    // The same machine under another name.
    const renamed = await foreign.goto(address.replace('127.0.0.1', 'localhost'));
    assert.equal(renamed.status(), 403);
    await sends(server, 0, async () => {
      await press(page, decline);
      assertRefused(await repeat());
    });
    assert.ok(await server.exists(ids[0]));
    // The browser reports what was refused.
    await window.context.close();
    site.closeAllConnections();
    site.close();
  },

  'no such page: says so': async ({ browser, server, screenshots }) => {
    const window = await open(browser);
    const { page } = await asked(server, window);
    const missing = await window.tab();
    const response = await missing.goto(new URL('/0123456789abcdef0123456789abcdef', page.url()).href);
    assert.equal(response.status(), 404);
    assert.equal(await heading(missing), 'No such page');
    await inspect(missing, 'missing', { screenshots });
    await press(page, decline);
    // The browser reports the status.
    await window.context.close();
  },

  'expired: can no longer be answered': {
    before: async ({ browser, server }) => {
      const window = await open(browser);
      return { window, since: Date.now(), ...(await asked(server, window)) };
    },
    run: async ({ server, screenshots, before: { window, since, ids, page, repeat } }) => {
      const rest = since + 301_000 - Date.now();
      if (rest > 0) {
        console.log(`waiting ${Math.ceil(rest / 1000)} seconds until a page expires`);
        await new Promise((resolve) => setTimeout(resolve, rest));
      }
      await sends(server, 0, async () => {
        assert.equal(await press(page, approve), 'Expired');
        assertRefused(await repeat());
      });
      await inspect(page, 'expired', { screenshots });
      assert.ok(await server.exists(ids[0]));
      await window.close();
    },
  },

  'the log: no address, no token and no person': async ({ server }) => {
    const log = server.log();
    assert.match(log, /persons-bulk-delete/);
    assert.doesNotMatch(log, /@example|phx_|Visitor|http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}/);
  },
};
